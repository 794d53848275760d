"""`openapi.json`: made from the declared calls and their structs (OpenAPI 3.1)."""

from __future__ import annotations

import json
import re
from functools import cache
from http import HTTPStatus
from typing import Any, Final

import msgspec
from flask import Response

from service.records.names import MAX_NAME_CHARACTERS
from service.web.api.operation import PREFIX, Operation, blueprint, operations
from service.web.cookie import NAME

_PARAMETER: Final = re.compile(r"<(\w+)>")
_REF: Final = "#/components/schemas/{name}"
_NAME_SCHEMA: Final = {
    "type": "string",
    "pattern": "^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$",
    "maxLength": MAX_NAME_CHARACTERS,
}
_ABOUT: Final = """Everything the console does. Sign in with `POST /session` and send the token as `X-Vault-Token`
(or `Authorization: Bearer`). Changes are compare-and-set: send the `ETag` you saw as `If-Match`. No answer ever holds a
private key. Errors are problem documents (RFC 9457) with a stable `code`."""
_PROBLEM: Final[dict[str, Any]] = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "code", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string", "description": "Stable; see docs/errors.md."},
        "detail": {"type": "string"},
        "findings": {"type": "array", "items": {"$ref": _REF.format(name="FindingShape")}},
        "conflicts": {"type": "array", "items": {"type": "string"}},
        "request_id": {"type": "string", "description": "With session.second-factor: what the next step names."},
        "factors": {"type": "array", "items": {"type": "object"}, "description": "With session.second-factor."},
    },
}
_PROBLEM_ANSWER: Final = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}


def _told(
    name: str, summary: str, media: str, problems: tuple[int, ...] = (), *security: dict[str, list[str]]
) -> dict[str, Any]:
    schema = {"type": "string"} if media.startswith("text/") else {"$ref": _REF.format(name="Health")}
    answers: dict[str, Any] = {"200": {"description": "OK", "content": {media: {"schema": schema}}}}
    for status in problems:
        answers[str(status)] = {"description": HTTPStatus(status).phrase, "content": _PROBLEM_ANSWER}
    described = {"operationId": name, "tags": ["monitoring"], "summary": summary, "parameters": []}
    return {"get": {**described, "responses": answers, "security": list(security)}}


_HEALTH: Final[dict[str, Any]] = {
    "title": "Health",
    "type": "object",
    "required": ["status"],
    "properties": {"status": {"type": "string", "enum": ["ok", "ready"]}},
}
_MONITORING: Final = {
    "/healthz": _told("healthz", "This process answers. Also without the prefix.", "application/json"),
    "/readyz": _told("readyz", "Vault has been read, and can be followed.", "application/json", (503,)),
    "/metrics": _told("metrics", "For Prometheus, with a token of its own.", "text/plain", (401, 404), {"bearer": []}),
}


@cache
def openapi_document() -> dict[str, Any]:
    """The whole description."""
    structs = [kind for one in operations for kind in (one.body, one.answer) if kind is not None]
    _, schemas = msgspec.json.schema_components(list(dict.fromkeys(structs)), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for operation in operations:
        paths.setdefault(_PARAMETER.sub(r"{\1}", operation.rule), {})[operation.method.lower()] = _describe(operation)
    paths.update(_MONITORING)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Keystead admin API", "version": "1", "description": _ABOUT.replace("\n", " ")},
        "servers": [{"url": PREFIX}],
        "security": [{"token": []}, {"bearer": []}, {"cookie": [], "csrf": []}],
        "paths": paths,
        "components": {
            "schemas": {**schemas, "Problem": _PROBLEM, "Health": _HEALTH},
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Vault-Token"},
                "bearer": {"type": "http", "scheme": "bearer"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": NAME},
                "csrf": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-CSRFToken",
                    "description": "With the cookie, for everything but GET; from `GET /session`.",
                },
            },
        },
    }


@blueprint.get("/openapi.json")
def openapi() -> Response:
    """`GET /openapi.json`: public, since it says nothing about this instance."""
    return Response(json.dumps(openapi_document()), mimetype="application/json")


def _describe(operation: Operation) -> dict[str, Any]:
    answers: dict[str, Any] = {str(operation.status): _answer(operation)}
    implied = {429, 500, 503, *((401, 403) if operation.signed_in else ())}
    if operation.body is not None:
        implied |= {400, 413, 415}
    for status in sorted({*operation.problems, *implied}):
        answers[str(status)] = {"description": HTTPStatus(status).phrase, "content": _PROBLEM_ANSWER}
    described: dict[str, Any] = {
        "operationId": operation.name,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": answers,
    }
    if operation.body is not None:
        content = {"application/json": {"schema": _ref(operation.body)}}
        described["requestBody"] = {"required": True, "content": content}
    if not operation.signed_in:
        described["security"] = []
    return described


def _answer(operation: Operation) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": HTTPStatus(operation.status).phrase}
    if operation.answer is not None:
        answer["content"] = {"application/json": {"schema": _ref(operation.answer)}}
    return answer


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": _NAME_SCHEMA}
        for name in _PARAMETER.findall(operation.rule)
    ]
    found += [
        {"name": one.name, "in": "query", "required": False, "description": one.description, "schema": dict(one.schema)}
        for one in operation.query
    ]
    if operation.conditional:
        found.append(
            {
                "name": "If-Match",
                "in": "header",
                "required": operation.conditional == "required",
                "description": "The ETag you saw: the change is made only if it still holds.",
                "schema": {"type": "string"},
            }
        )
    return found


def _ref(kind: type[msgspec.Struct]) -> dict[str, str]:
    return {"$ref": _REF.format(name=kind.__name__)}
