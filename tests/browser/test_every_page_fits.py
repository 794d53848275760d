"""Every page: WCAG 2.2 AA by axe-core, no sideways scrolling on a phone or at 200 % zoom, light and dark."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.conftest import AXE, DESK, PHONE, Site, open_window, sign_in
from tests.web.pages.conftest import pasted
from tests.web.pages.test_every_page import addresses

pytestmark = [pytest.mark.live, pytest.mark.browser]

RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = ["color-contrast"]
"""What alone can differ between light and dark."""
LONG = "a-very-long-name-that-somebody-gave-to-it-in-a-hurry-long-ago"
ZOOMED = {"width": 720, "height": 450}
"""A desk at 200 %."""


@pytest.fixture(scope="module")
def filled(site: Site) -> Site:
    """Something of everything, with long names among it."""
    for name, host, days in (("every", "every.example.com", 90), (LONG, f"{LONG}.{LONG}.example.com", 5)):
        api, given = site.api, pasted("short.example.com", host, days=days, client_ca=True)
        body = {"name": name, "private_key": given.key, "certificate": given.certificate, "ca": given.ca}
        body["comment"] = "Words about it. " * 12
        assert api("POST", "/certificates", body).status_code == 201
        relay = {"name": name, "host": host, "port": 443, "tls_mode": "mtls", "certificate": name}
        assert api("POST", "/relays", relay).status_code == 201
        cluster = {"name": "one", "url": f"https://{host}:2376/{'path/' * 20}", "cert_auth": True}
        provider = {"name": name, "kind": "swarm", "clusters": [cluster]}
        assert api("POST", "/providers", provider).status_code == 201
    return site


def pages(site: Site) -> list[str]:
    """The address of every page, and of some with nothing or too much in it."""
    found = [*addresses(site.console.app), "/certificates?q=nothing-is-called-that", "/no-such-page"]
    return found + [f"/certificates/{LONG}{tab}" for tab in ("", "/relays", "/rotate")] + [f"/relays/{LONG}"]


def troubles(page: Page, rules: list[str]) -> list[str]:
    """What axe-core finds."""
    page.evaluate(AXE.read_text())
    run = "rules => axe.run(document, {runOnly: rules, resultTypes: ['violations']}).then(found => found.violations)"
    found: list[dict[str, Any]] = page.evaluate(run, rules)
    return [f"{it['id']}: {it['nodes'][0]['target']} {it['nodes'][0]['failureSummary']}" for it in found]


@pytest.mark.parametrize(
    ("size", "scheme", "rules"),
    [(DESK, "light", RULES), (PHONE, "dark", RULES), (DESK, "dark", COLOURS), (PHONE, "light", COLOURS)],
    ids=["desk", "phone-dark", "desk-dark", "phone"],
)
@pytest.mark.timeout(170)
def test_every_page_is_accessible_and_does_not_scroll_sideways(
    chromium: Browser, filled: Site, size: dict[str, int], scheme: str, rules: list[str]
) -> None:
    context, window = open_window(chromium, filled, size=size, scheme=scheme)
    wrong = []
    window.page.goto("/sign-in")
    wrong += [("/sign-in", it) for it in troubles(window.page, rules)]
    sign_in(window.page, filled)
    for address in pages(filled):
        window.page.goto(address)
        wrong += [(address, it) for it in troubles(window.page, rules)]
        width = window.page.evaluate("document.documentElement.scrollWidth")
        if width > size["width"]:
            wrong.append((address, f"{width} px wide"))
    context.close()
    assert wrong == []
    assert window.complaints == []


def test_no_page_scrolls_sideways_at_200_percent(chromium: Browser, filled: Site) -> None:
    context, window = open_window(chromium, filled, size=ZOOMED)
    sign_in(window.page, filled)
    wide = []
    for address in pages(filled):
        window.page.goto(address)
        if window.page.evaluate("document.documentElement.scrollWidth") > ZOOMED["width"]:
            wide.append(address)
    context.close()
    assert wide == []
