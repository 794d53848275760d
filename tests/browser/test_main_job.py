"""The main job in a real browser: register, bind, rotate, and what is refused."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, Response, expect

from tests.browser.conftest import Site
from tests.web.pages.conftest import pasted

pytestmark = [pytest.mark.live, pytest.mark.browser]


def fill(page: Page, label: str, text: str) -> None:
    """Paste into an area."""
    page.get_by_label(label, exact=True).fill(text)


def create(page: Page, name: str, *hosts: str) -> None:
    """Register a certificate by the form."""
    given = pasted(*hosts)
    page.goto("/new/certificate")
    fill(page, "Name", name)
    fill(page, "KEY", given.key)
    fill(page, "CERT", given.certificate)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(name)


def bind(page: Page, relay: str, host: str, certificate: str) -> None:
    """Register a relay and bind it."""
    page.goto("/new/relay")
    fill(page, "Name", relay)
    fill(page, "Host", host)
    page.get_by_role("button", name="Create").click()
    page.get_by_label("Certificate", exact=True).and_(page.locator("select")).select_option(certificate)
    page.get_by_role("button", name="Bind").click()
    expect(page.get_by_text(f"is bound to {certificate}")).to_be_visible()


def test_a_certificate_is_registered_bound_and_rotated_and_cannot_be_deleted_meanwhile(page: Page, site: Site) -> None:
    create(page, "browser-job", "job.example.com")
    bind(page, "browser-relay", "job.example.com", "browser-job")
    given = pasted("job.example.com", "job2.example.com")
    page.goto("/certificates/browser-job/rotate")
    fill(page, "KEY", given.key)
    fill(page, "CERT", given.certificate)
    expect(page.locator("#compare")).to_contain_text("job2.example.com")
    expect(page.locator("#impact")).to_contain_text("No harm is foreseen")
    page.get_by_role("button", name="Rotate for 1 consumer").click()
    page.wait_for_url("**/certificates/browser-job/rollout")
    expect(page.get_by_text("Version 2 of browser-job is in place")).to_be_visible()
    page.get_by_role("link", name="Delete").click()
    expect(page.get_by_role("heading", name="1 consumer would be cut off")).to_be_visible()
    expect(page.get_by_role("button", name=re.compile("Delete"))).to_have_count(0)
    assert site.api("GET", "/certificates/browser-job").json["version"] == 2


def test_findings_stand_under_their_field_while_one_pastes(page: Page) -> None:
    given, other = pasted("live.example.com"), pasted("other.example.com")
    page.goto("/new/certificate")
    fill(page, "KEY", other.key)
    fill(page, "CERT", given.leaf.pem)
    expect(page.locator("#private_key-findings")).to_contain_text("does not belong to the certificate")
    expect(page.locator("#certificate-findings")).to_contain_text("is missing")
    expect(page.locator("#understood")).to_contain_text("Cannot be used as it is")
    fill(page, "KEY", given.key)
    fill(page, "CERT", given.certificate)
    expect(page.locator("#understood")).to_contain_text("Can be used")
    expect(page.locator("#private_key-findings")).to_be_empty()


def test_what_was_pasted_stays_in_the_browser_when_a_change_is_refused(page: Page) -> None:
    create(page, "browser-harm", "a.harm.example.com", "b.harm.example.com")
    bind(page, "browser-harmed", "b.harm.example.com", "browser-harm")
    given = pasted("a.harm.example.com")
    page.goto("/certificates/browser-harm/rotate")
    fill(page, "KEY", given.key)
    fill(page, "CERT", given.certificate)
    accept = page.get_by_label(re.compile("I accept this"))
    expect(accept).to_be_visible()
    page.get_by_role("button", name="Rotate for 1 consumer").click()
    expect(page.locator("#problem .notice")).to_be_visible()
    expect(page.get_by_label("KEY", exact=True)).to_have_value(given.key)
    accept.check()
    page.get_by_role("button", name="Rotate for 1 consumer").click()
    page.wait_for_url("**/certificates/browser-harm/rollout")
    page.goto("/certificates/browser-harm/relays")
    expect(page.get_by_text("does not cover b.harm.example.com")).to_be_visible()


def test_a_file_is_chosen_instead_of_pasting(page: Page, tmp_path: Path) -> None:
    given = pasted("file.example.com")
    (tmp_path / "key.pem").write_text(given.key)
    (tmp_path / "fullchain.pem").write_text(given.certificate)
    page.goto("/new/certificate")
    fill(page, "Name", "browser-file")
    page.locator("#private_key-file").set_input_files(tmp_path / "key.pem")
    page.locator("#certificate-file").set_input_files(tmp_path / "fullchain.pem")
    expect(page.locator("#understood")).to_contain_text("file.example.com")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("browser-file")


def test_the_same_works_without_script(plain_page: Page) -> None:
    page = plain_page
    create(page, "browser-plain", "plain.example.com")
    bind(page, "browser-plain-relay", "plain.example.com", "browser-plain")
    given = pasted("elsewhere.example.com")
    page.goto("/certificates/browser-plain/rotate")
    fill(page, "KEY", given.key)
    fill(page, "CERT", given.certificate)
    page.get_by_role("button", name="Rotate for 1 consumer").click()
    expect(page.locator("#problem")).to_contain_text("Paste it once more")
    expect(page.get_by_label("KEY", exact=True)).to_have_value("")
    expect(page.get_by_label("CERT", exact=True)).to_have_value(given.certificate)
    page.get_by_label(re.compile("I accept this")).check()
    fill(page, "KEY", given.key)
    page.get_by_role("button", name="Rotate for 1 consumer").click()
    page.wait_for_url("**/certificates/browser-plain/rollout")


def test_a_key_never_stands_in_a_page_the_server_sent(page: Page) -> None:
    given, other = pasted("canary.example.com"), pasted("x.example.com")
    sent: list[str] = []

    def keep(answer: Response) -> None:
        if "html" in answer.headers.get("content-type", ""):
            sent.append(answer.text())

    page.on("response", keep)
    page.goto("/new/certificate")
    fill(page, "Name", "browser-canary")
    fill(page, "KEY", other.key)
    fill(page, "CERT", given.certificate)
    page.get_by_role("button", name="Create").click()
    expect(page.locator("#problem .notice")).to_be_visible()
    fill(page, "KEY", given.key)
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("browser-canary")
    told = "".join(sent)
    assert "browser-canary" in told
    for line in (given.key + other.key).splitlines():
        assert line.startswith("-----") or line not in told


def test_the_keyboard_is_enough_for_the_list(page: Page) -> None:
    create(page, "browser-keys-a", "a.keys.example.com")
    create(page, "browser-keys-b", "b.keys.example.com")
    page.goto("/certificates")
    page.keyboard.press("/")
    page.keyboard.type("browser-keys")
    page.keyboard.press("Enter")
    page.wait_for_url("**/certificates?q=browser-keys*")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("k")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("browser-keys-b")


def test_the_theme_follows_the_system_until_one_is_chosen(page: Page) -> None:
    def background() -> str:
        return str(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    page.emulate_media(color_scheme="light")
    light = background()
    page.emulate_media(color_scheme="dark")
    dark = background()
    assert light != dark
    page.get_by_role("button", name="Light").first.click()
    expect(page.locator("html")).to_have_attribute("data-scheme", "light")
    assert background() == light
