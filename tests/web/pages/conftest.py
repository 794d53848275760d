"""People at the console's pages, as a browser without script asks for them."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.material import Paste, paste
from tests.web.conftest import BASE, Console

FORM = {"Referer": f"{BASE}/"}
"""Flask-WTF wants to see where a form over TLS comes from."""


@dataclass
class Visitor:
    """Somebody with a browser of their own."""

    client: FlaskClient

    def get(self, path: str, **headers: str) -> TestResponse:
        """Open a page."""
        return self.client.get(path, base_url=BASE, headers=headers)

    def post(self, path: str, fields: dict[str, object] | None = None, **headers: str) -> TestResponse:
        """Send a form, with the CSRF token that stands in every page."""
        page = self.get("/sign-in")
        if page.status_code == 303:
            page = self.get("/api")
        token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert token is not None
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = {"csrf_token": token[1], **(fields or {})}
        return self.client.post(path, base_url=BASE, data=data, headers=FORM | named)

    def sign_in(self, username: str, password: str, next_path: str = "") -> TestResponse:
        """Sign in by the form."""
        fields: dict[str, object] = {"method": "userpass", "username": username, "password": password}
        return self.post("/sign-in", fields | {"next": next_path})


def words(answer: TestResponse) -> str:
    """What a page says: its text without its tags, spaces collapsed."""
    body = re.sub(r"(?s)<(script|style|svg)\b.*?</\1>", " ", answer.text)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def pasted(*hosts: str, days: float = 90, client_ca: bool = False) -> Paste:
    """Material that is valid today."""
    return paste(*hosts, now=datetime.now(UTC), days=days, client_ca=client_ca)


@pytest.fixture
def stranger(console: Console) -> Visitor:
    """Nobody yet."""
    return Visitor(console.browser())


@pytest.fixture
def admin(console: Console) -> Visitor:
    """A signed-in administrator."""
    visitor = Visitor(console.browser())
    answer = visitor.sign_in(console.instance.admin_username, console.instance.admin_password)
    assert answer.status_code == 303, words(answer)
    return visitor


@pytest.fixture
def auditor(console: Console) -> Visitor:
    """A signed-in auditor."""
    visitor = Visitor(console.browser())
    answer = visitor.sign_in(console.instance.auditor_username, console.instance.auditor_password)
    assert answer.status_code == 303, words(answer)
    return visitor
