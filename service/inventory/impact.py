"""What a change would do to those who use a certificate. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from service.pki.finding import Finding, Severity


@dataclass(frozen=True, slots=True)
class Impact:
    """What a change would do to one consumer.

    Attributes:
        consumer: its name, `relay-eu`.
        code: a finding's code (`host.not-covered`), or `ca.dropped`.
        severity: an error is harmful: the change is refused until it is accepted.
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
