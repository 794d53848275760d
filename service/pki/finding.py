"""A finding: one thing a check has to say about pasted material."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Literal

Field = Literal[
    # of a certificate
    "name",
    "private_key",
    "certificate",
    "ca",
    "passphrase",
    "hosts",
    "display_name",
    "comment",
    "labels",
    # of a relay or a container provider and its clusters
    "host",
    "port",
    "tls_mode",
    "provider",
    "kind",
    "visibility",
    "multi_cluster",
    "clusters",
    "url",
    "server_name",
]


class Severity(enum.StrEnum):
    """How much a finding weighs."""

    ERROR = "error"
    """The material cannot work, or cannot be read. Blocks the change."""
    WARNING = "warning"
    """It works, and will hurt some day or for some client. Does not block."""
    INFO = "info"
    """Something was put right, or is worth knowing. Does not block."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found, with a stable code that has its row in `docs/findings.md`.

    Attributes:
        code: stable, `subject.what`, for example `key.mismatch`.
        severity: whether it blocks.
        message: what is wrong and where, in one sentence; never holds key material.
        hint: what to do, in one sentence; may be empty.
        field: the form field it concerns, if one.
        position: the block in that field, counted from 1, if one.
    """

    code: str
    severity: Severity
    message: str
    hint: str = ""
    field: Field | None = None
    position: int | None = None

    def as_json(self) -> dict[str, str | int | None]:
        """The shape of the API (INTERFACE: `findings[]`)."""
        return {
            "code": self.code,
            "severity": str(self.severity),
            "field": self.field,
            "position": self.position,
            "message": self.message,
            "hint": self.hint,
        }
