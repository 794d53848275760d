"""Relays and container providers by the pages: register, change, bind, enrol, revoke, delete."""

from __future__ import annotations

import re

import pytest

from tests.web.conftest import Api
from tests.web.pages.conftest import Visitor, pasted, words

pytestmark = pytest.mark.live

TOKEN = re.compile(r'id="enrolment-token">([^<]+)<')


@pytest.fixture(scope="module")
def certificate(console: object) -> str:
    """One that covers `*.bound.example.com`."""
    api: Api = console.api()  # type: ignore[attr-defined]
    given = pasted("*.bound.example.com", client_ca=True)
    body = {"name": "bound", "private_key": given.key, "certificate": given.certificate, "ca": given.ca}
    assert api("POST", "/certificates", body).status_code in {201, 409}
    return "bound"


def new_relay(admin: Visitor, name: str, host: str, **more: object) -> None:
    """Register a relay by the form."""
    fields: dict[str, object] = {"name": name, "host": host, "port": "443", "tls_mode": "tls", "enabled": "y"}
    answer = admin.post("/new/relay", fields | more)
    assert (answer.status_code, answer.location) == (303, f"/relays/{name}"), words(answer)


def test_a_relay_is_registered_changed_and_deleted(admin: Visitor) -> None:
    new_relay(admin, "r-life", "life.example.com")
    assert "life.example.com:443" in words(admin.get("/relays"))
    form = admin.get("/relays/r-life/edit").text
    version = re.search(r'name="expect_version"[^>]*value="(\d+)"', form)
    assert version is not None
    fields = {
        "expect_version": version[1],
        "host": "LIFE2.example.com",
        "port": "8443",
        "tls_mode": "mtls",
        "comment": "Moved",
    }
    assert admin.post("/relays/r-life/edit", fields).status_code == 303
    said = words(admin.get("/relays/r-life"))
    assert "life2.example.com:8443" in said
    assert "mTLS" in said
    assert "Disabled" in said
    assert admin.post("/relays/r-life/edit", fields).status_code == 412
    assert admin.post("/relays/r-life/delete", {"confirm": "r-lif"}).status_code == 422
    assert admin.post("/relays/r-life/delete", {"confirm": "r-life"}).location == "/relays"
    assert admin.get("/relays/r-life").status_code == 404


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("host", "https://x/", "no DNS name"),
        ("port", "70000", "1 to 65535"),
        ("port", "x", "valid"),
        ("name", "", "Enter a name"),
    ],
)
def test_a_relay_that_makes_no_sense_is_refused_with_the_reason(
    admin: Visitor, field: str, value: str, said: str
) -> None:
    fields: dict[str, object] = {"name": "r-odd", "host": "odd.example.com", "port": "443", "tls_mode": "tls"}
    answer = admin.post("/new/relay", fields | {field: value})
    assert answer.status_code == 422
    assert said.lower() in words(answer).lower()


def test_a_relay_is_bound_and_unbound(admin: Visitor, certificate: str) -> None:
    new_relay(admin, "r-bind", "r.bound.example.com")
    bound = admin.post("/relays/r-bind/certificate", {"certificate": certificate, "do": "bind"})
    assert bound.location == "/relays/r-bind"
    said = words(admin.get("/relays/r-bind"))
    assert "r-bind is bound to bound" in said
    assert "Unbind" in said
    assert "follows now" in said
    admin.post("/relays/r-bind/certificate", {"certificate": "", "do": "unbind"})
    assert "Not bound: it can read no certificate" in words(admin.get("/relays/r-bind"))


def test_a_binding_that_does_not_fit_has_to_be_accepted(admin: Visitor, certificate: str) -> None:
    new_relay(admin, "r-unfit", "unfit.example.com")
    refused = admin.post("/relays/r-unfit/certificate", {"certificate": certificate, "do": "bind"})
    assert refused.status_code == 422
    assert "does not cover unfit.example.com" in words(refused)
    accept = re.search(r'name="accept" value="([^"]+)"', refused.text)
    assert accept is not None
    fields = {"certificate": certificate, "do": "bind", "accept": accept[1]}
    assert admin.post("/relays/r-unfit/certificate", fields).status_code == 303


def test_binding_to_nothing_chosen_changes_nothing(admin: Visitor) -> None:
    new_relay(admin, "r-none", "none.example.com")
    admin.post("/relays/r-none/certificate", {"certificate": "", "do": "bind"})
    assert "Choose a certificate first" in words(admin.get("/relays/r-none"))
    gone = admin.post("/relays/r-none/certificate", {"certificate": "no-such", "do": "bind"})
    assert gone.status_code == 422


