"""Pasting and dropping in a real browser."""

from __future__ import annotations

import re
from base64 import b64encode

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Site
from tests.browser.test_main_job import create, fill
from tests.web.pages.conftest import pasted
from tests.web.pages.test_pasting import PASSPHRASE, mail, pkcs12

pytestmark = [pytest.mark.live, pytest.mark.browser]

DROP = """([selector, files]) => {
  const transfer = new DataTransfer();
  for (const [name, content] of files) {
    transfer.items.add(new File([Uint8Array.from(atob(content), (one) => one.charCodeAt(0))], name));
  }
  const target = document.querySelector(selector);
  for (const kind of ["dragenter", "dragover", "drop"]) {
    target.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer: transfer }));
  }
}"""


def drop(page: Page, selector: str, **files: bytes) -> None:
    """Let files fall on an element."""
    named = [[name.replace("_", "."), b64encode(content).decode()] for name, content in files.items()]
    page.evaluate(DROP, [selector, named])


def test_a_whole_mail_in_one_field_becomes_a_certificate(page: Page, site: Site) -> None:
    given = pasted("mail.browser.example.com")
    page.goto("/new/certificate")
    fill(page, "Name", "browser-mail")
    fill(page, "CERT", mail(given))
    expect(page.locator("#understood")).to_contain_text("moved to KEY")
    expect(page.locator("#understood")).to_contain_text("Put in order")
    expect(page.locator("#understood .chain")).to_contain_text("issued by Test Intermediate")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("browser-mail")
    assert site.api("GET", "/certificates/browser-mail").json["certificate"] == given.certificate


def test_files_that_fall_on_the_form_go_where_they_belong(page: Page) -> None:
    given = pasted("dropped.example.com")
    page.goto("/new/certificate")
    fill(page, "Name", "browser-dropped")
    drop(page, "form#bundle .panel-foot", key_pem=given.key.encode(), chain_pem=given.certificate.encode())
    expect(page.get_by_label("KEY", exact=True)).to_have_value(re.compile(re.escape(given.key.strip())))
    expect(page.locator("#understood")).to_contain_text("Can be used")
    page.get_by_role("button", name="Create").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("browser-dropped")


def test_a_pkcs12_file_that_falls_on_a_field_is_opened_with_its_passphrase(page: Page) -> None:
    given = pasted("p12.example.com")
    page.goto("/new/certificate")
    drop(page, ".pem-drop:has(#certificate)", all_p12=pkcs12(given))
    expect(page.locator("#understood")).to_contain_text("PKCS#12 file")
    expect(page.locator("#certificate-findings, #private_key-findings").get_by_text("passphrase").first).to_be_visible()
    page.locator("#passphrase").fill(PASSPHRASE)
    expect(page.locator("#understood")).to_contain_text("Can be used")
    expect(page.locator("#understood")).to_contain_text("p12.example.com")


def test_a_file_that_is_too_large_is_named_and_left_out(page: Page) -> None:
    page.goto("/new/certificate")
    drop(page, ".pem-drop:has(#ca)", store_pem=b"x" * 300_000)
    expect(page.locator("#ca-findings")).to_have_text("store.pem: larger than 256 kB, left out.")
    expect(page.locator("#ca")).to_have_value("")


def test_the_missing_intermediate_is_added_with_one_click(page: Page, site: Site) -> None:
    create(page, "browser-held", "held.browser.example.com")
    held = site.api("GET", "/certificates/browser-held").json["certificate"]
    leaf, middle = held.split("-----END CERTIFICATE-----\n", 1)
    page.goto("/new/certificate")
    fill(page, "CERT", f"{leaf}-----END CERTIFICATE-----\n")
    expect(page.locator("#understood .missing")).to_be_visible()
    page.get_by_role("button", name="Add it to CERT").click()
    expect(page.locator("#understood .missing")).to_have_count(0)
    assert middle.strip() in page.locator("#certificate").input_value()
