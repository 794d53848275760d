"""What somebody with bad intentions sends: forged changes, fixed sessions, ambiguous bodies, loud errors."""

from __future__ import annotations

import io
import logging
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from flask import Flask, request
from flask.testing import FlaskClient

from service.errors import NotSignedIn, Throttled
from service.inventory.people import People
from service.web import cookie, throttle
from service.web.api.operation import Operation, operations
from service.web.app import create_app
from service.web.ports import Ports
from service.web.throttle import SignInThrottle
from tests.web.conftest import BASE, Console
from tests.web.test_security import is_in, signed_in

HOST = "console.example.com"


def ports_of(console: Console) -> Ports:
    found: Ports = console.app.extensions["keystead"][0]
    return found


def csrf_token(browser: FlaskClient, path: str = "/certificates") -> str:
    page = browser.get(path, base_url=BASE).get_data(as_text=True)
    found = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert found is not None
    return found[1]


def sign_in_form(console: Console, browser: FlaskClient, **more: str) -> dict[str, str]:
    form = {"csrf_token": csrf_token(browser, "/sign-in"), "method": "userpass"}
    return form | {"username": console.instance.admin_username, "password": console.instance.admin_password} | more


def code_of(answer: Any) -> str:
    return str(answer.get_json()["code"])


# Forged changes


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "cross-site"}, 400),
        ({"Sec-Fetch-Site": "same-site"}, 400),
        ({"Origin": BASE}, 200),
        ({"Origin": "https://evil.example.org"}, 400),
        ({"Origin": "https://console.example.com.evil.example.org"}, 400),
        ({"Origin": "null"}, 400),
        ({"Origin": "https://console.example.com:444"}, 400),
        ({"Referer": "https://evil.example.org/"}, 200),
    ],
)
def test_a_change_from_another_site_is_refused_even_with_the_right_token(console: Console, headers, status):
    browser = signed_in(console)
    headers = {"X-CSRFToken": csrf_token(browser), **headers}
    answer = browser.post("/api/v1/checks", base_url=BASE, json={}, headers=headers)
    assert answer.status_code == status, answer.get_data(as_text=True)


def test_the_csrf_token_of_another_session_is_not_accepted(console: Console):
    theirs, mine = csrf_token(signed_in(console)), signed_in(console)
    answer = mine.post("/api/v1/checks", base_url=BASE, json={}, headers={"X-CSRFToken": theirs})
    assert (answer.status_code, code_of(answer)) == (400, "request.csrf")


def test_the_session_call_tells_a_browser_its_csrf_token(console: Console):
    browser = signed_in(console)
    told = browser.get("/api/v1/session", base_url=BASE).get_json()
    assert (told["who"], told["roles"]) == (
        ports_of(console).people.check(console.instance.admin.token.reveal()).who,
        ["administrator"],
    )
    headers = {"X-CSRFToken": told["csrf_token"]}
    assert browser.post("/api/v1/checks", base_url=BASE, json={}, headers=headers).status_code == 200
    assert console.api()("GET", "/session").get_json()["csrf_token"] is None


def test_a_token_in_a_header_counts_and_the_cookie_beside_it_does_not(console: Console):
    browser = signed_in(console)
    auditor = {"X-Vault-Token": console.instance.auditor.token.reveal()}
    body = {"name": "x", "host": "relay.example.com", "port": 443}
    assert browser.post("/api/v1/relays", base_url=BASE, json=body, headers=auditor).status_code == 403
    bad = {"Authorization": "Bearer no-such-token"}
    assert browser.post("/api/v1/relays", base_url=BASE, json=body, headers=bad).status_code == 401
    assert is_in(browser), "a bad header signs nobody out"
    empty = browser.post("/api/v1/relays", base_url=BASE, json=body, headers={"X-Vault-Token": " "})
    assert code_of(empty) == "request.csrf", "an empty header is none"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/api/v1/nothing", 404),
        ("POST", "/api/v1/certificates/x", 405),
        ("DELETE", "/healthz", 405),
        ("POST", "/nothing", 404),
        ("PUT", "/certificates", 405),
        ("TRACE", "/api/v1/relays", 405),
        ("PROPFIND", "/certificates", 405),
        ("HEAD", "/api/v1/relays", 401),
        ("OPTIONS", "/api/v1/relays", 200),
    ],
)
def test_an_address_or_method_that_is_not_there_says_so_to_everybody(console: Console, method, path, status):
    answer = console.browser().open(path, method=method, base_url=BASE)
    assert answer.status_code == status
    assert ("Allow" in answer.headers) == (status in {200, 405})
    assert "Access-Control-Allow-Origin" not in answer.headers


