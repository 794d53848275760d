"""The session cookie: encrypted and authenticated (Fernet: AES-CBC with HMAC), with an idle and an absolute limit.

It is the only place where a signed-in person's token rests, in the browser; the processes keep no session of their own,
so that any replica can answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from flask import Flask, Request, Response
from flask.sessions import SecureCookieSession, SessionInterface

NAME: Final = "__Host-keystead"
"""The prefix binds the cookie to this host, `Path=/` and `Secure` (RFC 6265bis §4.1.3.2)."""
IDLE_LIMIT: Final = timedelta(minutes=30)
ABSOLUTE_LIMIT: Final = timedelta(hours=8)
RENEWED_AFTER: Final = timedelta(minutes=1)
"""A cookie is written again when it is older than this, so that using the console keeps it alive."""
MAX_COOKIE_BYTES: Final = 4096 - len(NAME) - 64
"""What browsers keep (RFC 6265 §6.1), less its name and attributes."""
TOKEN: Final = "vault_token"  # noqa: S105 - the name of a field
"""A signed-in person's token. Without it a cookie is nobody's, and may grow old: a sign-in page left open works."""
_STARTED: Final = "_started"
_FLASHES: Final = "_flashes"


class EncryptedCookies(SessionInterface):
    """Flask's session in one encrypted cookie.

    Args:
        keys: Fernet keys; the first encrypts, all decrypt, so that a key can be replaced without signing people out.
    """

    session_class = SecureCookieSession

    def __init__(self, keys: Sequence[bytes], clock: Callable[[], datetime]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._clock = clock

    def open_session(self, app: Flask, request: Request) -> SecureCookieSession:
        """The session of a request; an empty one when the cookie is missing, foreign, idle for too long or too old."""
        sealed = request.cookies.get(NAME, "")
        values = self._opened(sealed) if 0 < len(sealed) <= MAX_COOKIE_BYTES else None
        session = self.session_class(values or {})
        if values:
            age = int(self._clock().timestamp()) - self._fernet.extract_timestamp(sealed)
            session.modified = age >= RENEWED_AFTER.total_seconds()
        return session

    def save_session(self, app: Flask, session: Any, response: Response) -> None:  # noqa: ANN401 - as Flask declares it
        """Write the cookie when something in it changed, or when it has to be kept alive."""
        if not session:
            if session.modified:
                response.delete_cookie(NAME, path="/", secure=True, httponly=True, samesite="Lax")
            return
        if not session.modified:
            return
        sealed = self._sealed(dict(session))
        response.set_cookie(NAME, sealed, path="/", secure=True, httponly=True, samesite="Lax")
        response.vary.add("Cookie")

    def _sealed(self, values: dict[str, Any]) -> str:
        now = int(self._clock().timestamp())
        values.setdefault(_STARTED, now)
        sealed = self._fernet.encrypt_at_time(json.dumps(values, separators=(",", ":")).encode(), now)
        if len(sealed) > MAX_COOKIE_BYTES and values.pop(_FLASHES, None):
            return self._sealed(values)  # better a message lost than a session: browsers drop what is too large
        return sealed.decode("ascii")

    def _opened(self, sealed: str) -> dict[str, Any] | None:
        now = int(self._clock().timestamp())
        try:
            values: dict[str, Any] = json.loads(self._fernet.decrypt(sealed))
            if TOKEN in values:
                self._fernet.decrypt_at_time(sealed, int(IDLE_LIMIT.total_seconds()), now)
        except InvalidToken:
            return None
        if TOKEN in values and now - int(values.get(_STARTED, 0)) > ABSOLUTE_LIMIT.total_seconds():
            return None
        return values
