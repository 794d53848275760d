"""The agent's line to the delivery plane: one connection, every answer bounded, every error told apart by type."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NoReturn
from urllib.parse import urlsplit

from service.agent.errors import (
    LoginRefused,
    NotBound,
    PossibleTheft,
    RefusedHere,
    TokenRefused,
    Unreached,
    WrongUsage,
)
from service.records import is_name
from vault.session import Token

TIMEOUT_S = 10.0
NOTHING_HELD = '"-:0"'
"""The ETag of one who holds nothing, and waits to be bound."""
MAX_ANSWER_BYTES = 1024 * 1024
"""A bundle with a long chain and a large CA file is a tenth of this."""

TlsMode = Literal["tls", "mtls"]


class Bundle:
    """A fetched bundle. Its repr names it and shows nothing of it; the key leaves by one method."""

    __slots__ = ("_private_key", "ca", "certificate", "certificate_name", "consumer", "tls_mode", "version")

    def __init__(
        self,
        *,
        consumer: str,
        certificate_name: str,
        version: int,
        private_key: str,
        certificate: str,
        ca: str,
        tls_mode: TlsMode,
    ) -> None:
        self.consumer = consumer
        self.certificate_name = certificate_name
        self.version = version
        self._private_key = private_key
        self.certificate = certificate
        self.ca = ca
        self.tls_mode = tls_mode

    def __repr__(self) -> str:
        return f"Bundle({self.certificate_name}:{self.version})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a bundle is not pickled")

    def reveal_private_key(self) -> str:
        """The private key, PEM."""
        return self._private_key

    @property
    def etag(self) -> str:
        """What the next fetch says it has."""
        return etag_of(self.certificate_name, self.version)


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A token, whose it is, and how long it lasts; 0 for ever."""

    token: Token
    consumer: str
    lease_s: float = 0.0


def etag_of(certificate_name: str, version: int) -> str:
    """The ETag of a version of a certificate."""
    return f'"{certificate_name}:{version}"'


