"""Vault goes away: people still see everything, cannot change anything, and are told so."""

from __future__ import annotations

from contextlib import suppress

import pytest

from service.errors import Unavailable
from tests.web.conftest import Console
from tests.web.pages.conftest import Visitor, pasted, words

pytestmark = pytest.mark.live


def test_without_vault_the_pages_stay_and_say_what_still_works(console: Console, admin: Visitor) -> None:
    given = pasted("outage.example.com")
    fields = {"name": "outage", "private_key": given.key, "certificate": given.certificate}
    assert admin.post("/new/certificate", fields).status_code == 303
    console.instance.bao.stop()
    try:
        with suppress(Unavailable):
            console.index.refresh()
        page = admin.get("/certificates")
        assert page.status_code == 200
        assert "outage.example.com" in words(page)
        assert "Vault has been sealed or out of reach" in words(page)
        assert "Consumers keep serving what they have installed" in words(page)
        again = admin.post("/new/certificate", fields | {"name": "while away"})
        assert again.status_code == 503
        assert "CERT" in words(again)
        assert given.key.splitlines()[1] not in again.text
        assert admin.post("/certificates/outage/delete", {"confirm": "outage"}).status_code == 503
    finally:
        console.instance.bao.start()
    console.index.refresh()
    assert "Vault reachable" in words(admin.get("/certificates"))
    assert "while away" not in words(admin.get("/certificates"))
