"""How a call of the API is declared: the route, its body, its answer, and what `openapi.json` says of it.

A view gets its path parameters and, when it takes one, its body as a struct; it returns the answer as a struct. So the
description and the behaviour cannot part.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, Final, TypeVar

import msgspec
from flask import Blueprint, Response, request
from werkzeug.exceptions import RequestEntityTooLarge

from service.errors import Malformed, PreconditionRequired, WrongMediaType
from service.web import identity
from service.web.security import MAX_BODY_BYTES

PREFIX: Final = "/api/v1"
_ETAG: Final = re.compile(r'(?:W/)?"([0-9]{1,18})"')
_FIELD: Final = re.compile(r"[a-z]+(?:_[a-z0-9]+)*")
MAX_FIELD_CHARACTERS: Final = 30
"""An unknown field's name is quoted when it looks like one of ours; a key pasted in the wrong place does not."""

blueprint: Final = Blueprint("api", __name__, url_prefix=PREFIX)
Body = TypeVar("Body", bound=msgspec.Struct)


@dataclass(frozen=True, slots=True)
class Query:
    """A query parameter."""

    name: str
    description: str
    schema: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Operation:
    """One call, as it is described.

    Attributes:
        rule: Flask's, below the prefix: `/certificates/<name>`.
        body: the struct its body is read into.
        answer: the struct it answers with; None for 204.
        problems: the statuses of RFC 9457 documents it may answer with.
        conditional: it reads `If-Match`: `required` or `optional`.
        changes: it is for administrators.
    """

    name: str
    method: str
    rule: str
    tag: str
    summary: str
    status: int
    body: type[msgspec.Struct] | None
    answer: type[msgspec.Struct] | None
    problems: tuple[int, ...]
    query: tuple[Query, ...]
    conditional: str
    signed_in: bool
    changes: bool


operations: Final[list[Operation]] = []
"""Every call, in the order of declaration."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer with more than its body: an `ETag`, a `Location`."""

    body: msgspec.Struct | None
    version: int | None = None
    location: str = ""


def call(
    method: str,
    rule: str,
    *,
    tag: str,
    summary: str,
    status: int = 200,
    body: type[msgspec.Struct] | None = None,
    answer: type[msgspec.Struct] | None = None,
    problems: tuple[int, ...] = (),
    query: tuple[Query, ...] = (),
    conditional: str = "",
    signed_in: bool = True,
    changes: bool | None = None,
    empty_body: bool = False,
) -> Callable[[Callable[..., Any]], Callable[..., Response]]:
    """Declare a call. Unless told, everything but `GET` is a change, and a body that is taken must be there."""
    for_administrators = method != "GET" if changes is None else changes

    def declare(view: Callable[..., Any]) -> Callable[..., Response]:
        operations.append(
            Operation(
                name=view.__name__,
                method=method,
                rule=rule,
                tag=tag,
                summary=summary,
                status=status,
                body=body,
                answer=answer,
                problems=problems,
                query=query,
                conditional=conditional,
                signed_in=signed_in,
                changes=for_administrators,
            )
        )

        @wraps(view)
        def answered(**parameters: Any) -> Response:  # noqa: ANN401 - path parameters
            if for_administrators:
                identity.require_administrator()
            elif signed_in:
                identity.current_session()
            if body is not None:
                parameters["body"] = body() if empty_body and not request.content_length else read_body(body)
            return _respond(view(**parameters), status)

        blueprint.add_url_rule(rule, view.__name__, answered, methods=[method])
        return answered

    return declare


def read_body(kind: type[Body]) -> Body:
    """The request's JSON body as a struct. No message quotes a value: it may be a key.

    Raises:
        WrongMediaType: it does not say `application/json`. Malformed: it is not what the call takes; says where.
    """
    if request.mimetype != "application/json":
        raise WrongMediaType("Send the body as Content-Type: application/json.")
    content = request.get_data(cache=False)
    if request.content_length is None and len(content) >= MAX_BODY_BYTES:
        raise RequestEntityTooLarge  # sent in chunks, of which werkzeug reads as many as fit
    try:
        body = msgspec.json.decode(content, type=kind, strict=True)
        json.loads(content, object_pairs_hook=_distinct)
    except msgspec.ValidationError as error:
        raise Malformed(_place(str(error))) from None
    except (msgspec.DecodeError, ValueError, RecursionError):
        raise Malformed("The body is not JSON (RFC 8259).") from None
    return body


def _distinct(members: list[tuple[str, Any]]) -> None:
    """RFC 8259 §4 leaves open which of two members of one name counts; what was checked might not be what is used."""
    if len({name for name, _ in members}) != len(members):
        raise Malformed("The body has a member twice.")


def expected_version(*, required: bool) -> int | None:
    """The version in `If-Match` (RFC 9110 §13.1.1); `*` is whatever is there.

    Raises:
        PreconditionRequired: it is missing and required. Malformed: it is no version of ours.
    """
    given = request.headers.get("If-Match", "").strip()
    if not given:
        if required:
            raise PreconditionRequired('Say which version you saw: If-Match: "<version>", from the ETag.')
        return None
    if given == "*" and not required:
        return None
    found = _ETAG.fullmatch(given)
    if found is None:
        raise Malformed('If-Match must be the ETag of one version, for example "3".', code="version.malformed")
    return int(found[1])


def _place(message: str) -> str:
    """msgspec's message, without any value of the body: `Expected \\`str\\`, got \\`int\\` - at \\`$.name\\``."""
    unknown = re.search(r"unknown field `([^`]*)`", message)
    if unknown:
        is_name = len(unknown[1]) <= MAX_FIELD_CHARACTERS and _FIELD.fullmatch(unknown[1])
        name = unknown[1] if is_name else "?"
        return f"The body has an unknown field: {name}."
    what, _, where = message.partition(" - at ")
    what = what if not re.search(r"[\"']", what) else "The value is not one of those allowed"
    return f"{what.rstrip('.')}{' at ' + where if where else ''}."


def _respond(made: Any, status: int) -> Response:  # noqa: ANN401 - a struct, an Answer or None
    answer = made if isinstance(made, Answer) else Answer(made)
    content = msgspec.json.encode(answer.body) if answer.body is not None else b""
    response = Response(content, status, mimetype="application/json" if content else None)
    if answer.version is not None:
        response.headers["ETag"] = f'"{answer.version}"'
    if answer.location:
        response.headers["Location"] = answer.location
    return response
