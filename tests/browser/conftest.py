"""Debian's chromium at a console over a real OpenBao, over TLS.

Playwright's synchronous interface keeps an event loop running while it is started, and pytest-asyncio's tests cannot
run beside that: it is started once a module here, never once a session.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

from tests.conftest import Instance
from tests.web.conftest import Api, Console, make_console, served

CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",  # a container's root cannot have one
    "--disable-gpu",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP console.example.com 127.0.0.1",
]
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1440, "height": 900}


@dataclass
class Site:
    """A console that a browser can open."""

    console: Console
    url: str

    @property
    def api(self) -> Api:
        """The API as the administrator: to prepare what a test is not about."""
        return self.console.api()


@pytest.fixture(scope="module")
def site(instance: Instance, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The console of this module, listening."""
    console = make_console(instance)
    with served(console, "console.example.com", tmp_path_factory.mktemp("tls")) as port:
        yield Site(console, f"https://console.example.com:{port}")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The browser."""
    if not CHROMIUM.exists():
        pytest.skip(f"{CHROMIUM} is not installed (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=FLAGS)
        yield browser
        browser.close()


@dataclass
class Window:
    """One browser window, and what its console complained about."""

    page: Page
    complaints: list[str]


def open_window(
    chromium: Browser, site: Site, *, size: dict[str, int] | None = None, scheme: str = "light", script: bool = True
) -> tuple[BrowserContext, Window]:
    """A window with cookies of its own."""
    context = chromium.new_context(
        viewport=size or DESK,  # type: ignore[arg-type]
        base_url=site.url,
        ignore_https_errors=True,
        color_scheme=scheme,  # type: ignore[arg-type]
        java_script_enabled=script,
    )
    context.set_default_timeout(10_000)
    complaints: list[str] = []

    def heard(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and "the server responded with a status of 4" not in message.text:
            complaints.append(message.text)

    page = context.new_page()
    page.on("console", heard)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    return context, Window(page, complaints)


def sign_in(page: Page, site: Site) -> None:
    """As the administrator, by the form."""
    page.goto("/sign-in")
    page.get_by_label("User name").fill(site.console.instance.admin_username)
    page.get_by_label("Password").fill(site.console.instance.admin_password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site.url}/")


@pytest.fixture
def page(chromium: Browser, site: Site) -> Iterator[Page]:
    """A signed-in administrator's page; it may not have complained, least of all about the Content-Security-Policy."""
    context, window = open_window(chromium, site)
    sign_in(window.page, site)
    yield window.page
    context.close()
    assert window.complaints == []


@pytest.fixture
def plain_page(chromium: Browser, site: Site) -> Iterator[Page]:
    """The same without JavaScript."""
    context, window = open_window(chromium, site, script=False)
    sign_in(window.page, site)
    yield window.page
    context.close()
