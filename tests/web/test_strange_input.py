"""Strange input of every kind, to every call: an answer with a code, never a fault of ours."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.material import issue, paste
from tests.web.conftest import BASE, Api, Console
from tests.web.test_security import signed_in

STRANGE: list[Any] = [
    "\x00",
    "\ud800",
    "a\r\nSet-Cookie: x=1",
    "<script>alert(1)</script>",
    "../../sys/policies",
    "{{identity.entity.name}}",
    "*",
    "+",
    "x" * 70_000,
    "ｆｕｌｌｗｉｄｔｈ",
    "\u202ertl",
    "é" * 300,
    -1,
    10**30,
    1.5,
    True,
    None,
    [],
    {},
    [[[[]]]],
]
CALLS = [
    ("POST", "/certificates", ("name", "private_key", "certificate", "ca", "passphrase", "comment", "labels")),
    ("PATCH", "/certificates/real", ("display_name", "comment", "labels")),
    ("PUT", "/certificates/real", ("private_key", "certificate", "ca", "passphrase", "accept")),
    ("POST", "/checks", ("private_key", "certificate", "ca", "passphrase", "hosts", "purpose", "name")),
    ("POST", "/relays", ("name", "host", "port", "tls_mode", "certificate", "provider", "enabled", "comment")),
    ("PATCH", "/relays/real", ("host", "port", "tls_mode", "certificate", "provider", "enabled", "comment")),
    ("PUT", "/relays/real/certificate", ("certificate", "accept")),
    ("POST", "/providers", ("name", "kind", "visibility", "multi_cluster", "comment", "clusters")),
    ("POST", "/providers/real/clusters", ("name", "url", "server_name", "cert_auth", "certificate")),
    ("PATCH", "/providers/real", ("display_name", "visibility", "enabled", "multi_cluster", "comment")),
    ("POST", "/session", ("method", "username", "password", "request_id", "factor_id", "passcode")),
]
GOOD: dict[str, dict[str, Any]] = {
    "/relays": {"name": "new", "host": "relay.example.com", "port": 443},
    "/providers": {"name": "new", "kind": "swarm"},
    "/providers/real/clusters": {"name": "new", "url": "https://swarm.example.com"},
    "/relays/real/certificate": {"certificate": None},
    "/session": {"username": "nobody", "password": "x"},
}


@pytest.fixture(scope="module")
def furnished(console: Console) -> Console:
    """A console with one of each."""
    api, pasted = console.api(), paste("relay.example.com", now=datetime.now(UTC))
    body = {"name": "real", "private_key": pasted.key, "certificate": pasted.certificate}
    assert api("POST", "/certificates", body).status_code == 201
    assert api("POST", "/relays", {"name": "real", "host": "relay.example.com", "port": 443}).status_code == 201
    assert api("POST", "/providers", {"name": "real", "kind": "swarm"}).status_code == 201
    GOOD["/certificates"] = body | {"name": "other"}
    return console


@pytest.mark.parametrize(("method", "path", "fields"), CALLS, ids=[f"{method} {path}" for method, path, _ in CALLS])
def test_no_field_makes_a_fault_of_ours(furnished: Console, method, path, fields):
    api = furnished.api()
    for field in fields:
        for value in STRANGE:
            answer = api(method, path, GOOD.get(path, {}) | {field: value}, If_Match='"1"')
            assert answer.status_code < 500, (field, repr(value)[:60], answer.get_data(as_text=True)[:300])


@pytest.mark.parametrize("value", ["\x00", "%00", "%ff", "%2f..%2f", "<script>", "a%0d%0ab", "x" * 4000, "{}", "*"])
def test_no_address_makes_a_fault_of_ours(furnished: Console, value):
    browser = signed_in(furnished)
    for path in ("/certificates/", "/relays/", "/providers/", "/certificates?q=", "/certificates?cursor=", "/static/"):
        for prefix in ("", "/api/v1"):
            answer = browser.get(f"{prefix}{path}{value}", base_url=BASE)
            assert answer.status_code < 500, (path, answer.get_data(as_text=True)[:300])
            if answer.mimetype == "text/html":
                assert "<script>" not in answer.get_data(as_text=True), path


def test_what_certificates_and_people_say_is_text_on_pages(furnished: Console):
    api: Api = furnished.api()
    evil = "<img src=x onerror=alert(1)>"
    made = issue(evil, hosts=["relay.example.com"], now=datetime.now(UTC))
    body = {"name": evil, "private_key": made.key_pem, "certificate": made.pem, "comment": evil}
    created = api("POST", "/certificates", body)
    assert created.status_code == 201, created.get_data(as_text=True)
    name = created.get_json()["name"]
    relay = {"name": "evil", "host": "relay.example.com", "port": 443, "comment": evil, "certificate": name}
    assert api("POST", "/relays", relay).status_code == 201
    browser = signed_in(furnished)
    tabs = ("", "/relays", "/versions", "/activity", "/rotate", "/edit", "/delete")
    paths = ["/", "/certificates", "/relays", "/relays/evil", *(f"/certificates/{name}{tab}" for tab in tabs)]
    for path in paths:
        page = browser.get(path, base_url=BASE)
        assert page.status_code == 200, path
        assert evil not in page.get_data(as_text=True), path
