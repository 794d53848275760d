"""One HTTP exchange in ASGI's terms: what is read of a request, bounded, and what goes back.

No answer, error or log line of this room repeats a header or a body of the request.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, TypeAlias, TypeVar

import msgspec

from service.errors import Malformed, NotSignedIn, Problem, Throttled, TooLarge, Unavailable, WrongMediaType
from vault.session import Token

Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Header: TypeAlias = tuple[bytes, bytes]

_T = TypeVar("_T")

MAX_BODY_BYTES = 8 * 1024
"""A login or a status is a few hundred bytes."""
MAX_TOKEN_BYTES = 2 * 1024
"""Vault's service tokens are about 100 bytes, HashiCorp's batch tokens up to some 400."""
MAX_PREFER_BYTES, MAX_DIGITS = 256, 9
RETRY_AFTER_S = 2
"""What a consumer is told to wait when Vault is away: an election of a new leader takes about as long."""

PROBLEM_TYPE = "urn:keystead:problem:"
"""A problem's `type` is this with its code; `docs/errors.md` explains each."""
NO_STORE: Header = (b"cache-control", b"no-store")
NO_SNIFF: Header = (b"x-content-type-options", b"nosniff")
JSON: Header = (b"content-type", b"application/json")
PROBLEM_JSON: Header = (b"content-type", b"application/problem+json")


class ClientGone(Exception):
    """The caller closed the connection before its request was complete."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back. The repr shows no body: it may be a bundle."""

    status: int
    headers: tuple[Header, ...]
    body: bytes = field(default=b"", repr=False)


def json_answer(value: object, *extra: Header) -> Answer:
    """200 with a JSON body that no cache may keep."""
    body = msgspec.json.encode(value)
    return Answer(200, (JSON, NO_STORE, NO_SNIFF, _length(body), *extra), body)


def no_content() -> Answer:
    """204."""
    return Answer(204, (NO_STORE,))


def not_modified(etag: bytes, *extra: Header) -> Answer:
    """304 (RFC 9110 §15.4.5)."""
    return Answer(304, ((b"etag", etag), NO_STORE, *extra))


def problem_answer(problem: Problem, *extra: Header) -> Answer:
    """A problem as RFC 9457 says."""
    value: dict[str, object] = {
        "type": PROBLEM_TYPE + problem.code,
        "title": problem.title,
        "status": problem.status,
        "code": problem.code,
        "detail": problem.detail,
    }
    if problem.findings:
        value["findings"] = [finding.as_json() for finding in problem.findings]
    if problem.conflicts:
        value["conflicts"] = list(problem.conflicts)
    headers = [PROBLEM_JSON, NO_STORE, NO_SNIFF]
    if isinstance(problem, NotSignedIn):
        headers.append((b"www-authenticate", b'Bearer realm="keystead"'))
    if isinstance(problem, Throttled):
        headers.append((b"retry-after", str(problem.retry_after_s).encode()))
    if isinstance(problem, Unavailable):
        headers.append((b"retry-after", str(RETRY_AFTER_S).encode()))
    body = msgspec.json.encode(value)
    return Answer(problem.status, (*headers, _length(body), *extra), body)


def simple_problem(status: HTTPStatus, code: str, detail: str, *extra: Header) -> Answer:
    """A problem of HTTP itself, such as a method that is not there."""
    body = msgspec.json.encode(
        {"type": PROBLEM_TYPE + code, "title": status.phrase, "status": status.value, "code": code, "detail": detail}
    )
    return Answer(status.value, (PROBLEM_JSON, NO_STORE, NO_SNIFF, _length(body), *extra), body)


def header(scope: Scope, name: bytes) -> bytes | None:
    """The first header of that name (lower case); None when there is none."""
    for key, value in scope["headers"]:
        if key == name:
            found: bytes = value
            return found
    return None


def wait_of(scope: Scope, most_s: int) -> int:
    """The seconds that `Prefer: wait=N` asks for (RFC 7240 §4.3), `most_s` at most; 0 when it asks for none.

    What cannot be understood is ignored, as §2 asks.
    """
    for key, value in scope["headers"]:
        if key != b"prefer" or len(value) > MAX_PREFER_BYTES:
            continue
        for preference in value.split(b","):
            name, _, said = preference.partition(b";")[0].partition(b"=")
            seconds = said.strip().strip(b'"')
            if name.strip().lower() == b"wait" and seconds.isdigit() and len(seconds) <= MAX_DIGITS:
                return min(int(seconds), most_s)
    return 0


async def gone(receive: Receive) -> None:
    """Returns when the caller goes away. What it still sends is let go."""
    while (await receive())["type"] != "http.disconnect":
        pass


def token_of(scope: Scope) -> bytes:
    """The caller's token: `X-Vault-Token`, else `Authorization: Bearer` (RFC 6750 §2.1).

    Raises:
        NotSignedIn: there is none, or it cannot be one.
    """
    token: bytes | None = None
    bearer: bytes | None = None
    for key, value in scope["headers"]:
        if key == b"x-vault-token":
            if token is not None and token != value:
                raise NotSignedIn("two different tokens came in X-Vault-Token; send one", code="token.invalid")
            token = value
        elif key == b"authorization":
            bearer = value
    if token is None and bearer is not None:
        kind, _, rest = bearer.partition(b" ")
        if kind.lower() == b"bearer":
            token = rest.strip()
    if not token:
        raise NotSignedIn(
            "no token came with the request; send it as X-Vault-Token or Authorization: Bearer", code="token.missing"
        )
    if len(token) > MAX_TOKEN_BYTES or not token.isascii() or not all(33 <= byte <= 126 for byte in token):
        raise NotSignedIn("what came as a token cannot be one", code="token.invalid")
    return token


def as_token(token: bytes) -> Token:
    """The token as `vault` takes it."""
    return Token(token.decode("ascii"))


async def read_body(scope: Scope, receive: Receive, shape: type[_T]) -> _T:
    """The JSON body of a request, checked against a shape.

    Raises:
        WrongMediaType, TooLarge, Malformed: none of them repeats what the body held.
        ClientGone: the caller went away.
    """
    kind = (header(scope, b"content-type") or b"").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise WrongMediaType("send the body as application/json")
    content = await _read_bounded(scope, receive)
    problem = ""
    try:
        return msgspec.json.decode(content, type=shape)
    except msgspec.ValidationError as error:
        problem = f"the body does not fit: {_place(str(error))}"
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        problem = "the body is not JSON"
    raise Malformed(problem)


def _place(message: str) -> str:
    """msgspec's message without values of the request: what was expected, and where."""
    expected, _, place = message.partition(" - at ")
    if expected.startswith("Invalid enum value"):
        expected = "a value that is not one of those allowed"
    return f"{expected}, at {place.strip('`')}" if place else expected


async def _read_bounded(scope: Scope, receive: Receive) -> bytes:
    too_large = TooLarge(f"the body may have {MAX_BODY_BYTES} bytes at most")
    length = header(scope, b"content-length")
    if length is not None and (not length.isdigit() or len(length) > 12 or int(length) > MAX_BODY_BYTES):
        raise too_large
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part = message.get("body", b"")
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise too_large
        parts.append(part)
        if not message.get("more_body", False):
            return b"".join(parts)


def _length(body: bytes) -> Header:
    return (b"content-length", str(len(body)).encode())
