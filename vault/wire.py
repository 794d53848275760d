"""One HTTP exchange with Vault: where it is, who asks, and what each status means. The rest of the room builds on this.

hvac's raw adapter sends the requests. Its exceptions are switched off: they carry response bodies, and the requests in
their tracebacks carry tokens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from http import HTTPStatus
from pathlib import Path
from typing import Any, NoReturn, TypeAlias
from urllib.parse import quote

import msgspec
import requests
from hvac.adapters import RawAdapter
from requests.adapters import HTTPAdapter

from vault.errors import (
    Conflict,
    Denied,
    NotFound,
    RateLimited,
    Rejected,
    Sealed,
    Unreachable,
    Unsupported,
    VaultError,
    VersionGone,
)

Json: TypeAlias = Mapping[str, Any]
BeforeRequest: TypeAlias = Callable[[str, str], None]
"""Called with method and path before each request; what it raises ends the operation there (for tests of crashes)."""

CONNECTIONS_PER_SERVER = 32
"""A web process has fewer threads than this; more would only queue inside Vault."""
LISTING_TIMEOUT_S = 30.0
"""Listing 10,000 documents with their metadata takes Vault a second, and several on a loaded machine."""
MERGE_PATCH = "application/merge-patch+json"


class Token:
    """A Vault token, or a wrapping token. Only `reveal()` shows it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def __repr__(self) -> str:
        return "Token(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a token is not pickled")

    def reveal(self) -> str:
        """The token, for the one place that sends it."""
        return self._value


@dataclass(frozen=True, slots=True)
class Server:
    """Where Vault is, and the names of Keystead's mounts in it.

    Attributes:
        url: `https://host:port`.
        ca_file: the CA that signs its certificate; the system's when None.
        namespace: empty for none.
        timeout_s: for one request, connecting and reading each.
        mount: the KV v2 mount; also the prefix of Keystead's policies, roles and identities.
        consumer_mount: the AppRole mount of consumers.
        service_mount: the AppRole mount of Keystead's own processes.
        detailed_listing: False when the server is known to lack OpenBao's `detailed-metadata`; else it is tried.
    """

    url: str
    ca_file: Path | None = None
    namespace: str = ""
    timeout_s: float = 5.0
    mount: str = "keystead"
    consumer_mount: str = "keystead"
    service_mount: str = "keystead-services"
    detailed_listing: bool = True

    def prefixed(self, name: str) -> str:
        """The name in Vault of a policy, role or identity of this instance: `keystead-admin`, `keystead-relay-eu`."""
        return f"{self.mount}-{name}"

    def unprefixed(self, name: str) -> str | None:
        """The reverse of `prefixed`; None for a name that is not of this instance."""
        prefix = f"{self.mount}-"
        return name.removeprefix(prefix) if name.startswith(prefix) else None


@lru_cache(maxsize=16)  # by process, too: a fork opens connections of its own
def _connections(server: Server, process_id: int) -> requests.Session:
    session = requests.Session()
    session.trust_env = False  # REQUESTS_CA_BUNDLE, .netrc and proxies of the environment have no say here
    session.verify = str(server.ca_file) if server.ca_file else True
    pool = HTTPAdapter(pool_connections=1, pool_maxsize=CONNECTIONS_PER_SERVER, pool_block=False)
    session.mount("https://", pool)
    session.mount("http://", pool)
    return session


def safe_path(path: str) -> str:
    """The path as it stands in a URL.

    Raises:
        ValueError: a segment is empty, `.` or `..`: on its way it would turn into another path.
    """
    if any(segment in {"", ".", ".."} for segment in path.split("/")):
        raise ValueError(f"{path!r} is not a path in Vault")
    return quote(path, safe="/")


