"""Work that the worker does because a person asked for it. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from service.pki.finding import Finding, Severity
from service.records.fields import choice, text

JobKind: TypeAlias = Literal["relay-test", "canary", "rollback", "activate"]
JobState: TypeAlias = Literal["queued", "running", "done"]
JobOutcome: TypeAlias = Literal["", "passed", "failed"]
MAX_FINDINGS: Final = 32
_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class Job:
    """One piece of work.

    Attributes:
        id: 32 hexadecimal digits.
        subject: what it concerns: a consumer, or a certificate.
        outcome: empty until it is done.
        arguments: what was asked for, by name; texts.
        report: what else it found, by name; texts.
        leased_until: until when the worker that runs it may be believed to; afterwards another one takes it.
    """

    id: str
    kind: JobKind
    subject: str
    by: str
    asked_at: datetime
    state: JobState = "queued"
    outcome: JobOutcome = ""
    findings: tuple[Finding, ...] = ()
    arguments: Mapping[str, str] = field(default_factory=dict)
    report: Mapping[str, str] | None = None
    leased_until: datetime | None = None
    finished_at: datetime | None = None
    version: int = 0

    def to_data(self) -> dict[str, Any]:
        """The stored document."""
        return {
            "kind": self.kind,
            "subject": self.subject,
            "by": self.by,
            "asked_at": self.asked_at.isoformat(),
            "state": self.state,
            "outcome": self.outcome,
            "findings": [one.as_json() for one in self.findings],
            "arguments": dict(self.arguments),
            "report": dict(self.report or {}),
            "leased_until": self.leased_until.isoformat() if self.leased_until else "",
            "finished_at": self.finished_at.isoformat() if self.finished_at else "",
        }

    @staticmethod
    def from_data(job: str, data: Mapping[str, Any], version: int) -> Job:
        """The record of a stored document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        findings = data.get("findings") or []
        if not isinstance(findings, list) or len(findings) > MAX_FINDINGS:
            raise ValueError("findings is not what it should be")
        asked_at = _time(data, "asked_at")
        if asked_at is None:
            raise ValueError("asked_at is missing")
        return Job(
            id=job,
            kind=cast("JobKind", choice(data, "kind", get_args(JobKind))),
            subject=text(data, "subject"),
            by=text(data, "by", default=""),
            asked_at=asked_at,
            state=cast("JobState", choice(data, "state", get_args(JobState))),
            outcome=cast("JobOutcome", choice(data, "outcome", get_args(JobOutcome))),
            findings=tuple(map(_finding, findings)),
            arguments=_texts(data, "arguments"),
            report=_texts(data, "report"),
            leased_until=_time(data, "leased_until"),
            finished_at=_time(data, "finished_at"),
            version=version,
        )


def is_job_id(value: str) -> bool:
    """Whether it has the form of a job's id."""
    return _ID.fullmatch(value) is not None


def _finding(data: object) -> Finding:
    if not isinstance(data, dict):
        raise ValueError("a finding is not an object")  # noqa: TRY004 - every unreadable document is one kind of error
    return Finding(
        code=text(data, "code"),
        severity=Severity(text(data, "severity")),
        message=text(data, "message"),
        hint=text(data, "hint", default=""),
    )


def _texts(data: Mapping[str, Any], name: str) -> dict[str, str]:
    found = data.get(name) or {}
    if not isinstance(found, dict):
        raise ValueError(f"{name} is not an object")  # noqa: TRY004 - as above
    return {str(key): str(value) for key, value in found.items()}


def _time(data: Mapping[str, Any], field: str) -> datetime | None:
    value = text(data, field, default="")
    if not value:
        return None
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError(f"{field} has no time zone")
    return at
