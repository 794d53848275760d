"""What is said of a consumer: by itself (`Status`), and by the worker that looks at it from outside (`Probe`). Pure.

`from_data` raises `ValueError` for a document that was written by hand and cannot be understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from service.records.fields import choice, is_count, optional_name, text

StatusState: TypeAlias = Literal["fetched", "installed", "serving", "failed"]
"""`fetched`: the delivery plane gave it the bundle, and it has said nothing of it (yet)."""

MAX_STATUS_DETAIL_CHARACTERS: Final = 500
MAX_SESSION_VERSIONS: Final = 100
"""Versions of which sessions are counted."""


@dataclass(frozen=True, slots=True)
class Step:
    """A consumer came so far with a version of a certificate, at a time (aware)."""

    certificate: str
    version: int
    at: datetime

    def to_data(self) -> dict[str, Any]:
        """As it is stored."""
        return {"certificate": self.certificate, "version": self.version, "at": self.at.isoformat()}

    @staticmethod
    def from_data(data: Mapping[str, Any], name: str) -> Step | None:
        """The step of that name; None when it was never taken.

        Raises:
            ValueError: it is not what it should be.
        """
        stored = data.get(name)
        if stored is None:
            return None
        if not isinstance(stored, dict) or not is_count(stored.get("version")):
            raise ValueError(f"{name} is not a step")
        at = datetime.fromisoformat(text(stored, "at"))
        if at.tzinfo is None:
            raise ValueError(f"{name} has no time zone")
        return Step(optional_name(stored, "certificate") or "", stored["version"], at)


@dataclass(frozen=True, slots=True)
class Status:
    """What a consumer says it has installed. A consumer may write anything here: nothing of it is trusted.

    Attributes:
        certificate: the certificate's name; empty when the consumer did not say.
        certificate_version: the version installed; 0 when none is.
        fingerprint_sha256: of the installed leaf, lower hex; may be empty.
        sessions: open connections, when it knows.
        sessions_by_version: of those, how many began under which version; empty when it does not say.
        told: the delivery plane let it know of a version.
        fetched: the delivery plane gave it a version.
        installed: it said that it has installed a version.
        at: when Vault stored it.
    """

    consumer: str
    certificate: str
    certificate_version: int
    fingerprint_sha256: str
    state: StatusState
    detail: str
    sessions: int | None
    at: datetime
    sessions_by_version: Mapping[int, int] = field(default_factory=dict)
    told: Step | None = None
    fetched: Step | None = None
    installed: Step | None = None
    version: int = 0

    def to_data(self) -> dict[str, Any]:
        """The stored document."""
        return {
            "certificate": self.certificate,
            "version": self.certificate_version,
            "fingerprint_sha256": self.fingerprint_sha256,
            "state": self.state,
            "detail": self.detail,
            "sessions": self.sessions,
            "sessions_by_version": {str(version): count for version, count in self.sessions_by_version.items()},
            "told": self.told.to_data() if self.told else None,
            "fetched": self.fetched.to_data() if self.fetched else None,
            "installed": self.installed.to_data() if self.installed else None,
        }

    @staticmethod
    def from_data(consumer: str, data: Mapping[str, Any], version: int, at: datetime) -> Status:
        """The record of a stored document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        certificate_version, sessions = data.get("version"), data.get("sessions")
        if not is_count(certificate_version) or not (sessions is None or is_count(sessions)):
            raise ValueError("version or sessions is not a count")
        return Status(
            consumer=consumer,
            certificate=optional_name(data, "certificate") or "",
            certificate_version=cast("int", certificate_version),
            fingerprint_sha256=_fingerprint(data),
            state=cast("StatusState", choice(data, "state", get_args(StatusState))),
            detail=text(data, "detail", default="")[:MAX_STATUS_DETAIL_CHARACTERS],
            sessions=sessions,
            sessions_by_version=_counts(data.get("sessions_by_version") or {}),
            told=Step.from_data(data, "told"),
            fetched=Step.from_data(data, "fetched"),
            installed=Step.from_data(data, "installed"),
            at=at,
            version=version,
        )


@dataclass(frozen=True, slots=True)
class Probe:
    """What a handshake from outside last showed. Written by the worker, when it changes.

    Attributes:
        certificate: what the consumer was bound to then.
        certificate_version: the version of it that was shown; 0 when what was shown is none of it, or nothing was.
        fingerprint_sha256: of the leaf that was shown, lower hex; empty when none was.
        code: of the worst finding; empty when all is as it should be.
        detail: that finding, as a sentence.
        shown: since when that version is shown.
        at: when Vault stored it.
    """

    consumer: str
    certificate: str
    certificate_version: int
    fingerprint_sha256: str
    code: str
    detail: str
    shown: Step | None
    at: datetime
    version: int = 0

    def to_data(self) -> dict[str, Any]:
        """The stored document."""
        return {
            "certificate": self.certificate,
            "version": self.certificate_version,
            "fingerprint_sha256": self.fingerprint_sha256,
            "code": self.code,
            "detail": self.detail,
            "shown": self.shown.to_data() if self.shown else None,
        }

    @staticmethod
    def from_data(consumer: str, data: Mapping[str, Any], version: int, at: datetime) -> Probe:
        """The record of a stored document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        certificate_version = data.get("version")
        if not is_count(certificate_version):
            raise ValueError("version is not a count")
        return Probe(
            consumer=consumer,
            certificate=optional_name(data, "certificate") or "",
            certificate_version=cast("int", certificate_version),
            fingerprint_sha256=_fingerprint(data),
            code=text(data, "code", default=""),
            detail=text(data, "detail", default="")[:MAX_STATUS_DETAIL_CHARACTERS],
            shown=Step.from_data(data, "shown"),
            at=at,
            version=version,
        )


def _fingerprint(data: Mapping[str, Any]) -> str:
    value = text(data, "fingerprint_sha256", default="").lower()
    if not re.fullmatch(r"(?:[0-9a-f]{64})?", value):
        raise ValueError("fingerprint_sha256 is not 64 hexadecimal digits")
    return value


def _counts(data: object) -> dict[int, int]:
    if not isinstance(data, dict) or len(data) > MAX_SESSION_VERSIONS:
        raise ValueError("sessions_by_version is not an object, or too large")
    if not all(isinstance(key, str) and key.isascii() and key.isdecimal() and is_count(data[key]) for key in data):
        raise ValueError("sessions_by_version does not count")
    return {int(key): data[key] for key in sorted(data, key=int)}
