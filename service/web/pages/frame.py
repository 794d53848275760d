"""What every page has around it: who is signed in, the navigation, Vault's health, the colours, the assets."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from flask import Response, current_app, redirect, request, url_for
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import generate_csrf

from service.errors import Unavailable
from service.index import Snapshot
from service.inventory import Inventory
from service.inventory.people import Session
from service.web import filters, identity
from service.web.pages.blueprint import pages
from service.web.pages.standing import Kind
from service.web.ports import Ports

STATIC_DIR: Final = Path(__file__).parent.parent / "static"
SCHEME_COOKIE: Final = "keystead_scheme"
SCHEMES: Final = ("system", "light", "dark")
SCHEME_COOKIE_AGE_S: Final = 365 * 86_400
ASSET_AGE: Final = "public, max-age=31536000, immutable"
"""An asset's URL carries its content's hash, so its answer never changes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of the navigation."""

    key: str
    text: str
    href: str
    icon: str
    count: int | None


@dataclass(frozen=True, slots=True)
class VaultState:
    """Vault's health as the frame shows it; `banner` is empty when all is well."""

    kind: Kind
    word: str
    banner: str


def ports() -> Ports:
    """What this application was built with."""
    return identity.ports()


def session() -> Session:
    """The signed-in person; every page but the sign-in is behind `identity.required`."""
    return identity.current_session()


def inventory() -> Inventory:
    """The use cases, with the hands of the signed-in person."""
    return ports().inventory_for(session())


def snapshot() -> Snapshot:
    """Everything public, from memory."""
    return ports().index.snapshot()


def now() -> datetime:
    """Aware UTC now."""
    return ports().clock()


def may_change() -> bool:
    """Whether the signed-in person is an administrator. What a page hides by this, Vault refuses anyway."""
    return session().may_change


@cache
def _asset_version(path: str) -> str:
    return hashlib.sha256((STATIC_DIR / path).read_bytes()).hexdigest()[:12]


def asset(path: str) -> str:
    """The URL of a static file, with its content's hash."""
    return url_for("static", filename=path, v=_asset_version(path))


def local_path(target: str | None) -> str | None:
    """A path on this site, or None: nobody is sent elsewhere by a link that somebody made up."""
    if not target or not target.startswith("/") or target.startswith(("//", "/\\")):
        return None
    parts = urlsplit(target)
    return None if parts.scheme or parts.netloc or any(ord(letter) < 33 for letter in target) else target


def by_htmx() -> bool:
    """Whether a script of the page asks, for a part of it."""
    return "HX-Request" in request.headers


def go(target: str) -> ResponseReturnValue:
    """On to another page, once something was done; a script is told to go there, since `fetch` follows by itself."""
    if by_htmx():
        return Response(status=204, headers={"HX-Redirect": target})
    return redirect(target, 303)


def scheme() -> str:
    """The colours a person chose; the system's when they chose none."""
    chosen = request.cookies.get(SCHEME_COOKIE, "system")
    return chosen if chosen in SCHEMES else "system"


def vault_state() -> VaultState:
    """What the index knows of Vault's health. No request is made for it."""
    index = ports().index
    if not index.ready:
        return VaultState(
            "wrong", "Vault not reached", "Vault has not answered yet. Nothing can be shown or changed until it does."
        )
    since = index.stale_since
    if since is None:
        return VaultState("ok", "Vault reachable", "")
    since_s = max((now() - since).total_seconds(), 0)
    return VaultState(
        "wrong",
        "Vault unreachable",
        f"Vault has been sealed or out of reach for {filters.span(since_s)}. You see everything as it was then; "
        "nothing can be changed. "
        "Consumers keep serving what they have installed.",
    )


def _entries() -> list[Entry]:
    try:
        seen = snapshot()
        counts = (sum(not view.deleted for view in seen.certificates.values()), len(seen.relays), len(seen.providers))
    except Unavailable:
        counts = None
    certificates, relays, providers = counts or (None, None, None)
    found = [
        Entry("dashboard", "Dashboard", url_for("pages.dashboard"), "layout-dashboard", None),
        Entry("certificates", "Certificates", url_for("pages.certificates"), "certificate", certificates),
        Entry("relays", "Relays", url_for("pages.relays"), "broadcast", relays),
        Entry("providers", "Container Providers", url_for("pages.providers"), "stack-2", providers),
    ]
    if "pages.audit" in current_app.view_functions:
        found.append(Entry("audit", "Audit", url_for("pages.audit"), "shield-check", None))
    found.append(Entry("api", "API", url_for("pages.api_docs"), "code", None))
    return found


@pages.app_context_processor
def _around() -> dict[str, Any]:
    around: dict[str, Any] = {
        "asset": asset,
        "csrf_token": generate_csrf,
        "now": now(),
        "scheme": scheme(),
        "instance_name": ports().instance_name,
        "vault_state": vault_state(),
        "signed_in": identity.is_signed_in(),
        "may_change": False,
    }
    if around["signed_in"]:
        person = session()
        around |= {
            "who": person.who,
            "role_word": "administrator" if person.may_change else "auditor, read-only",
            "may_change": person.may_change,
            "session_ends_at": person.expires_at,
            "nav_entries": _entries(),
        }
    return around


@pages.record_once
def _filters(state: Any) -> None:  # noqa: ANN401 - Flask's setup state carries no type
    state.app.jinja_env.filters.update(filters.FILTERS)
    state.app.jinja_env.trim_blocks = True
    state.app.jinja_env.lstrip_blocks = True


@pages.after_app_request
def _cache(response: Response) -> Response:
    if request.endpoint == "static" and response.status_code == 200 and "v" in request.args:
        response.headers["Cache-Control"] = ASSET_AGE
    return response


@pages.post("/preferences/scheme")
def choose_scheme() -> ResponseReturnValue:
    """Light, dark, or as the system: a cookie, so that it works without script and on the sign-in page."""
    chosen = request.form.get("scheme", "")
    response = redirect(local_path(request.form.get("back")) or url_for("pages.dashboard"), 303)
    if chosen in SCHEMES:
        response.set_cookie(
            SCHEME_COOKIE, chosen, max_age=SCHEME_COOKIE_AGE_S, secure=request.is_secure, httponly=True, samesite="Lax"
        )
    return response