def test_a_one_time_token_is_shown_once_and_kept_by_no_cache(admin: Visitor) -> None:
    new_relay(admin, "r-enrol", "enrol.example.com")
    answer = admin.post("/relays/r-enrol/enrollment", {"ttl": "900"})
    assert answer.status_code == 200
    token = TOKEN.search(answer.text)
    assert token is not None
    assert "in 14 minutes" in words(answer) or "in 15 minutes" in words(answer)
    assert answer.headers["Cache-Control"] == "no-store"
    assert "--wrapping-token-file -" in words(answer)
    command = answer.text.split("<pre>")[1].split("</pre>")[0]
    assert token[1] not in command
    assert token[1] not in admin.get("/relays/r-enrol").text
    assert admin.post("/relays/r-enrol/revoke", {"confirm": "r-enrol"}).location == "/relays/r-enrol"


def test_a_provider_is_registered_disabled_and_enabled_by_hand(admin: Visitor, certificate: str) -> None:
    fields = {
        "name": "Swarm Test",
        "kind": "swarm",
        "multi_cluster": "active-passive",
        "visibility": "private",
        "cluster_name": "one",
        "url": "https://swarm.bound.example.com:2376",
        "comment": "For tests",
    }
    answer = admin.post("/new/provider", fields)
    assert (answer.status_code, answer.location) == (303, "/providers/swarm-test"), words(answer)
    said = words(admin.get("/providers/swarm-test"))
    assert "Disabled" in said
    assert "https://swarm.bound.example.com:2376" in said
    admin.post("/providers/swarm-test/enabled", {"enabled": "yes"})
    assert "is enabled" in words(admin.get("/providers/swarm-test"))
    assert "Swarm Test" in words(admin.get("/providers?q=bound"))
    assert "No container provider matches" in words(admin.get("/providers?q=zzz"))
    one = {"certificate": certificate, "do": "bind"}
    assert admin.post("/providers/swarm-test/clusters/one/certificate", one).status_code == 303
    assert "Swarm Test / one is bound to bound" in words(admin.get("/providers/swarm-test/clusters/one"))
    assert "Swarm Test / one" in words(admin.get(f"/certificates/{certificate}/providers"))


def test_clusters_are_added_changed_enrolled_and_removed(admin: Visitor) -> None:
    fields = {"name": "k8s", "kind": "kubernetes", "multi_cluster": "none", "visibility": "public"}
    assert admin.post("/new/provider", fields).location == "/providers/k8s"
    assert "No cluster yet" in words(admin.get("/providers/k8s"))
    odd = {"expect_version": "1", "cluster_name": "main", "url": "http://plain.example.com"}
    assert admin.post("/providers/k8s/new-cluster", odd).status_code == 422
    good = odd | {"url": "https://k8s.example.com:6443"}
    assert admin.post("/providers/k8s/new-cluster", good).status_code == 303
    edit = admin.get("/providers/k8s/clusters/main/edit").text
    version = re.search(r'name="expect_version"[^>]*value="(\d+)"', edit)
    assert version is not None
    changed = {"expect_version": version[1], "url": "https://k8s.example.com:6444", "server_name": "api.internal"}
    assert admin.post("/providers/k8s/clusters/main/edit", changed).status_code == 303
    assert "api.internal" in words(admin.get("/providers/k8s/clusters/main"))
    assert TOKEN.search(admin.post("/providers/k8s/clusters/main/enrollment", {"ttl": "3600"}).text)
    assert admin.post("/providers/k8s/clusters/main/revoke", {"confirm": "main"}).status_code == 303
    assert admin.post("/providers/k8s/clusters/main/remove", {"confirm": "main"}).location == "/providers/k8s"
    assert admin.get("/providers/k8s/clusters/main").status_code == 404
    assert admin.post("/providers/k8s/delete", {"confirm": "k8s"}).location == "/providers"


def test_a_cluster_needs_both_a_name_and_a_url(admin: Visitor) -> None:
    fields = {"name": "half", "kind": "swarm", "multi_cluster": "none", "visibility": "private", "cluster_name": "one"}
    answer = admin.post("/new/provider", fields)
    assert answer.status_code == 422
    assert "needs both a name and a URL" in words(answer)


def test_an_auditor_sees_consumers_and_no_action(admin: Visitor, auditor: Visitor) -> None:
    new_relay(admin, "r-audit", "audit.example.com")
    page = auditor.get("/relays/r-audit")
    assert "audit.example.com" in words(page)
    for action in ("/edit", "/delete", "/enrollment", "/certificate", "/revoke"):
        assert f"/relays/r-audit{action}" not in page.text
    assert auditor.post("/relays/r-audit/delete", {"confirm": "r-audit"}).status_code == 403
    assert "/new/relay" not in auditor.get("/relays").text
    assert "/new/provider" not in auditor.get("/providers").text
