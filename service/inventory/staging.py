"""The next version, prepared in advance: checked and stored apart, until it is activated or discarded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from service.errors import Stale
from service.index.scan import CHANGED_BY
from service.index.translation import translated
from service.inventory.acting import Acting
from service.pki.bundle import Checked
from service.pki.facts import BundleFacts, Unreadable, read_facts
from service.records import refusal, staged_path
from vault.errors import Conflict, NotFound

ACTIVATE_AT: Final = "activate_at"
KEEPS_KEY: Final = "keeps_key"
ACCEPTED: Final = "accepted"
"""The harmful impacts that were accepted when it was staged, with blanks between."""
LATEST: Final = timedelta(days=366)


@dataclass(frozen=True, slots=True)
class Staged:
    """What stands ready for a certificate.

    Attributes:
        version: of what is staged, counted apart.
        keeps_key: whether the current key stays.
        activate_at: when the worker makes it current; None when a person does.
    """

    name: str
    version: int
    facts: BundleFacts
    certificate: str
    ca: str
    by: str
    at: datetime
    keeps_key: bool
    activate_at: datetime | None


def read_moment(given: str | None, now: datetime) -> datetime | None:
    """A time to come, as RFC 3339 says it; without a zone it is UTC.

    Raises:
        Refused: `staged.time`.
    """
    if not given:
        return None
    try:
        at = datetime.fromisoformat(given)
    except ValueError:
        at = None
    if at is not None and at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    if at is None or not now < at <= now + LATEST:
        hint = "Write it as 2027-01-31T04:00:00Z, not in the past and within a year."
        raise refusal("staged.time", "That is not a time to come.", hint, field="name")
    return at


def stage(
    acting: Acting, name: str, checked: Checked, activate_at: datetime | None, accept: Sequence[str] = ()
) -> Staged:
    """Store what was checked; what was staged before is replaced.

    Raises:
        Stale: somebody else staged something at the same moment. Unavailable, NotAllowed.
    """
    fields = {"certificate": checked.certificate, "ca": checked.ca}
    public = {
        **fields,
        CHANGED_BY: acting.who,
        ACTIVATE_AT: activate_at.isoformat() if activate_at else "",
        KEEPS_KEY: "yes" if checked.private_key is None else "",
        ACCEPTED: " ".join(sorted(set(accept))),
    }
    if checked.private_key is not None:
        fields["private_key"] = checked.private_key.pem()
    before = staged_of(acting, name)
    conflict = False
    with translated():
        try:
            expected = before.version if before else 0
            acting.vault.documents.write(staged_path(name), fields, expect_version=expected, public=public)
        except Conflict:
            conflict = True
    if conflict:
        raise Stale("Somebody else staged something at the same moment. Look again.")
    acting.tell("staged", name, "staged", None)
    made = staged_of(acting, name)
    if made is None:
        raise Stale("What was staged was discarded by somebody else at once. Look again.")
    return made


def staged_of(acting: Acting, name: str) -> Staged | None:
    """What stands ready; None when nothing does."""
    with translated():
        try:
            half = acting.vault.documents.read_public(staged_path(name))
        except NotFound:
            return None
    values = half.values
    try:
        facts = read_facts(values.get("certificate", ""), values.get("ca", ""))
        at = values.get(ACTIVATE_AT)
        activate_at = datetime.fromisoformat(at) if at else None
    except (Unreadable, ValueError, IndexError):
        return None
    return Staged(
        name=name,
        version=half.version,
        facts=facts,
        certificate=values.get("certificate", ""),
        ca=values.get("ca", ""),
        by=values.get(CHANGED_BY, ""),
        at=half.created_at,
        keeps_key=bool(values.get(KEEPS_KEY)),
        activate_at=activate_at,
    )


def discard(acting: Acting, name: str) -> None:
    """Destroy what stands ready; nothing happens when nothing does."""
    with translated():
        acting.vault.documents.destroy(staged_path(name))
    acting.tell("staged", name, "discarded", None)