class Delivery:
    """One delivery plane. For one thread; keeps its connection between calls.

    Args:
        url: `https://host:port`.
        ca_file: the CA that signs its certificate; the system's when None. Nothing turns the check off.

    Attributes:
        was_held: whether the last fetch was held back until something changed, or its time was over.

    Raises:
        WrongUsage: the URL or the CA file cannot be used.
    """

    def __init__(self, url: str, ca_file: Path | None, *, timeout_s: float = TIMEOUT_S) -> None:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.path not in {"", "/"} or parts.query:
            raise WrongUsage(f"{url!r} must look like https://delivery.example:8444", code="config.url")
        try:
            trust = ssl.create_default_context(cafile=str(ca_file) if ca_file else None)
        except (OSError, ssl.SSLError):
            raise WrongUsage(f"{ca_file} cannot be read as CA certificates (PEM)", code="config.ca") from None
        self.was_held = False
        self._timeout_s = timeout_s
        self._interrupted = False
        self._address = f"{parts.hostname}:{parts.port or 443}"
        self._connection = http.client.HTTPSConnection(
            parts.hostname, parts.port or 443, timeout=timeout_s, context=trust
        )

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def interrupt(self) -> None:
        """End a call that waits, from a signal handler or another thread; it raises `Unreached`."""
        self._interrupted = True
        connected = self._connection.sock
        if connected is not None:
            with suppress(OSError):
                socket.socket.shutdown(connected, socket.SHUT_RDWR)  # of the connection, not of TLS: somebody reads it

    def unwrap(self, wrapping_token: Token) -> Token:
        """Take the SecretID out of its wrapping: works once, ever.

        Raises:
            PossibleTheft: somebody did before, or it has expired. Unreached.
        """
        status, answer = self._call("POST", "/v1/unwrap", {"wrapping_token": wrapping_token.reveal()})
        if answer.get("code") == "wrapping.used":
            raise PossibleTheft(
                "the wrapping token has been used before, or has expired. If nobody on your side used it, it may have "
                "been stolen: revoke the enrolment in Keystead and enrol again",
                code="wrapping.used",
            )
        _check(status, answer, "unwrap the SecretID")
        return Token(_text(answer, "secret_id"))

    def log_in(self, role_id: str, secret_id: Token) -> LoggedIn:
        """Get a token.

        Raises:
            LoginRefused, Unreached.
        """
        body = {"role_id": role_id, "secret_id": secret_id.reveal()}
        status, answer = self._call("POST", "/v1/login", body)
        if status == http.client.UNAUTHORIZED:
            raise LoginRefused(_detail(answer, "the login was refused"), code="login.refused")
        _check(status, answer, "log in")
        return LoggedIn(Token(_text(answer, "token")), _text(answer, "consumer"), _lease_s(answer))

    def renew(self, token: Token) -> float:
        """Make a token last longer; for how many seconds it does now.

        Raises:
            TokenRefused, RefusedHere, Unreached.
        """
        status, answer = self._call("POST", "/v1/renew", {}, token=token)
        _check(status, answer, "renew the token")
        return _lease_s(answer)

    def fetch(
        self, token: Token, etag: str | None = None, tls_mode: TlsMode | None = None, *, wait_s: int = 0
    ) -> Bundle | None:
        """The bundle; None when `etag` still names it, and its TLS mode still is `tls_mode` (None: whatever it is).

        Args:
            wait_s: let the delivery plane hold the answer back so long, while there is nothing new.

        Raises:
            TokenRefused, NotBound, RefusedHere, Unreached.
        """
        status, answer = self._call("GET", "/v1/bundle", None, token=token, etag=etag, tls_mode=tls_mode, wait_s=wait_s)
        if status == http.client.NOT_MODIFIED:
            if tls_mode is None or answer.get("tls_mode", tls_mode) == tls_mode:
                return None
            status, answer = self._call("GET", "/v1/bundle", None, token=token)
        if status == http.client.NOT_FOUND:
            raise NotBound(_detail(answer, "nothing is bound"), code=str(answer.get("code", "not-bound")))
        _check(status, answer, "fetch the bundle")
        name, version, mode = answer.get("certificate_name"), answer.get("version"), answer.get("tls_mode")
        if not isinstance(name, str) or not is_name(name) or not isinstance(version, int) or version < 1:
            raise Unreached("the answer names no certificate or no version: is this the delivery plane?")
        return Bundle(
            consumer=_text(answer, "consumer"),
            certificate_name=name,
            version=version,
            private_key=_text(answer, "private_key"),
            certificate=_text(answer, "certificate"),
            ca=_text(answer, "ca", may_be_empty=True),
            tls_mode="mtls" if mode == "mtls" else "tls",
        )

    def report(self, token: Token, status: Mapping[str, object]) -> None:
        """Tell what is installed (`PUT /v1/status`).

        Raises:
            TokenRefused, RefusedHere, Unreached.
        """
        code, answer = self._call("PUT", "/v1/status", status, token=token)
        _check(code, answer, "report")

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, object] | None,
        *,
        token: Token | None = None,
        etag: str | None = None,
        tls_mode: TlsMode | None = None,
        wait_s: int = 0,
    ) -> tuple[int, Mapping[str, Any]]:
        headers = {"User-Agent": "keystead-agent", "Accept": "application/json"}
        if token is not None:
            headers["X-Vault-Token"] = token.reveal()
        if etag is not None:
            headers["If-None-Match"] = etag
        if tls_mode is not None:
            headers["Keystead-TLS-Mode"] = tls_mode
        if wait_s:
            headers["Prefer"] = f"wait={wait_s}"
        self._allow(self._timeout_s + wait_s)
        content = None
        if body is not None:
            content = json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        problem = ""
        try:
            response, raw = self._exchange(method, path, content, headers)
        except ssl.SSLCertVerificationError as error:
            problem = f"the certificate of {self._address} is not trusted: {error.verify_message}"
        except (OSError, http.client.HTTPException) as error:
            problem = f"{self._address} cannot be reached ({type(error).__name__})"
        if problem:
            self._connection.close()
            raise Unreached(problem, code="delivery.unreachable")
        if len(raw) > MAX_ANSWER_BYTES:
            self._connection.close()
            raise Unreached(f"{self._address} answered more than {MAX_ANSWER_BYTES} bytes")
        answer = _object(raw)
        self.was_held = response.getheader("Preference-Applied") is not None
        mode = response.getheader("Keystead-TLS-Mode")
        return response.status, answer if mode is None else {"tls_mode": mode, **answer}

    def _allow(self, seconds: float) -> None:
        """How long the next answer may take."""
        self._connection.timeout = seconds
        if self._connection.sock is not None:
            self._connection.sock.settimeout(seconds)

    def _exchange(
        self, method: str, path: str, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[http.client.HTTPResponse, bytes]:
        """One request; a connection that the other side closed meanwhile is opened once more, for GET only."""
        fresh = self._connection.sock is None
        try:
            self._connection.request(method, path, body=content, headers=dict(headers))
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError):
            self._connection.close()
            if fresh or method != "GET" or self._interrupted:
                raise
            self._connection.request(method, path, body=content, headers=dict(headers))
            response = self._connection.getresponse()
        return response, response.read(MAX_ANSWER_BYTES + 1)


def _object(raw: bytes) -> Mapping[str, Any]:
    """The JSON object that an answer is; empty when it is none."""
    try:
        answer = json.loads(raw) if raw else {}
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _check(status: int, answer: Mapping[str, Any], what: str) -> None:
    """Turn a status that is no success into its error."""
    if status < http.client.MULTIPLE_CHOICES:
        return
    detail = _detail(answer, f"the answer was {status}")
    code = str(answer.get("code", f"http.{status}"))
    if status == http.client.UNAUTHORIZED:
        raise TokenRefused(f"{what}: {detail}", code=code)
    if status in {http.client.TOO_MANY_REQUESTS, http.client.REQUEST_TIMEOUT} or status >= 500:
        raise Unreached(f"{what}: {detail}", code=code)
    raise RefusedHere(f"{what}: {detail}", code=code)


def _detail(answer: Mapping[str, Any], otherwise: str) -> str:
    """The problem's sentence, bounded and on one line."""
    detail = answer.get("detail")
    text = detail if isinstance(detail, str) and detail else otherwise
    return "".join(character if character.isprintable() else " " for character in text[:500])


def _lease_s(answer: Mapping[str, Any]) -> float:
    lease = answer.get("lease_seconds")
    return float(lease) if isinstance(lease, int) and not isinstance(lease, bool) and lease > 0 else 0.0


def _text(answer: Mapping[str, Any], field: str, *, may_be_empty: bool = False) -> str:
    value = answer.get(field)
    if not isinstance(value, str) or not (value or may_be_empty):
        raise Unreached(f"the answer has no {field}: is this the delivery plane?")
    return value
