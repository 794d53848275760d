"""The API's documentation, rendered here from `openapi.json`: no script, no foreign viewer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from flask import render_template, url_for
from flask.typing import ResponseReturnValue

from service.web import api, identity
from service.web.pages.blueprint import pages

METHODS: Final = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter: where it stands (path, query, header)."""

    name: str
    place: str
    required: bool
    description: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of an operation."""

    code: str
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path."""

    method: str
    path: str
    summary: str
    parameters: tuple[Parameter, ...]
    body: str
    answers: tuple[Answer, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The operations of one tag."""

    title: str
    operations: tuple[Operation, ...]


def _resolved(node: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """A node, or what its `$ref` within the document names (OpenAPI 3.1 §4.8.23)."""
    found: Any = node
    for _ in range(4):
        ref = found.get("$ref")
        if not isinstance(ref, str) or not ref.startswith("#/"):
            break
        found = document
        for part in ref[2:].split("/"):
            found = found.get(part.replace("~1", "/").replace("~0", "~"), {})
    return found if isinstance(found, Mapping) else {}


def _body(operation: Mapping[str, Any], document: Mapping[str, Any]) -> str:
    content = _resolved(operation.get("requestBody", {}), document).get("content", {})
    for media in content.values():
        schema = _resolved(media.get("schema", {}), document)
        required = set(schema.get("required", ()))
        names = [name if name in required else f"{name}?" for name in schema.get("properties", {})]
        return ", ".join(names) or str(schema.get("title", ""))
    return ""


def groups(document: Mapping[str, Any]) -> list[Group]:
    """The operations of an OpenAPI document by their first tag, in the document's order."""
    by_tag: dict[str, list[Operation]] = {}
    for path, item in document.get("paths", {}).items():
        for method in METHODS:
            if method not in item:
                continue
            operation = item[method]
            given = [_resolved(it, document) for it in [*item.get("parameters", ()), *operation.get("parameters", ())]]
            answers = (
                Answer(str(code), str(_resolved(it, document).get("description", "")))
                for code, it in operation.get("responses", {}).items()
            )
            made = Operation(
                method.upper(),
                path,
                str(operation.get("summary") or operation.get("description", "")),
                tuple(
                    Parameter(str(it["name"]), str(it["in"]), bool(it.get("required")), str(it.get("description", "")))
                    for it in given
                ),
                _body(operation, document),
                tuple(answers),
            )
            tag = (operation.get("tags") or [path.strip("/").split("/")[0] or "other"])[0]
            by_tag.setdefault(str(tag), []).append(made)
    return [Group(tag[:1].upper() + tag[1:], tuple(operations)) for tag, operations in by_tag.items()]


@pages.get("/api")
@identity.required
def api_docs() -> ResponseReturnValue:
    """Every operation, by subject."""
    document = api.openapi_document()
    about = document.get("info", {}).get("description", "Everything the console does, as JSON.")
    shown = {
        "description": about,
        "href": url_for("api.openapi"),
        "groups": groups(document),
        "prefix": document["servers"][0]["url"],
    }
    return render_template("api_docs.html", section="api", api=shown)
