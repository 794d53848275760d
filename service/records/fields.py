"""Reading the fields of a stored document. Each raises `ValueError` for what it should not be. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from service.records.names import is_name


def text(data: Mapping[str, Any], field: str, *, default: str | None = None) -> str:
    """A text; a missing one is the default."""
    value = data.get(field, default)
    if value is None:
        value = default
    if not isinstance(value, str):
        raise ValueError(f"{field} is not a text")  # noqa: TRY004 - every unreadable document is one kind of error
    return value


def optional_name(data: Mapping[str, Any], field: str) -> str | None:
    """A name, or None where it is empty."""
    value = text(data, field, default="")
    if value and not is_name(value):
        raise ValueError(f"{field} is not a name")
    return value or None


def choice(data: Mapping[str, Any], field: str, choices: tuple[str, ...]) -> str:
    """One of the choices."""
    value = text(data, field)
    if value not in choices:
        raise ValueError(f"{field} is none of {', '.join(choices)}")
    return value


def flag(data: Mapping[str, Any], field: str) -> bool:
    """True or false."""
    value = data.get(field)
    if not isinstance(value, bool):
        raise ValueError(f"{field} is neither true nor false")  # noqa: TRY004
    return value


def port(data: Mapping[str, Any]) -> int:
    """A TCP port."""
    value = data.get("port")
    if not is_count(value) or not 1 <= cast("int", value) <= 65535:
        raise ValueError("port is not a number from 1 to 65535")
    return cast("int", value)


def is_count(value: object) -> bool:
    """Whether it is a whole number from 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
