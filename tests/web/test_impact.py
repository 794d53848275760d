"""Impact through the HTTP API and the pages: what is told, what is refused, what is accepted."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests import material
from tests.material import Paste
from tests.web.conftest import Api, Console
from tests.web.test_api import body_of, fresh, is_problem, new_name


def now() -> datetime:
    return datetime.now(UTC)


def register(api: Api, *hosts: str, **more: Any) -> tuple[str, Paste]:
    name, pasted = new_name("impact"), fresh(*hosts, **more)
    answer = api("POST", "/certificates", body_of(pasted, name))
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return name, pasted


def bind_relay(api: Api, name: str, certificate: str | None, host: str, **more: Any) -> str:
    body = {"name": name, "host": host, "port": 443, "certificate": certificate, **more}
    answer = api("POST", "/relays", body)
    assert answer.status_code == 201, answer.get_data(as_text=True)
    return f"relay-{name}"


def rotate(api: Api, name: str, version: int = 1, **body: Any) -> Any:
    return api("PUT", f"/certificates/{name}", body, If_Match=f'"{version}"')


def three_relays(api: Api) -> tuple[str, dict[str, str], list[str]]:
    """A certificate with three relays, a rotation that breaks the second, and the consumers."""
    name, _ = register(api, "a.example.com", "b.example.com", "c.example.com")
    consumers = [bind_relay(api, f"{name}-{one}", name, f"{one}.example.com") for one in "abc"]
    new = fresh("a.example.com", "c.example.com")
    return name, {"private_key": new.key, "certificate": new.certificate}, consumers


@pytest.mark.parametrize("for_everybody", [True, False])
def test_a_rotation_that_breaks_one_of_three_relays_names_it_and_goes_through_once_accepted(
    api: Api, *, for_everybody: bool
):
    name, body, (_, broken, _) = three_relays(api)
    refused = rotate(api, name, **body)
    assert is_problem(refused, 422, "impact.not-accepted")
    problem = refused.get_json()
    assert problem["conflicts"] == [f"{broken}:host.not-covered"]
    assert [finding["code"] for finding in problem["findings"]] == ["host.not-covered"]
    assert broken in problem["detail"]
    assert "b.example.com" in problem["findings"][0]["message"]
    for whole in (f"{name}-a", f"{name}-c"):
        assert whole not in refused.get_data(as_text=True)
    assert api("GET", f"/certificates/{name}").get_json()["version"] == 1
    wrong = rotate(api, name, accept=[f"relay-{name}-a:host.not-covered", "ca.dropped"], **body)
    assert is_problem(wrong, 422, "impact.not-accepted")
    accept = "host.not-covered" if for_everybody else f"{broken}:host.not-covered"
    done = rotate(api, name, accept=[accept], **body)
    assert (done.status_code, done.get_json()["version"]) == (200, 2)


def test_a_check_with_the_name_tells_each_relay_what_changes(api: Api):
    name, body, (first, broken, last) = three_relays(api)
    impact = api("POST", "/checks", body | {"name": name}).get_json()["impact"]
    told = {(one["consumer"], one["code"], one["severity"]) for one in impact}
    assert (broken, "host.not-covered", "error") in told
    assert impact[0]["accept"] == f"{broken}:host.not-covered"
    assert [one["consumer"] for one in impact if one["code"] == "host.not-covered"] == [broken]
    for consumer in (first, broken, last):
        assert {code for who, code, _ in told if who == consumer} <= {"host.not-covered", "issuer.changed"}


def windows(text: str) -> str:
    return "\ufeff" + text.replace("\n", "\r\n")


def mailed(text: str) -> str:
    return "Hello,\n\nhere it is:\n" + "".join(f"    {line}\n" for line in text.splitlines()) + "\nRegards\n"


def as_it_is(text: str) -> str:
    return text


def turned_round(text: str) -> str:
    blocks = text.split("-----END CERTIFICATE-----\n")[:-1]
    return "".join(f"{block}-----END CERTIFICATE-----\n" for block in reversed(blocks))


@pytest.mark.parametrize("decorate", [as_it_is, windows, mailed])
@pytest.mark.parametrize("order", [as_it_is, turned_round])
@pytest.mark.parametrize("key_pasted", [True, False])
def test_the_same_material_however_it_is_pasted_makes_no_version(
    api: Api, decorate: Callable[[str], str], order: Callable[[str], str], *, key_pasted: bool
):
    name, pasted = register(api, "a.example.com", client_ca=True)
    body = {"certificate": decorate(order(pasted.certificate)), "ca": decorate(order(pasted.ca))}
    if key_pasted:
        body["private_key"] = decorate(pasted.key)
    answer = rotate(api, name, **body)
    assert (answer.status_code, answer.get_json()["version"]) == (200, 1), answer.get_data(as_text=True)
    assert len(api("GET", f"/certificates/{name}/versions").get_json()["items"]) == 1


def test_the_same_authorities_in_another_order_make_no_version(api: Api):
    name, _ = register(api, "a.example.com")
    one, two = (material.root(f"Clients {number}", now=now()).pem for number in (1, 2))
    assert rotate(api, name, ca=one + two).get_json()["version"] == 2
    assert rotate(api, name, 2, ca=two + one).get_json()["version"] == 2
    assert rotate(api, name, 2, ca=two).get_json()["version"] == 3


def test_a_binding_that_drops_the_authority_of_mtls_clients_has_to_be_accepted(api: Api):
    first, _ = register(api, "a.example.com", client_ca=True)
    second, _ = register(api, "a.example.com", client_ca=True)
    consumer = bind_relay(api, f"{first}-mtls", first, "a.example.com", tls_mode="mtls")
    path = f"/relays/{first}-mtls/certificate"
    refused = api("PUT", path, {"certificate": second})
    assert is_problem(refused, 422, "impact.not-accepted")
    assert refused.get_json()["conflicts"] == [f"{consumer}:ca.dropped"]
    bound = api("PUT", path, {"certificate": second, "accept": [f"{consumer}:ca.dropped"]})
    assert (bound.status_code, bound.get_json()["certificate"]) == (200, second)


def test_a_misfit_is_not_excused_by_the_present_certificate_when_another_is_bound(api: Api):
    first, _ = register(api, "a.example.com")
    second, _ = register(api, "b.example.com")
    bind_relay(api, f"{first}-misfit", first, "c.example.com", accept=["host.not-covered"])
    answer = api("PUT", f"/relays/{first}-misfit/certificate", {"certificate": second})
    assert is_problem(answer, 422, "binding.does-not-fit")


def clients_of(api: Api) -> tuple[str, material.Issued]:
    """A certificate whose CA field holds the authority of its clients."""
    name, pasted = new_name("impact"), fresh("a.example.com")
    authority = material.root("Clients CA", now=now())
    body = body_of(pasted, name) | {"ca": authority.pem}
    assert api("POST", "/certificates", body).status_code == 201
    return name, authority


def test_a_client_of_the_stored_authority_would_be_accepted(api: Api):
    name, authority = clients_of(api)
    below = material.intermediate(authority, now=now())
    for issuer in (authority, below):
        client = material.issue("client", issuer=issuer, usages=material.CLIENT, now=now())
        answer = api("POST", f"/certificates/{name}/client-checks", {"certificate": client.chain})
        assert (answer.status_code, answer.get_json()) == (200, {"accepted": True, "findings": []})


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"usages": material.SERVER}, "client.purpose"),
        ({"days": -1}, "client.expired"),
        ({"issuer": material.root("Others", now=now())}, "client.not-issued-by-ca"),
    ],
)
def test_a_client_that_would_be_refused_is_told_why(api: Api, more: dict[str, Any], code: str):
    name, authority = clients_of(api)
    client = material.issue("client", **{"issuer": authority, "usages": material.CLIENT, "now": now()} | more)
    found = api("POST", f"/certificates/{name}/client-checks", {"certificate": client.pem}).get_json()
    assert found["accepted"] is False
    assert [finding["code"] for finding in found["findings"]] == [code]


def test_without_a_ca_or_a_certificate_no_client_would_be_accepted(api: Api):
    name, pasted = register(api, "a.example.com")
    path = f"/certificates/{name}/client-checks"
    found = api("POST", path, {"certificate": pasted.certificate}).get_json()
    assert (found["accepted"], [one["code"] for one in found["findings"]]) == (False, ["ca.missing"])
    withca, _ = clients_of(api)
    for nothing in ("", "nothing", pasted.key, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        answer = api("POST", f"/certificates/{withca}/client-checks", {"certificate": nothing})
        assert [one["code"] for one in answer.get_json()["findings"]] == ["client.unreadable"]
        assert "PRIVATE" not in answer.get_data(as_text=True)
    assert is_problem(
        api("POST", "/certificates/no-such/client-checks", {"certificate": ""}), 404, "certificate.missing"
    )
    assert api("DELETE", f"/certificates/{name}").status_code == 204
    assert is_problem(api("POST", path, {"certificate": ""}), 409, "certificate.deleted")


def in_days(days: int) -> str:
    return (now().date() + timedelta(days=days)).isoformat()


def mtls(api: Api) -> tuple[str, material.Issued, material.Issued]:
    """A certificate with an mTLS relay, the authority of its clients, and their next authority."""
    name, old = clients_of(api)
    bind_relay(api, f"{name}-mtls", name, "a.example.com", tls_mode="mtls")
    return name, old, material.root("Clients CA of next year", now=now())


def would_accept(api: Api, name: str, authority: material.Issued) -> bool:
    client = material.issue("client", issuer=authority, usages=material.CLIENT, now=now())
    answer = api("POST", f"/certificates/{name}/client-checks", {"certificate": client.pem})
    return bool(answer.get_json()["accepted"])


def test_the_old_ca_is_kept_beside_the_new_one_until_a_date_in_one_version(api: Api):
    name, old, new = mtls(api)
    assert is_problem(rotate(api, name, ca=new.pem), 422, "impact.not-accepted")
    until = in_days(30)
    impact = api("POST", "/checks", {"name": name, "ca": new.pem, "keep_ca_until": until}).get_json()["impact"]
    assert {(one["code"], one["severity"]) for one in impact} == {("ca.added", "warning")}
    done = rotate(api, name, ca=new.pem, keep_ca_until=until)
    body = done.get_json()
    assert (done.status_code, body["version"], body["ca"]) == (200, 2, new.pem + old.pem)
    assert body["ca_overlap"] == {"until": until, "authorities": ["Clients CA"]}
    assert would_accept(api, name, old)
    assert would_accept(api, name, new)
    assert api("GET", f"/certificates/{name}").get_json()["ca_overlap"] == body["ca_overlap"]


def test_an_overlap_goes_on_is_prolonged_and_ends(api: Api):
    name, old, new = mtls(api)
    assert rotate(api, name, ca=new.pem, keep_ca_until=in_days(30)).get_json()["version"] == 2
    same = rotate(api, name, 2, ca=new.pem, keep_ca_until=in_days(30)).get_json()
    assert same["version"] == 2  # nothing changes
    renewed = fresh("a.example.com")
    body = {"private_key": renewed.key, "certificate": renewed.certificate}
    carried = rotate(api, name, 2, **body).get_json()
    assert (carried["version"], carried["ca_overlap"]) == (3, same["ca_overlap"])
    longer = rotate(api, name, 3, ca=new.pem, keep_ca_until=in_days(60)).get_json()
    assert (longer["version"], longer["ca_overlap"]["until"]) == (4, in_days(60))
    assert longer["ca"] == new.pem + old.pem
    assert is_problem(rotate(api, name, 4, ca=new.pem), 422, "impact.not-accepted")
    ended = rotate(api, name, 4, ca=new.pem, accept=["ca.dropped"]).get_json()
    assert (ended["version"], ended["ca"], ended["ca_overlap"]) == (5, new.pem, None)
    assert not would_accept(api, name, old)


def test_after_the_date_nothing_is_removed_and_a_finding_says_so(console: Console, api: Api):
    name, old, new = mtls(api)
    body = rotate(api, name, ca=new.pem, keep_ca_until=in_days(5)).get_json()
    assert "ca.overlap-over" not in {finding["code"] for finding in body["findings"]}
    console.clock.ahead = timedelta(days=6)
    try:
        later = api("GET", f"/certificates/{name}").get_json()
    finally:
        console.clock.ahead = timedelta()
    assert [(one["code"], one["severity"]) for one in later["findings"] if one["code"].startswith("ca.")] == [
        ("ca.overlap-over", "warning")
    ]
    assert (later["version"], later["ca"], later["ca_overlap"]) == (2, new.pem + old.pem, body["ca_overlap"])


@pytest.mark.parametrize(
    "day", [0, -1, 399, 100_000, "", "tomorrow", "2027-02-30", "20270131", "2027-W05-7", "٢٠٢٧-٠١-٣١", " 2027-01-31"]
)
def test_a_bad_date_has_one_refusal_and_nothing_is_written(api: Api, day: int | str):
    name, _, new = mtls(api)
    refused = rotate(api, name, ca=new.pem, keep_ca_until=in_days(day) if isinstance(day, int) else day)
    assert is_problem(refused, 422, "overlap.date")
    assert [finding["code"] for finding in refused.get_json()["findings"]] == ["overlap.date"]
    now_stored = api("GET", f"/certificates/{name}").get_json()
    assert (now_stored["version"], now_stored["ca_overlap"]) == (1, None)


def test_the_first_and_the_last_day_are_allowed_and_without_a_dropped_ca_there_is_nothing_to_keep(api: Api):
    for day in (1, 398):
        name, _, new = mtls(api)
        assert rotate(api, name, ca=new.pem, keep_ca_until=in_days(day)).status_code == 200
    name, old, new = mtls(api)
    for body in ({}, {"ca": old.pem + new.pem}):
        assert is_problem(rotate(api, name, keep_ca_until=in_days(9), **body), 422, "overlap.nothing-dropped")
