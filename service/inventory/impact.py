"""What a change would do to those who use a certificate. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from service.pki.codes import SEVERITIES
from service.pki.finding import Finding, Severity

RANKS: Final = MappingProxyType({Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2})
"""The harmful first."""


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change would do to one consumer.

    Attributes:
        consumer: its name, `relay-eu`.
        code: a finding's code (`host.not-covered`, `ca.dropped`, `names.lost`).
        severity: an error is harmful: the change is refused until it is accepted. The others need no acceptance.
        message: the consequence in one sentence; names the consumer.
        hint: what to do; may be empty.
    """

    consumer: str
    code: str
    severity: Severity
    message: str
    hint: str = ""

    @property
    def harmful(self) -> bool:
        """Whether it has to be accepted."""
        return self.severity is Severity.ERROR

    @property
    def rank(self) -> int:
        """Its place by weight, the harmful first."""
        return RANKS[self.severity]

    @property
    def acceptance(self) -> str:
        """What accepts this one alone: `relay-eu:host.not-covered`. The code alone accepts it for every consumer."""
        return f"{self.consumer}:{self.code}"

    def as_finding(self) -> Finding:
        """The same as a finding, for a refusal."""
        return Finding(
            code=self.code,
            severity=self.severity,
            message=self.message,
            hint=self.hint,
            field="ca" if self.code.startswith("ca.") else "certificate",
        )

    def as_json(self) -> dict[str, str | bool]:
        """The shape of the API (INTERFACE: `impact[]`)."""
        return {
            "consumer": self.consumer,
            "code": self.code,
            "severity": str(self.severity),
            "message": self.message,
            "hint": self.hint,
            "accept": self.acceptance,
        }


def impact(consumer: str, code: str, message: str, hint: str = "") -> Impact:
    """An impact with the severity that its code has; the message is put behind the consumer's name."""
    return Impact(consumer, code, SEVERITIES[code], f"{consumer}: {message}", hint)
