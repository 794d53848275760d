"""Certificates by the pages: register, list, look at, rotate, describe, delete, restore."""

from __future__ import annotations

import pytest

from tests.web.conftest import Api, Console
from tests.web.pages.conftest import Visitor, pasted, words

pytestmark = pytest.mark.live

NAMES = iter(f"c{number}" for number in range(1, 100))


def register(api: Api, *hosts: str, days: float = 90, client_ca: bool = False, **more: object) -> str:
    """Register a certificate by the API; its name."""
    name = next(NAMES)
    given = pasted(*(hosts or (f"{name}.example.com",)), days=days, client_ca=client_ca)
    body = {"name": name, "private_key": given.key, "certificate": given.certificate, "ca": given.ca, **more}
    answer = api("POST", "/certificates", body)
    assert answer.status_code == 201, answer.json
    return name


def relay(api: Api, name: str, host: str, certificate: str, tls_mode: str = "tls") -> None:
    """Register a relay, bound."""
    body = {"name": name, "host": host, "port": 443, "tls_mode": tls_mode, "certificate": certificate}
    answer = api("POST", "/relays", body)
    assert answer.status_code == 201, answer.json


def test_an_administrator_registers_a_certificate(admin: Visitor) -> None:
    given = pasted("paste.example.com")
    fields = {"name": "Pasted one", "private_key": given.key, "certificate": given.certificate, "comment": "By hand"}
    answer = admin.post("/new/certificate", fields)
    assert (answer.status_code, answer.location) == (303, "/certificates/pasted-one")
    page = admin.get("/certificates/pasted-one")
    assert "Pasted one is registered" in words(page)
    assert "paste.example.com" in words(page)
    assert "Test Intermediate" in words(page)
    assert "By hand" in words(page)


def test_a_refused_paste_shows_each_finding_at_its_field_and_never_the_key(admin: Visitor) -> None:
    given, other = pasted("a.example.com"), pasted("b.example.com")
    fields = {"name": "Mismatch", "private_key": other.key, "certificate": given.certificate}
    answer = admin.post("/new/certificate", fields)
    assert answer.status_code == 422
    beside = answer.text.split('id="private_key-findings"')[1].split("</div>")[0]
    assert "does not belong" in beside
    assert "Paste it once more" in words(answer)
    assert given.certificate.splitlines()[1] in answer.text
    for line in other.key.splitlines()[1:-1]:
        assert line not in answer.text


def test_the_live_check_says_what_it_understood_stores_nothing_and_returns_no_key(admin: Visitor) -> None:
    given = pasted("live.example.com")
    fields = {"private_key": given.key, "certificate": given.certificate, "ca": ""}
    answer = admin.post("/check/certificate", fields, HX_Request="true")
    assert answer.status_code == 200
    assert "Can be used" in words(answer)
    assert "live.example.com" in words(answer)
    assert "<html" not in answer.text
    for line in given.key.splitlines()[1:-1]:
        assert line not in answer.text
    assert "live.example.com" not in words(admin.get("/certificates"))


def test_the_live_check_does_not_scold_for_what_is_not_typed_yet(admin: Visitor) -> None:
    answer = admin.post("/check/certificate", {"private_key": pasted().key, "certificate": ""}, HX_Request="true")
    assert "CERT is empty" not in words(answer)


def test_a_form_sent_by_script_gets_a_fragment_and_then_the_way_to_go(admin: Visitor) -> None:
    given = pasted("script.example.com")
    refused = admin.post("/new/certificate", {"name": "Script", "certificate": given.certificate}, HX_Request="true")
    assert refused.status_code == 422
    assert "<html" not in refused.text
    assert "KEY is empty" in words(refused)
    fields = {"name": "Script", "private_key": given.key, "certificate": given.certificate}
    made = admin.post("/new/certificate", fields, HX_Request="true")
    assert (made.status_code, made.headers["HX-Redirect"]) == (204, "/certificates/script")


def test_a_name_that_is_taken_is_refused(admin: Visitor, api: Api) -> None:
    name, given = register(api), pasted()
    answer = admin.post("/new/certificate", {"name": name, "private_key": given.key, "certificate": given.certificate})
    assert answer.status_code == 409


