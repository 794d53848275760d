"""What holds for every page: a strict Content-Security-Policy, a title, one heading, and no cache."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask import Flask

from tests.web.conftest import Console
from tests.web.pages.conftest import Visitor, pasted, words

pytestmark = pytest.mark.live

WHO = {"name": "every", "cluster": "one", "job": "", "version": 1}


@pytest.fixture(scope="module")
def filled(console: Console) -> Console:
    """A certificate, a relay and a provider, all named `every`, and a test of the relay."""
    api, given = console.api(), pasted("every.example.com")
    body = {"name": "every", "private_key": given.key, "certificate": given.certificate}
    assert api("POST", "/certificates", body).status_code == 201
    newer = pasted("every.example.com")
    rotation = {"private_key": newer.key, "certificate": newer.certificate}
    assert api("PUT", "/certificates/every", rotation, If_Match='"1"').status_code == 200
    relay = {"name": "every", "host": "every.example.com", "port": 443, "tls_mode": "tls", "certificate": "every"}
    assert api("POST", "/relays", relay).status_code == 201
    cluster = {"name": "one", "url": "https://one.example.com:2376", "cert_auth": False}
    provider = {"name": "every", "kind": "swarm", "clusters": [cluster]}
    assert api("POST", "/providers", provider).status_code == 201
    WHO["job"] = api("POST", "/relays/every/test").get_json()["id"]
    return console


def addresses(app: Flask) -> Iterator[str]:
    """The address of every page that can be opened."""
    with app.test_request_context(base_url="https://console.example.com"):
        for rule in app.url_map.iter_rules():
            if rule.endpoint.startswith("pages.") and "GET" in (rule.methods or ()):
                yield rule.build({name: WHO[name] for name in rule.arguments}, append_unknown=False)[1]  # type: ignore[index]


def test_every_page_opens_and_keeps_the_rules(filled: Console, admin: Visitor) -> None:
    opened = 0
    for address in addresses(filled.app):
        answer = admin.get(address)
        if address.startswith("/sign-in"):
            continue
        assert answer.status_code == 200, (address, words(answer)[:300])
        page = answer.text
        assert not re.search(r"\sstyle\s*=|<style|\son[a-z]+\s*=|javascript:", page), address
        assert not re.search(r"<script(?![^>]*\bsrc=)", page), address
        assert len(re.findall(r"<h1[ >]", page)) == 1, address
        assert re.search(r"<title>[^<·]+ · Test instance</title>", page), address
        assert answer.headers["Cache-Control"] == "no-store", address
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert len(re.findall(r'id="([^"]+)"', page)) == len(set(re.findall(r'id="([^"]+)"', page))), address
        opened += 1
    assert opened >= 25


def test_every_changing_form_carries_the_csrf_token(filled: Console, admin: Visitor) -> None:
    for address in addresses(filled.app):
        for form in re.findall(r'(?s)<form method="post".*?</form>', admin.get(address).text):
            assert 'name="csrf_token"' in form, address


def test_every_page_is_for_signed_in_people_only(filled: Console, stranger: Visitor) -> None:
    for address in addresses(filled.app):
        if not address.startswith("/sign-in"):
            answer = stranger.get(address)
            assert answer.status_code == 303, address
            assert answer.location.startswith("/sign-in"), address


def test_an_auditor_can_open_every_page(filled: Console, auditor: Visitor) -> None:
    for address in addresses(filled.app):
        assert auditor.get(address).status_code in {200, 303}, address


def test_an_asset_may_be_kept_for_a_year_because_its_address_changes_with_it(filled: Console, admin: Visitor) -> None:
    assets = set(re.findall(r'(?:src|href)="(/static/[^"#]+)', admin.get("/new/certificate").text))
    assert len(assets) >= 6
    for asset in assets:
        with admin.get(asset.replace("&amp;", "&")) as answer:
            assert answer.status_code == 200, asset
            assert "immutable" in answer.headers["Cache-Control"], asset
    with admin.get("/static/console.css") as answer:
        assert "immutable" not in answer.headers["Cache-Control"]


def test_a_page_that_does_not_exist_keeps_the_navigation(admin: Visitor) -> None:
    answer = admin.get("/no-such-page")
    assert answer.status_code == 404
    assert 'href="/certificates"' in answer.text


def test_the_dashboard_names_what_needs_attention(filled: Console, admin: Visitor) -> None:
    api, given = filled.api(), pasted("urgent.example.com", days=3)
    body = {"name": "urgent", "private_key": given.key, "certificate": given.certificate}
    assert api("POST", "/certificates", body).status_code == 201
    relay = {"name": "urgent", "host": "urgent.example.com", "port": 443, "tls_mode": "tls", "certificate": "urgent"}
    assert api("POST", "/relays", relay).status_code == 201
    page = admin.get("/")
    said = words(page)
    assert re.search(r"urgent expires in \d days; 1 relay would go dark\. Rotate", said)
    assert "urgent: expires in" in page.text
    assert "created" in said