# Sessions


def test_signing_in_starts_a_session_that_nobody_knew_before(console: Console):
    victim = console.browser()
    form = sign_in_form(console, victim)
    before = victim.get_cookie(cookie.NAME, domain=HOST)
    assert before is not None
    assert victim.post("/sign-in", base_url=BASE, data=form).status_code == 303
    after = victim.get_cookie(cookie.NAME, domain=HOST)
    assert after is not None
    assert after.value != before.value
    thief = console.browser()
    thief.set_cookie(cookie.NAME, before.value, domain=HOST, secure=True)
    assert not is_in(thief)
    old = {"X-CSRFToken": form["csrf_token"]}
    assert code_of(victim.post("/api/v1/checks", base_url=BASE, json={}, headers=old)) == "request.csrf"


def test_a_sign_in_page_left_open_over_night_still_works(console: Console):
    browser = console.browser()
    form = sign_in_form(console, browser)
    try:
        console.clock.ahead = timedelta(hours=14)
        assert browser.post("/sign-in", base_url=BASE, data=form).status_code == 303
    finally:
        console.clock.ahead = timedelta()


def test_a_cookie_key_is_replaced_without_signing_anybody_out(console: Console):
    browser = signed_in(console)
    kept = browser.get_cookie(cookie.NAME, domain=HOST)
    assert kept is not None
    former, new = ports_of(console).cookie_keys[0], Fernet.generate_key()
    replaced = create_app(replace(ports_of(console), cookie_keys=(new, former)))
    client = replaced.test_client()
    client.set_cookie(cookie.NAME, kept.value, domain=HOST, secure=True)
    try:
        console.clock.ahead = timedelta(minutes=2)
        assert is_in(client)
        renewed = client.get_cookie(cookie.NAME, domain=HOST)
        assert renewed is not None
        Fernet(new).decrypt(renewed.value)
    finally:
        console.clock.ahead = timedelta()
    without = create_app(replace(ports_of(console), cookie_keys=(new,))).test_client()
    without.set_cookie(cookie.NAME, kept.value, domain=HOST, secure=True)
    assert not is_in(without)


def test_messages_that_do_not_fit_into_the_cookie_do_not_cost_the_session(console: Console):
    cookies = cookie.EncryptedCookies([Fernet.generate_key()], console.clock)
    app, response = Flask("alone"), Flask.response_class()
    session = cookies.session_class({cookie.TOKEN: "t" * 100, "_flashes": [("ok", "x" * 5000)]})
    session.modified = True
    cookies.save_session(app, session, response)
    value = response.headers["Set-Cookie"].split(";")[0].split("=", 1)[1]
    assert len(value) < 4096
    with app.test_request_context(headers={"Cookie": f"{cookie.NAME}={value}"}) as context:
        opened = cookies.open_session(app, context.request)
    assert opened[cookie.TOKEN] == "t" * 100


@pytest.mark.parametrize(
    "target", ["//evil.example.org", "https://evil.example.org", "/\\evil.example.org", "\\\\evil.example.org", "x:y"]
)
def test_after_signing_in_nobody_is_led_off_this_site(console: Console, target):
    browser = console.browser()
    answer = browser.post("/sign-in", base_url=BASE, data=sign_in_form(console, browser, next=target))
    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


# Bodies


@pytest.mark.parametrize(
    "content",
    [
        b'{"name":"twice","host":"a.example.com","host":"b.example.com","port":443}',
        b'{"name":"twice","host":"a.example.com","port":443,"nam\\u0065":"other"}',
    ],
)
def test_a_member_given_twice_is_refused_since_it_is_not_clear_which_counts(console: Console, content):
    headers = {"X-Vault-Token": console.instance.admin.token.reveal(), "Content-Type": "application/json"}
    answer = console.browser().post("/api/v1/relays", base_url=BASE, data=content, headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "request.malformed")
    assert "twice" in answer.get_json()["detail"]
    assert console.api()("GET", "/relays/twice").status_code == 404


