"""Client-CA overlap: authorities that a rotation drops stay beside the new ones until a date. Pure.

Nothing goes away by itself at that date: no service may write bundles. The certificate then has a finding, and a
person rotates the CA.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Final

from service.index import CertificateView
from service.inventory.differences import authorities_beyond, in_words
from service.pki.bundle import Checked
from service.pki.codes import finding
from service.pki.facts import BundleFacts
from service.pki.finding import Finding
from service.pki.pem import MAX_BLOCKS, MAX_FIELD_BYTES
from service.records import refusal

MAX_DAYS: Final = 398
"""As long as a public certificate lasted at most (CA/B BR §6.3.2): every client has a new one by then."""
DEFAULT_DAYS: Final = 30
_STORED = re.compile(r"\d{4}-\d{2}-\d{2}(?: [0-9a-f]{64}){1,128}")
_BLOCK = re.compile(r"-----BEGIN CERTIFICATE-----\n.*?-----END CERTIFICATE-----\n", re.DOTALL)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Overlap:
    """What is kept, and until when.

    Attributes:
        until: the last day, UTC.
        fingerprints: SHA-256 of each kept authority, lower-case hex.
    """

    until: date
    fingerprints: tuple[str, ...]

    def stored(self) -> str:
        """As the public half holds it."""
        return " ".join((self.until.isoformat(), *self.fingerprints))

    def authorities(self, facts: BundleFacts | None) -> tuple[str, ...]:
        """The titles of the kept authorities."""
        return tuple(one.title for one in facts.ca if one.fingerprint_sha256 in self.fingerprints) if facts else ()

    def is_over(self, now: datetime) -> bool:
        """Whether the last day has passed."""
        return now.date() > self.until


def overlap_of(view: CertificateView) -> Overlap | None:
    """The overlap of a stored certificate; None when there is none, or it was written by hand and makes no sense."""
    if view.facts is None or not _STORED.fullmatch(view.ca_overlap):
        return None
    until, *fingerprints = view.ca_overlap.split(" ")
    present = {one.fingerprint_sha256 for one in view.facts.ca}
    kept = tuple(one for one in fingerprints if one in present)
    try:
        return Overlap(date.fromisoformat(until), kept) if kept else None
    except ValueError:
        return None


def read_until(text: str | None, now: datetime) -> date | None:
    """The date that a person gave; None when none.

    Raises:
        Refused: `overlap.date`: no date (RFC 3339 full-date), not after today, or more than `MAX_DAYS` ahead.
    """
    if text is None:
        return None
    today = now.date()
    last = today + timedelta(days=MAX_DAYS)
    try:
        until = date.fromisoformat(text) if _DATE.fullmatch(text) else None
    except ValueError:
        until = None
    if until is None or not today < until <= last:
        first = today + timedelta(days=1)
        message = "The old CA cannot be kept until that date." if until else "Until when the old CA is kept is no date."
        raise refusal("overlap.date", message, f"Give a day from {first} to {last}.", field="ca")
    return until


def keep_dropped(stored: CertificateView, checked: Checked, until: date | None) -> tuple[Checked, Overlap | None]:
    """What is to be stored with the authorities that it would drop, and the overlap that is kept with it.

    Without a date, an overlap goes on for the authorities that are still there.

    Raises:
        Refused: `overlap.nothing-dropped`, `overlap.too-many`.
    """
    before = overlap_of(stored)
    if checked.facts is None or stored.facts is None:
        return checked, None
    present = {one.fingerprint_sha256 for one in checked.facts.ca}
    carried = tuple(one for one in before.fingerprints if one in present) if before else ()
    if until is None:
        return checked, Overlap(before.until, carried) if before and carried else None
    dropped = authorities_beyond(stored.facts, checked.facts)
    if not dropped:
        message = "No CA would be dropped: there is nothing to keep."
        raise refusal("overlap.nothing-dropped", message, "Leave out the date.", field="ca")
    blocks = dict(zip((one.fingerprint_sha256 for one in stored.facts.ca), _BLOCK.findall(stored.ca), strict=True))
    ca = checked.ca + "".join(blocks[one.fingerprint_sha256] for one in dropped)
    if len(checked.facts.ca) + len(dropped) > MAX_BLOCKS or len(ca) > MAX_FIELD_BYTES:
        message = "With the old ones the CA field would be larger than it may be."
        raise refusal("overlap.too-many", message, "Leave out what no client uses any more.", field="ca")
    facts = replace(checked.facts, ca=(*checked.facts.ca, *dropped))
    fingerprints = (*carried, *(one.fingerprint_sha256 for one in dropped))
    return replace(checked, ca=ca, facts=facts), Overlap(until, fingerprints)


def findings_of(view: CertificateView, now: datetime) -> tuple[Finding, ...]:
    """`ca.overlap-over` once the last day has passed."""
    overlap = overlap_of(view)
    if overlap is None or not overlap.is_over(now):
        return ()
    titles = in_words(overlap.authorities(view.facts))
    message = f"{titles} was to be kept until {overlap.until}; clients that it issued are still accepted."
    return (finding("ca.overlap-over", message, "Rotate the CA without it, or keep it until a later date.", "ca"),)
