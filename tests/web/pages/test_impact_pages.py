"""Impact on the pages, as a browser without script shows it."""

from __future__ import annotations

import re
from typing import Any

from tests import material
from tests.material import BOTH
from tests.web.conftest import Api
from tests.web.pages.conftest import Visitor, words
from tests.web.test_api import fresh
from tests.web.test_impact import bind_relay, clients_of, in_days, mtls, now, register


def boxes(text: str) -> list[str]:
    return re.findall(r'name="accept" value="([^"]+)"', text)


def test_the_binding_panel_says_what_changes_before_anything_is_bound(admin: Visitor, api: Api):
    first, _ = register(api, "a.example.com", "old.example.com")
    second, _ = register(api, "b.example.com", days=30)
    consumer = bind_relay(api, f"{first}-r", first, "a.example.com")
    path = f"/relays/{first}-r/certificate"
    seen = admin.post(path, {"certificate": second, "do": "preview"})
    assert seen.status_code == 200
    said = words(seen)
    assert f"What changes with {second}" in said
    assert "The certificate does not cover a.example.com" in said
    assert "old.example.com will not be covered any more" in said
    assert "before the present one" in said
    assert boxes(seen.text) == [f"{consumer}:host.not-covered"]
    assert api("GET", f"/relays/{first}-r").get_json()["certificate"] == first
    refused = admin.post(path, {"certificate": second, "do": "bind"})
    assert (refused.status_code, boxes(refused.text)) == (422, [f"{consumer}:host.not-covered"])
    bound = admin.post(path, {"certificate": second, "do": "bind", "accept": f"{consumer}:host.not-covered"})
    assert bound.status_code == 303
    assert api("GET", f"/relays/{first}-r").get_json()["certificate"] == second


def test_the_binding_panel_says_when_nothing_changes_and_when_there_is_no_such_certificate(admin: Visitor, api: Api):
    first, _ = register(api, "a.example.com")
    bind_relay(api, f"{first}-same", first, "a.example.com")
    path = f"/relays/{first}-same/certificate"
    assert "bound to this one already" in words(admin.post(path, {"certificate": first, "do": "preview"}))
    missing = admin.post(path, {"certificate": "no-such-thing", "do": "preview"})
    assert "There is no certificate no-such-thing." in words(missing)
    assert "Choose a certificate first" in words(admin.get(admin.post(path, {"do": "preview"}).location))


def test_the_panel_of_a_cluster_says_what_changes(admin: Visitor, api: Api):
    first, _ = register(api, "swarm.example.com", usages=BOTH)
    second, _ = register(api, "swarm.example.com")
    cluster: dict[str, Any] = {
        "name": "one",
        "url": "https://swarm.example.com",
        "cert_auth": True,
        "certificate": first,
    }
    assert api("POST", "/providers", {"name": first, "kind": "swarm", "clusters": [cluster]}).status_code == 201
    seen = admin.post(f"/providers/{first}/clusters/one/certificate", {"certificate": second, "do": "preview"})
    assert boxes(seen.text) == [f"provider-{first}-one:purpose.client-auth"]


def test_the_rotate_page_groups_what_happens_by_consumer_and_asks_only_about_harm(admin: Visitor, api: Api):
    name, _ = register(api, "a.example.com", "b.example.com", "spare.example.com")
    for one in "ab":
        bind_relay(api, f"{name}-{one}", name, f"{one}.example.com")
    new = fresh("a.example.com", "more.example.com", days=30)
    fields = {"expect_version": "1", "private_key": new.key, "certificate": new.certificate, "preview": "yes"}
    page = admin.post(f"/certificates/{name}/rotate", fields)
    said = words(page)
    assert page.status_code == 200
    assert boxes(page.text) == [f"relay-{name}-b:host.not-covered"]
    assert said.count("spare.example.com will not be covered any more") == 2
    assert said.count("more.example.com will be covered as well") == 2
    assert said.count("before the present one") == 2
    harmed, whole = (page.text.index(f'href="/relays/{name}-{one}"') for one in "ba")
    assert harmed < whole


def test_the_relays_tab_answers_whether_a_client_would_be_accepted(admin: Visitor, auditor: Visitor, api: Api):
    name, authority = clients_of(api)
    client = material.issue("client", issuer=authority, usages=material.CLIENT, now=now())
    server = material.issue("server", issuer=authority, now=now())
    path = f"/certificates/{name}/relays"
    assert "Would this client certificate be accepted?" in words(admin.get(path))
    for visitor in (admin, auditor):
        assert "Yes. A relay in mTLS mode" in words(visitor.post(path, {"client": client.pem}))
    refused = admin.post(path, {"client": server.pem + server.key_pem})
    assert "No. Error: The client's extended key usage has no clientAuth." in words(refused)
    assert server.key_pem.splitlines()[1] not in refused.text
    empty = admin.post(path, {"client": " "})
    assert (empty.status_code, "Paste the client's certificate." in words(empty)) == (422, True)


def test_the_rotate_page_offers_to_keep_the_old_ca_and_the_overview_says_until_when(admin: Visitor, api: Api):
    name, _, new = mtls(api)
    path = f"/certificates/{name}/rotate"
    fields = {"expect_version": "1", "keep_key": "y", "ca": new.pem}
    assert "keep_ca_until" not in admin.get(path).text
    live = admin.post(f"{path}/check", fields, HX_Request="true")
    assert f'name="keep_ca_until" value="{in_days(30)}" min="{in_days(1)}" max="{in_days(398)}"' in live.text
    assert boxes(live.text) == [f"relay-{name}-mtls:ca.dropped"]
    kept = fields | {"keep_ca": "yes", "keep_ca_until": in_days(20)}
    for url, more in ((path, {"preview": "yes"}), (f"{path}/check", {})):
        seen = admin.post(url, kept | more)
        assert (seen.status_code, boxes(seen.text)) == (200, [])
        assert f'value="{in_days(20)}"' in seen.text
    for bad in (in_days(0), "soon"):
        refused = admin.post(path, kept | {"keep_ca_until": bad})
        assert refused.status_code == 422
        assert f"Give a day from {in_days(1)} to {in_days(398)}." in words(refused)
        assert "keep_ca_until" in refused.text
        assert admin.post(f"{path}/check", kept | {"keep_ca_until": bad}).status_code == 200
    assert admin.post(path, kept).status_code == 303
    assert f"Clients CA is kept until {in_days(20)}" in words(admin.get(f"/certificates/{name}"))


def test_a_rotation_without_harm_says_so_and_still_tells_what_changes(admin: Visitor, api: Api):
    name, _ = register(api, "a.example.com")
    bind_relay(api, f"{name}-well", name, "a.example.com")
    new = fresh("a.example.com", "more.example.com")
    fields = {"expect_version": "1", "private_key": new.key, "certificate": new.certificate, "preview": "yes"}
    page = admin.post(f"/certificates/{name}/rotate", fields)
    assert "1 consumer will read the new version. No harm is foreseen" in words(page)
    assert "more.example.com will be covered as well" in words(page)
    assert boxes(page.text) == []
