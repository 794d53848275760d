"""Display name, comment and labels of a certificate, as they stand in Vault's custom_metadata. Pure.

custom_metadata takes printable characters only, 512 bytes a value and 128 a key. So a line break or any other
unprintable character is written as in JSON (`\\n`, `\\u200d`), and so is the backslash.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from service.pki.finding import Field
from service.records.typed import (
    MAX_DISPLAY_NAME_CHARACTERS,
    read_comment,
    read_line,
    refusal,
)

MAX_VALUE_BYTES: Final = 512
"""Vault's limit for one value of custom_metadata."""
MAX_LABELS: Final = 32
"""Vault keeps 64 keys; the rest is room for what comes."""
MAX_LABEL_VALUE_CHARACTERS: Final = 120
LABEL: Final = "label:"
NO_VALUE: Final = " "
"""Vault keeps no empty value."""
_LABEL_KEY = re.compile(r"[a-z0-9](?:[a-z0-9._/-]{0,61}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Annotations:
    """What people call a certificate and say about it. An empty display name means the name itself."""

    display_name: str = ""
    comment: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def to_custom_metadata(self) -> dict[str, str]:
        """As it is stored."""
        stored = {"display_name": _escaped(self.display_name), "comment": _escaped(self.comment)}
        stored |= {LABEL + key: _escaped(value) or NO_VALUE for key, value in self.labels.items()}
        return {key: value for key, value in stored.items() if value}

    @staticmethod
    def from_custom_metadata(stored: Mapping[str, str]) -> Annotations:
        """What was stored; a value that was written by hand is taken as it stands."""
        labels = {
            key.removeprefix(LABEL): _unescaped(value).strip()
            for key, value in sorted(stored.items())
            if key.startswith(LABEL)
        }
        return Annotations(
            display_name=_unescaped(stored.get("display_name", "")),
            comment=_unescaped(stored.get("comment", "")),
            labels=labels,
        )


def read_annotations(*, display_name: str, comment: str, labels: Mapping[str, str]) -> Annotations:
    """What a person typed.

    Raises:
        Refused: `text.too-long`, `text.control-character`, `labels.illegal`.
    """
    said = Annotations(
        display_name=read_line(
            display_name, limit=MAX_DISPLAY_NAME_CHARACTERS, field="display_name", what="display name"
        ),
        comment=read_comment(comment),
        labels=_read_labels(labels),
    )
    for key, value in said.to_custom_metadata().items():
        size = len(value.encode())
        if size > MAX_VALUE_BYTES:
            field_name: Field = "labels" if key.startswith(LABEL) else "comment" if key == "comment" else "display_name"
            message = f"The {key} takes {size} bytes with its special characters; at most {MAX_VALUE_BYTES} are kept."
            raise refusal("text.too-long", message, "Shorten it.", field=field_name)
    return said


def _read_labels(labels: Mapping[str, str]) -> dict[str, str]:
    hint = "A label is a short key of a-z 0-9 . _ / - and a line of text, for example team: web."
    if len(labels) > MAX_LABELS:
        message = f"There are {len(labels)} labels; at most {MAX_LABELS} are kept."
        raise refusal("labels.illegal", message, field="labels")
    read: dict[str, str] = {}
    for key, value in labels.items():
        if not _LABEL_KEY.fullmatch(key):
            raise refusal("labels.illegal", f"{key[:40]!r} is not a label's key.", hint, field="labels")
        read[key] = read_line(value, limit=MAX_LABEL_VALUE_CHARACTERS, field="labels", what=f"label {key}")
    return dict(sorted(read.items()))


def _escaped(text: str) -> str:
    return "".join(
        json.dumps(character)[1:-1] if character == "\\" or not character.isprintable() else character
        for character in text
    )


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    try:
        read = json.loads('"' + text.replace('"', '\\"') + '"')
    except ValueError:
        return text
    return str(read)