class Wire:
    """What one token sends to one server. Connections are shared by all wires of a server in this process."""

    def __init__(self, server: Server, token: Token | None, before_request: BeforeRequest | None = None) -> None:
        self.server = server
        self._before_request = before_request
        self._adapter = RawAdapter(
            base_uri=server.url,
            token=token.reveal() if token else None,
            session=_connections(server, os.getpid()),
            namespace=server.namespace or None,
            timeout=server.timeout_s,
            allow_redirects=False,
            ignore_exceptions=True,
        )

    def __repr__(self) -> str:
        return f"Wire({self.server.url})"

    def call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: Json | None = None,
        params: Mapping[str, str | int] | None = None,
        wrap_ttl_s: int | None = None,
        timeout_s: float | None = None,
        compare_and_set: tuple[str, int] | None = None,
    ) -> Json:
        """Send one request and return the answer's JSON, `{}` when it has none.

        Args:
            method: GET, LIST, POST, PUT, PATCH or DELETE; a PATCH is sent as a JSON merge patch (RFC 7396).
            path: below `/v1/`.
            what: the operation, for errors.
            compare_and_set: the document and the version that must be current, for the error that it is not.

        Raises:
            VaultError: the kind that fits.
        """
        if self._before_request is not None:
            self._before_request(method, path)
        options: dict[str, Any] = {"params": params or {}}
        if body is not None:
            options["json"] = body
        if wrap_ttl_s is not None:
            options["wrap_ttl"] = f"{wrap_ttl_s}s"
        if timeout_s is not None:
            options["timeout"] = timeout_s
        response = self._send(method, path, what, options)
        answer = json_of(response.content)
        if response.status_code < HTTPStatus.MULTIPLE_CHOICES:
            return answer
        raise error_of(response.status_code, answer, what, compare_and_set)

    def _send(self, method: str, path: str, what: str, options: dict[str, Any]) -> requests.Response:
        headers = {"Content-Type": MERGE_PATCH} if method == "PATCH" else None
        try:
            response: requests.Response = self._adapter.request(
                method, f"/v1/{safe_path(path)}", headers=headers, **options
            )
        except requests.exceptions.Timeout:
            problem = "no answer in time"
        except requests.exceptions.SSLError:
            problem = "its certificate is not trusted"
        except requests.exceptions.RequestException:
            problem = "no connection"
        else:
            return response
        raise Unreachable(what, problem)


def json_of(content: bytes) -> Json:
    """The JSON object of an answer; `{}` when it has none."""
    try:
        answer = msgspec.json.decode(content) if content else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        answer = {}
    return answer if isinstance(answer, dict) else {}


def error_of(status: int, answer: Json, what: str, compare_and_set: tuple[str, int] | None = None) -> VaultError:
    """The error that a status and its body mean. The body decides, and is not kept."""
    errors = " ".join(str(error) for error in answer.get("errors") or ())
    error: VaultError = Rejected(what, status=status)
    if compare_and_set and status == HTTPStatus.BAD_REQUEST and "check-and-set parameter did not match" in errors:
        error = Conflict(*compare_and_set)
    elif status == HTTPStatus.FORBIDDEN or "does not exist during renewal" in errors:  # its role is revoked: a 500
        error = Denied(what, "Vault does not allow it")
    elif status == HTTPStatus.NOT_FOUND:
        error = _missing(answer, errors, what)
    elif status == HTTPStatus.METHOD_NOT_ALLOWED:
        error = Unsupported(what, status=status)
    elif status == HTTPStatus.TOO_MANY_REQUESTS:
        error = RateLimited(what, "too many requests")
    elif status == HTTPStatus.SERVICE_UNAVAILABLE:
        error = Sealed(what, "Vault is sealed")
    elif status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        error = Unreachable(what, f"Vault answered {status}")
    return error


def _missing(answer: Json, errors: str, what: str) -> VaultError:
    """A 404: nothing there, a version that is gone (its times are told), or a path the server does not have."""
    data = answer.get("data")
    if isinstance(data, dict):
        times = data.get("metadata", data)
        if isinstance(times, dict) and "deletion_time" in times:
            return VersionGone(what, version=int(times.get("version", 0)), destroyed=bool(times.get("destroyed")))
    if errors or answer.get("warnings"):
        return Unsupported(what, status=HTTPStatus.NOT_FOUND, reason="this server has no such path")
    return NotFound(what, "there is nothing")
