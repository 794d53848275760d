"""Who is asking: a person with the session cookie (pages), or with a token in a header (the API).

Vault decides who somebody is. It is asked again every few seconds, so a token that was revoked is out soon; every
change is made with that token, and Vault refuses a dead one at once.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Final, TypeVar, cast

import flask_login
from flask import Flask, current_app, g, request
from flask import session as cookie

from service.errors import NotAllowed, NotSignedIn, Problem, Unavailable
from service.inventory import Inventory
from service.inventory.people import Session
from service.web.cookie import TOKEN
from service.web.ports import Ports

CHECKED_FOR: Final = timedelta(seconds=10)
"""How long Vault's word on a token is believed for reading."""
MAX_REMEMBERED: Final = 1024
MAX_TOKEN_CHARACTERS: Final = 1024
"""Vault's service tokens have about 100 characters, batch tokens a few hundred."""
_EXTENSION: Final = "keystead"

View = TypeVar("View", bound=Callable[..., Any])


class Person(flask_login.UserMixin):  # type: ignore[misc] # flask_login has no types
    """The signed-in person of a request, as Flask-Login wants one."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.id = session.who


class Doorkeeper:
    """Remembers for a few seconds who a token is, by a keyed hash of it. Thread-safe."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._key = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._known: OrderedDict[bytes, tuple[Session, datetime]] = OrderedDict()

    def person(self, token: str) -> Session:
        """Who a token is.

        Raises:
            NotSignedIn, NotAllowed: it is nobody's, or nobody's here. Unavailable: Vault cannot be asked.
        """
        if not token or len(token) > MAX_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable():
            raise NotSignedIn("The token is not one of Vault's.", code="session.expired")
        key = hashlib.blake2b(token.encode(), key=self._key).digest()
        now = self._ports.clock()
        with self._lock:
            known = self._known.get(key)
        if known is not None and now - known[1] < CHECKED_FOR:
            return known[0]
        try:
            session = self._ports.people.check(token)
        except Unavailable:
            if known is not None and (known[0].expires_at is None or now < known[0].expires_at):
                return known[0]  # for reading from memory; every change needs Vault anyway
            raise
        except Problem:
            self._forget(key)
            raise
        with self._lock:
            self._known[key] = (session, now)
            self._known.move_to_end(key)
            while len(self._known) > MAX_REMEMBERED:
                self._known.popitem(last=False)
        return session

    def forget(self, token: str) -> None:
        """The person signed out."""
        self._forget(hashlib.blake2b(token.encode(), key=self._key).digest())

    def _forget(self, key: bytes) -> None:
        with self._lock:
            self._known.pop(key, None)


def install(app: Flask, ports: Ports) -> None:
    """Make an application know people."""
    app.extensions[_EXTENSION] = (ports, Doorkeeper(ports))
    manager = flask_login.LoginManager(app)
    manager.session_protection = None  # the cookie is encrypted; binding it to an address signs out people who move
    manager.request_loader(_person_of_request)


def ports() -> Ports:
    """What this application was built with."""
    return cast("Ports", current_app.extensions[_EXTENSION][0])


def sign_in(session: Session) -> None:
    """Start a new session cookie for a person. What was in the cookie before is gone (session fixation)."""
    cookie.clear()
    cookie[TOKEN] = session.token.reveal()
    g.person = Person(session)


def sign_out() -> None:
    """Revoke the token of this request and end the cookie.

    Raises:
        Unavailable: Vault could not be told; the cookie is ended all the same.
    """
    session = current_session()
    cookie.clear()
    cast("Doorkeeper", current_app.extensions[_EXTENSION][1]).forget(session.token.reveal())
    ports().people.sign_out(session)


def is_signed_in() -> bool:
    """Whether the request is a signed-in person's."""
    return _person_of_request(request) is not None


def current_session() -> Session:
    """The signed-in person of this request.

    Raises:
        NotSignedIn: there is none. NotAllowed, Unavailable: from asking Vault.
    """
    person = _person_of_request(request)
    if person is None:
        problem = g.get("sign_in_problem")
        if problem is not None:
            raise problem
        raise NotSignedIn("Sign in first.", code="session.missing")
    return person.session


def inventory() -> Inventory:
    """The use cases, with the hands of the person of this request."""
    return ports().inventory_for(current_session())


def require_administrator() -> None:
    """Refuse everybody who may only read, before anything is looked at. Vault would refuse the change itself, too.

    Raises:
        NotSignedIn, NotAllowed.
    """
    if not current_session().may_change:
        raise NotAllowed("You are signed in as an auditor, who reads and changes nothing.")


def required(view: View) -> View:
    """A page or call for signed-in people only."""

    @wraps(view)
    def guarded(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - any view
        current_session()
        return view(*arguments, **named)

    return cast("View", guarded)


def has_cookie() -> bool:
    """Whether the request came with a session cookie that holds a token, good or not."""
    return TOKEN in cookie


def header_token() -> str | None:
    """The token in `X-Vault-Token` or `Authorization: Bearer` (RFC 6750 §2.1); None when there is neither."""
    token = request.headers.get("X-Vault-Token", "").strip()
    if token:
        return token
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" and given.strip() else None


def _person_of_request(_request: Any) -> Person | None:  # noqa: ANN401 - Flask-Login passes Flask's proxy
    """The person, asked once a request; the reason why there is none is kept for `current_session`."""
    if "person" in g:
        return cast("Person | None", g.person)
    g.person = None
    given = header_token()
    token = given or cookie.get(TOKEN)
    if token:
        try:
            g.person = Person(cast("Doorkeeper", current_app.extensions[_EXTENSION][1]).person(token))
        except (NotSignedIn, NotAllowed) as problem:
            g.sign_in_problem = problem
            if given is None:
                cookie.clear()
        except Unavailable as problem:
            g.sign_in_problem = problem
    return cast("Person | None", g.person)