def test_the_list_finds_filters_and_sorts(admin: Visitor, api: Api) -> None:
    soon = register(api, "soon.example.com", days=5, comment="needle in the comment")
    later = register(api, "later.example.com", days=300, comment="needle in the comment")
    found = words(admin.get("/certificates?q=needle"))
    assert soon in found
    assert later in found
    assert "1–2 of 2" in found
    expiring = words(admin.get("/certificates?q=needle&status=expiring"))
    assert soon in expiring
    assert later not in expiring
    ordered = admin.get("/certificates?q=needle&sort=-expires").text
    assert ordered.index(f"/certificates/{later}") < ordered.index(f"/certificates/{soon}")
    assert 'aria-sort="descending"' in ordered
    assert "No certificate matches" in words(admin.get("/certificates?q=no-such-thing"))


@pytest.mark.parametrize("query", ["status=nonsense", "sort=nonsense", "cursor=%00", "cursor=bm9uc2Vuc2U"])
def test_a_list_address_that_makes_no_sense_leads_back_to_the_list(admin: Visitor, query: str) -> None:
    assert admin.get(f"/certificates?{query}").location == "/certificates"


def test_every_tab_of_a_profile_opens(admin: Visitor, api: Api) -> None:
    name = register(api, "tabs.example.com")
    for tab in ("", "/relays", "/providers", "/versions", "/activity", "/edit", "/rotate", "/delete"):
        answer = admin.get(f"/certificates/{name}{tab}")
        assert answer.status_code == 200, tab
        assert 'aria-current="page"' in answer.text


def test_the_relays_tab_ticks_what_fits_and_says_why_something_does_not(admin: Visitor, api: Api) -> None:
    name = register(api, "fit.example.com", "*.fit.example.com")
    relay(api, "fits", "a.fit.example.com", name)
    body = {"name": "unfit", "host": "elsewhere.example.com", "port": 443, "tls_mode": "tls"}
    assert api("POST", "/relays", body).status_code == 201
    accepted = {"certificate": name, "accept": ["host.not-covered"]}
    assert api("PUT", "/relays/unfit/certificate", accepted).status_code == 200
    said = words(admin.get(f"/certificates/{name}/relays"))
    assert "does not cover elsewhere.example.com" in said
    assert said.count("follows now") == 2


def test_a_rotation_shows_old_against_new_and_asks_for_each_harm(admin: Visitor, api: Api) -> None:
    name = register(api, "one.example.com", "two.example.com")
    relay(api, "rotated", "two.example.com", name)
    given = pasted("one.example.com", "three.example.com")
    fields: dict[str, object] = {"private_key": given.key, "certificate": given.certificate, "expect_version": "1"}
    live = admin.post(f"/certificates/{name}/rotate/check", fields, HX_Request="true")
    assert "two.example.com , no longer covered" in words(live)
    assert "three.example.com , newly covered" in words(live)
    refused = admin.post(f"/certificates/{name}/rotate", fields)
    assert refused.status_code == 422
    assert "Rotate for 1 consumer" in words(refused)
    assert 'value="relay-rotated:host.not-covered"' in refused.text
    for line in given.key.splitlines()[1:-1]:
        assert line not in live.text + refused.text
    done = admin.post(f"/certificates/{name}/rotate", fields | {"accept": "relay-rotated:host.not-covered"})
    assert (done.status_code, done.location) == (303, f"/certificates/{name}/rollout")
    assert "Version 2" in words(admin.get(f"/certificates/{name}"))


def test_checking_first_changes_nothing(admin: Visitor, api: Api) -> None:
    name, given = register(api, "first.example.com"), pasted("first.example.com")
    fields = {"private_key": given.key, "certificate": given.certificate, "expect_version": "1", "preview": "yes"}
    answer = admin.post(f"/certificates/{name}/rotate", fields)
    assert answer.status_code == 200
    assert "a new key" in words(answer)
    assert api("GET", f"/certificates/{name}").json["version"] == 1


