"""What each pasted block was recognised as, in words: what it is, whose, until when, and what was done with it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from service.pki.finding import Field

Outcome = Literal["kept", "moved", "left-out", "unreadable"]
"""`moved`: pasted into one field, kept in another. `left-out`: read, and not needed or not wanted. """


@dataclass(frozen=True, slots=True)
class Recognised:
    """One block of the paste, in the order of the paste.

    Attributes:
        field: where it was pasted.
        position: counted from 1 in that field.
        source: the form it came in: `PEM`, `DER`, `PKCS#7`, `PKCS#12`.
        what: `Server certificate`, `Intermediate CA`, `Root CA`, `Private key`, …; never key material.
        whose: the name it is for, fit to be shown; empty for a key.
        until: when it ends, aware UTC; None for what does not end.
        outcome: what was done with it.
        kept_in: the field where it is kept; None when it was left out or is unreadable.
        place: in the stored chain, 0 for the leaf; None for all else.
    """

    field: Field
    position: int
    source: str
    what: str
    whose: str
    until: datetime | None
    outcome: Outcome
    kept_in: Field | None = None
    place: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The shape of the API (`blocks[]` of `POST /checks`); times as RFC 3339."""
        return {
            "field": self.field,
            "position": self.position,
            "source": self.source,
            "what": self.what,
            "whose": self.whose,
            "until": self.until.isoformat() if self.until else None,
            "outcome": self.outcome,
            "kept_in": self.kept_in,
            "place": self.place,
        }