@pytest.mark.parametrize("opening", [b'{"labels":' * 50_000, b"[" * 500_000, b'{"accept":' + b"[" * 400_000])
def test_a_body_nested_without_end_is_malformed(console: Console, opening):
    headers = {"X-Vault-Token": console.instance.admin.token.reveal(), "Content-Type": "application/json"}
    answer = console.browser().post("/api/v1/certificates", base_url=BASE, data=opening, headers=headers)
    assert (answer.status_code, code_of(answer)) == (400, "request.malformed")


@pytest.mark.parametrize(
    ("size", "status", "code"), [(2_000_000, 413, "request.too-large"), (3, 400, "request.malformed")]
)
def test_a_body_without_a_length_is_bounded_too(console: Console, size, status, code):
    answer = console.browser().post(
        "/api/v1/checks",
        base_url=BASE,
        input_stream=io.BytesIO(b"[" * size),
        environ_overrides={"wsgi.input_terminated": True},
        headers={"X-Vault-Token": console.instance.admin.token.reveal(), "Transfer-Encoding": "chunked"},
        content_type="application/json",
    )
    assert (answer.status_code, code_of(answer)) == (status, code)


@pytest.mark.parametrize("field", ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC", "a" * 60, "<b>"])
def test_a_key_in_the_place_of_a_field_name_is_not_quoted(console: Console, field):
    answer = console.api()("POST", "/relays", {field: 1})
    assert answer.status_code == 400
    assert field not in answer.get_data(as_text=True)
    assert "nme" in console.api()("POST", "/relays", {"nme": 1}).get_json()["detail"]


def test_the_place_of_a_new_cluster_is_that_of_its_name(console: Console):
    api = console.api()
    assert api("POST", "/providers", {"name": "placed", "kind": "swarm"}).status_code == 201
    made = api("POST", "/providers/placed/clusters", {"name": "Über Alles / x", "url": "https://swarm.example.com"})
    where = made.headers["Location"]
    assert re.fullmatch(r"/api/v1/providers/placed/clusters/[a-z0-9.-]+", where)
    assert api("GET", where.removeprefix("/api/v1")).status_code == 200


CHANGES = [operation for operation in operations if operation.changes]


@pytest.mark.parametrize("operation", CHANGES, ids=[operation.name for operation in CHANGES])
def test_an_auditor_is_refused_before_anything_is_looked_at(console: Console, operation: Operation):
    path = re.sub(r"<\w+>", "some-name", operation.rule)
    answer = console.api(console.instance.auditor.token.reveal())(operation.method, path)
    assert (answer.status_code, code_of(answer)) == (403, "session.not-allowed")


# Guessing


def test_a_refusal_takes_as_long_for_every_name(console: Console):
    took = {}
    for name in ("auditor", "nobody-of-that-name"):
        started = time.monotonic()
        answer = console.api("")("POST", "/session", {"username": name, "password": "wrong"})
        took[name] = time.monotonic() - started
        assert answer.status_code == 401
    assert min(took.values()) >= throttle.REFUSAL_TAKES_S
    assert max(took.values()) < throttle.REFUSAL_TAKES_S + 1


def failing(counted: SignInThrottle, name: str, address: str) -> None:
    with pytest.raises(NotSignedIn), counted.trying(name, address):
        raise NotSignedIn("wrong")


def test_one_subscriber_of_ipv6_is_one_address():
    counted = SignInThrottle(refusal_takes_s=0)
    for number in range(20):
        failing(counted, f"name-{number}", f"2001:db8:1:2::{number:x}")
    with pytest.raises(Throttled), counted.trying("ada", "2001:db8:1:2:ffff::1"):
        pass
    with counted.trying("ada", "2001:db8:1:3::1"):
        pass
    for number in range(20):
        failing(counted, f"other-{number}", "192.0.2.1" if number % 2 else "::ffff:192.0.2.1")
    with pytest.raises(Throttled) as refused, counted.trying("ada", "192.0.2.1"):
        pass
    assert 0 < refused.value.retry_after_s <= 301


def test_a_name_is_throttled_whatever_the_address_and_the_spelling():
    counted = SignInThrottle(refusal_takes_s=0)
    for number in range(5):
        failing(counted, " Ada" if number % 2 else "ada", f"192.0.2.{number}")
    with pytest.raises(Throttled), counted.trying("ADA", "198.51.100.1"):
        pass


def address_seen(console: Console, proxies: int) -> str:
    app = create_app(replace(ports_of(console), proxies=proxies))
    seen = []
    app.before_request(lambda: seen.append(request.remote_addr))
    forwarded = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7"}
    assert app.test_client().get("/healthz", base_url=BASE, headers=forwarded).status_code == 200
    return str(seen[0])


def test_what_strangers_say_of_their_address_is_not_believed(console: Console):
    assert address_seen(console, 0) == "127.0.0.1"
    assert address_seen(console, 1) == "198.51.100.7"


# What is told when things go wrong


def test_a_fault_of_ours_tells_nobody_what_was_pasted(console: Console, caplog: pytest.LogCaptureFixture):
    app = create_app(ports_of(console))

    def fault(rest: str) -> str:
        raise ValueError(f"canary-key {rest}")

    app.add_url_rule("/faulty/<rest>", view_func=fault)
    app.add_url_rule("/api/v1/faulty/<rest>", "api_fault", fault)
    for prefix in ("", "/api/v1"):
        answer = app.test_client().get(f"{prefix}/faulty/a%0dFORGED", base_url=BASE)
        assert answer.status_code == 500
        assert "canary" not in answer.get_data(as_text=True)
    assert "canary" not in caplog.text
    assert "ValueError" in caplog.text
    assert not any(set("\r\n") & set(record.getMessage()) for record in caplog.records)


def test_no_token_or_password_reaches_a_log(console: Console, caplog: pytest.LogCaptureFixture):
    caplog.set_level(logging.DEBUG)
    browser = signed_in(console)
    browser.get("/certificates", base_url=BASE)
    session = console.api("")(
        "POST",
        "/session",
        {"username": console.instance.admin_username, "password": console.instance.admin_password},
    ).get_json()
    api = console.api(session["token"])
    api("POST", "/checks", {"private_key": "canary-key", "passphrase": "canary-passphrase"})
    api("DELETE", "/session")
    api("GET", "/relays")
    assert caplog.records, "the test looks at something"
    for secret in (session["token"], console.instance.admin_password, "canary"):
        assert secret not in caplog.text


# Vault away


@pytest.fixture
def silent_vault() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(16)
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def without_vault(console: Console, url: str) -> Console:
    server = replace(console.instance.server, url=url, timeout_s=0.3)
    ports = replace(ports_of(console), people=People(server, console.clock))
    return Console(create_app(ports), console.instance, console.index, console.clock)


def test_a_vault_that_is_down_or_silent_is_told_as_such(console: Console, silent_vault: str):
    for url in (silent_vault, "http://127.0.0.1:1"):
        lost = without_vault(console, url)
        answers = [
            lost.api()("GET", "/relays"),
            lost.api()("POST", "/relays", {}),
            lost.api("")("POST", "/session", {"username": "ada", "password": "x"}),
        ]
        assert {(answer.status_code, code_of(answer)) for answer in answers} == {(503, "vault.unreachable")}
        assert lost.browser().get("/healthz", base_url=BASE).status_code == 200


def test_a_person_known_a_moment_ago_still_reads_while_vault_is_away(console: Console):
    api, body = console.api(), {"name": "away", "host": "relay.example.com", "port": 443}
    assert api("GET", "/relays").status_code == 200
    console.instance.bao.stop()
    try:
        console.clock.ahead = timedelta(minutes=1)
        assert api("GET", "/relays").status_code == 200
        assert code_of(api("POST", "/relays", body)) == "vault.unreachable"
        assert code_of(console.api("a-token-never-seen")("GET", "/relays")) == "vault.unreachable"
        assert code_of(console.api("")("GET", "/relays")) == "session.missing"
    finally:
        console.clock.ahead = timedelta()
        console.instance.bao.start()
    assert api("GET", "/relays/away").status_code == 404
