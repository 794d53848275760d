"""Whether a change was asked for by our own pages (CSRF). A browser adds a cookie by itself, and never a header: only
requests that could be carried by the cookie need a proof.

Two proofs, each enough against a foreign site: the token that only our pages hold, and what the browser itself says of
where the request comes from.
"""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from flask import Flask, request
from flask_wtf.csrf import CSRFProtect

from service.errors import Malformed
from service.web import identity

UNSAFE: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
OWN_SITES: Final = frozenset({"same-origin", "none"})
"""`Sec-Fetch-Site` (Fetch Metadata §2.3) of our own pages, and of what a person typed."""


def install(app: Flask, csrf: CSRFProtect, api: str) -> None:
    """Refuse forged changes. `api` is the name of the API's blueprint."""

    @app.before_request
    def _protect() -> None:
        if request.method not in UNSAFE or request.routing_exception is not None:
            return
        if identity.header_token() is not None:
            return  # the cookie is not looked at
        if request.blueprint == api and not identity.has_cookie():
            return  # nobody's request; the call says so
        if is_foreign():
            raise Malformed("This came from another site. Nothing was changed.", code="request.csrf")
        csrf.protect()


def is_foreign() -> bool:
    """Whether the browser says that another site asks. Old browsers say nothing, and then the token decides alone."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site not in OWN_SITES
    origin = request.headers.get("Origin")
    return origin is not None and urlsplit(origin).netloc != request.host
