"""What a stranger may try: forged requests, stolen and changed cookies, foreign hosts, addresses made up."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from service.web import cookie
from tests.web.conftest import BASE, Console


def signed_in(console: Console) -> FlaskClient:
    browser = console.browser()
    page = browser.get("/sign-in", base_url=BASE)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page.get_data(as_text=True))
    assert token is not None
    method = re.search(r'name="method"[^>]*value="([^"]*)"', page.get_data(as_text=True))
    form = {
        "csrf_token": token[1],
        "method": method[1] if method else "userpass",
        "username": console.instance.admin_username,
        "password": console.instance.admin_password,
    }
    answer = browser.post("/sign-in", base_url=BASE, data=form, headers={"Referer": f"{BASE}/sign-in"})
    assert answer.status_code == 303, answer.get_data(as_text=True)[-2000:]
    return browser


def is_in(browser: FlaskClient) -> bool:
    return browser.get("/certificates", base_url=BASE).status_code == 200


def test_the_session_cookie_is_closed_to_script_and_to_plain_http(console: Console):
    browser = signed_in(console)
    kept = browser.get_cookie(cookie.NAME, domain="console.example.com")
    assert kept is not None
    assert (kept.secure, kept.http_only, kept.same_site, kept.path) == (True, True, "Lax", "/")
    assert console.instance.admin.token.reveal() not in kept.value
    assert is_in(browser)


def test_a_changed_or_foreign_cookie_is_nobodys(console: Console):
    browser = signed_in(console)
    kept = browser.get_cookie(cookie.NAME, domain="console.example.com")
    assert kept is not None
    for value in (kept.value[:-8] + "AAAAAAA=", "x", "", kept.value[1:], "A" * 3900):
        other = console.browser()
        other.set_cookie(cookie.NAME, value, domain="console.example.com", secure=True)
        assert not is_in(other)


def test_an_idle_session_ends_and_a_used_one_ends_too(console: Console):
    idle, used = signed_in(console), signed_in(console)
    try:
        console.clock.ahead = cookie.IDLE_LIMIT + timedelta(seconds=5)
        assert not is_in(idle)
        console.clock.ahead = timedelta()
        assert is_in(used)
        for minutes in range(20, 8 * 60 + 40, 20):
            console.clock.ahead = timedelta(minutes=minutes)
            alive = is_in(used)
        assert not alive
    finally:
        console.clock.ahead = timedelta()


def test_signing_out_revokes_the_token_so_that_a_copied_cookie_is_worthless(console: Console):
    browser = signed_in(console)
    kept = browser.get_cookie(cookie.NAME, domain="console.example.com")
    assert kept is not None
    page = browser.get("/certificates", base_url=BASE).get_data(as_text=True)
    token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', page)
    assert token is not None
    answer = browser.post(
        "/sign-out", base_url=BASE, data={"csrf_token": token[1]}, headers={"Referer": f"{BASE}/certificates"}
    )
    assert answer.status_code == 303
    thief = console.browser()
    thief.set_cookie(cookie.NAME, kept.value, domain="console.example.com", secure=True)
    assert not is_in(thief)


@pytest.mark.parametrize("token", [None, "", "forged"])
def test_a_form_without_its_token_changes_nothing(console: Console, token):
    browser = signed_in(console)
    form = {"name": "x"} if token is None else {"name": "x", "csrf_token": token}
    answer = browser.post("/new/certificate", base_url=BASE, data=form, headers={"Referer": f"{BASE}/x"})
    assert answer.status_code == 400
    assert "request.csrf" in answer.get_data(as_text=True)


def test_the_api_with_a_cookie_needs_the_csrf_token_too(console: Console):
    browser = signed_in(console)
    answer = browser.post("/api/v1/checks", base_url=BASE, json={})
    assert (answer.status_code, answer.get_json()["code"]) == (400, "request.csrf")


def test_a_foreign_host_name_is_not_answered(console: Console):
    assert console.browser().get("/sign-in", base_url="https://evil.example.org").status_code == 400


@pytest.mark.parametrize("target", ["//evil.example.org", "https://evil.example.org", "/\\evil.example.org", "x\r\ny"])
def test_nobody_is_sent_elsewhere_after_signing_in(console: Console, target):
    page = console.browser().get("/sign-in", base_url=BASE, query_string={"next": target})
    assert "evil.example.org" not in page.headers.get("Location", "")
    assert not re.search(r'(action|href)="[^"]*evil\.example\.org', page.get_data(as_text=True))


def test_every_answer_carries_the_security_headers(console: Console):
    browser = signed_in(console)
    for path in ("/", "/certificates", "/sign-in", "/no-such-page", "/api/v1/relays", "/healthz"):
        answer = browser.get(path, base_url=BASE)
        policy = answer.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "max-age=" in answer.headers["Strict-Transport-Security"]


def test_no_page_has_script_or_style_in_it(console: Console):
    browser = signed_in(console)
    for path in ("/", "/certificates", "/new/certificate", "/relays", "/providers", "/api"):
        page = browser.get(path, base_url=BASE).get_data(as_text=True)
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=\"|javascript:", page), path
        assert all(" src=" in tag for tag in re.findall(r"<script[^>]*>", page)), path


def test_a_page_that_does_not_exist_says_so(console: Console):
    answer = signed_in(console).get("/no-such-page", base_url=BASE)
    assert answer.status_code == 404
    assert "no such page" in answer.get_data(as_text=True)


def test_who_is_not_signed_in_is_led_to_the_sign_in_page(console: Console):
    answer = console.browser().get("/certificates?q=x", base_url=BASE)
    assert answer.status_code == 303
    assert answer.headers["Location"].startswith("/sign-in?next=")