def test_a_new_certificate_without_its_key_is_refused_unless_the_key_is_kept(admin: Visitor, api: Api) -> None:
    name, given = register(api, "kept.example.com"), pasted("kept.example.com")
    fields = {"certificate": given.certificate, "expect_version": "1"}
    answer = admin.post(f"/certificates/{name}/rotate", fields)
    assert answer.status_code == 422
    assert "Keep the current key" in answer.text.split('id="private_key-findings"')[1].split("</div>")[0]
    kept = admin.post(f"/certificates/{name}/rotate", fields | {"keep_key": "y"})
    assert kept.status_code == 422
    assert api("GET", f"/certificates/{name}").json["version"] == 1


def test_the_second_of_two_administrators_is_told_what_changed(admin: Visitor, api: Api) -> None:
    name, given = register(api, "both.example.com"), pasted("both.example.com")
    body = {"private_key": given.key, "certificate": given.certificate}
    assert api("PUT", f"/certificates/{name}", body, If_Match='"1"').status_code == 200
    late = pasted("both.example.com")
    fields = {"private_key": late.key, "certificate": late.certificate, "expect_version": "1"}
    answer = admin.post(f"/certificates/{name}/rotate", fields)
    assert answer.status_code == 412
    assert api("GET", f"/certificates/{name}").json["version"] == 2


def test_the_description_is_changed(admin: Visitor, api: Api) -> None:
    name = register(api)
    fields = {"display_name": "A better name", "comment": "Why it is", "labels": "team=platform\nenv = production"}
    assert admin.post(f"/certificates/{name}/edit", fields).status_code == 303
    said = words(admin.get(f"/certificates/{name}"))
    assert "A better name" in said
    assert "Why it is" in said
    assert "team platform" in said
    assert admin.post(f"/certificates/{name}/edit", {"display_name": ""}).status_code == 422


def test_a_certificate_in_use_cannot_be_deleted_and_the_page_names_its_users(admin: Visitor, api: Api) -> None:
    name = register(api, "inuse.example.com")
    relay(api, "in-use", "inuse.example.com", name)
    said = words(admin.get(f"/certificates/{name}/delete"))
    assert "1 consumer would be cut off" in said
    assert "in-use" in said
    answer = admin.post(f"/certificates/{name}/delete", {"confirm": name})
    assert answer.status_code == 409
    assert api("GET", f"/certificates/{name}").status_code == 200


def test_deletion_asks_for_the_name_and_can_be_undone_until_it_is_destroyed(admin: Visitor, api: Api) -> None:
    name = register(api)
    assert admin.post(f"/certificates/{name}/delete", {"confirm": "another"}).status_code == 422
    assert admin.post(f"/certificates/{name}/delete", {"confirm": name}).status_code == 303
    assert "This certificate is deleted" in words(admin.get(f"/certificates/{name}"))
    assert admin.post(f"/certificates/{name}/restore").status_code == 303
    assert "This certificate is deleted" not in words(admin.get(f"/certificates/{name}"))
    admin.post(f"/certificates/{name}/delete", {"confirm": name})
    assert admin.post(f"/certificates/{name}/destroy", {"confirm": name}).location == "/certificates"
    assert admin.get(f"/certificates/{name}").status_code == 404


def test_an_auditor_sees_everything_and_no_action(console: Console, auditor: Visitor, api: Api) -> None:
    name = register(api, "audited.example.com")
    page = auditor.get(f"/certificates/{name}")
    assert "audited.example.com" in words(page)
    assert "read-only" in words(page)
    for action in ("rotate", "edit", "delete"):
        assert f"/certificates/{name}/{action}" not in page.text
    assert "/new/certificate" not in auditor.get("/certificates").text
    given = pasted()
    fields = {"name": "By an auditor", "private_key": given.key, "certificate": given.certificate}
    assert auditor.post("/new/certificate", fields).status_code == 403
    assert admin_token_still_sees(console, name)


def admin_token_still_sees(console: Console, name: str) -> bool:
    """Nothing was lost by the auditor's try."""
    return console.api()("GET", f"/certificates/{name}").status_code == 200


def test_a_certificate_that_does_not_exist_is_a_page_that_says_so(admin: Visitor) -> None:
    answer = admin.get("/certificates/none-of-that-name")
    assert answer.status_code == 404
    assert "There is no certificate named none-of-that-name" in words(answer)
