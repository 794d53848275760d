"""The change feed: one small document that names the last changes, in order.

Whoever changes something appends here after the change; whoever keeps a view in memory reads here what to read again.
The sequence number is the document's version, so an append is one compare-and-set. The changes stand in it as one JSON
text: Vault's audit device hashes each value of each response, and this document is read every second.
The journal is a hint, not a record: what it lost or never got is found by a scan; who did what is in Vault's audit log.
"""

from __future__ import annotations

import json
import random
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from vault.documents import Documents
from vault.errors import Conflict, NotFound, Rejected, VersionGone

Kind: TypeAlias = Literal["certificate", "relay", "provider", "binding", "consumer", "job", "canary", "staged"]

PATH: Final = "journal"
KEPT_CHANGES = 128
"""A reader that is further behind scans everything once. 128 changes are about 16 kB."""
APPEND_TRIES = 30
"""With waits of up to 40 ms between: more than a second of everybody writing at once."""
_LONGEST_WAIT_S = 0.04


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that was changed. `version` is the document's new version, None where there is none."""

    sequence: int
    at: datetime
    kind: Kind
    name: str
    action: str
    version: int | None
    by: str


@dataclass(frozen=True, slots=True)
class JournalRead:
    """What happened after a point, oldest first. `gap`: some of it is no longer kept here, scan everything."""

    sequence: int
    changes: tuple[Change, ...]
    gap: bool


class Journal:
    """The journal of one instance, as one token sees it."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def read(self, after: int = 0) -> JournalRead:
        """The changes with a sequence number above `after`: one request."""
        sequence, entries = self._entries()
        first_kept = sequence - len(entries) + 1
        gap = sequence < after or after + 1 < first_kept
        changes = tuple(
            _change_of(number, entry) for number, entry in enumerate(entries, start=first_kept) if gap or number > after
        )
        return JournalRead(sequence=sequence, changes=changes, gap=gap)

    def append(self, kind: Kind, name: str, action: str, version: int | None, *, by: str, at: datetime) -> int:
        """Add one change and return its sequence number.

        Two appends commute, so this one write is repeated when somebody else was faster.

        Raises:
            Conflict: somebody else was faster every time.
        """
        entry = {"at": at.isoformat(), "kind": kind, "name": name, "action": action, "version": version, "by": by}
        for attempt in range(APPEND_TRIES):
            sequence, entries = self._entries()
            kept = [*entries, entry][-KEPT_CHANGES:]
            try:
                return self._documents.write(
                    PATH, {"changes": json.dumps(kept, separators=(",", ":"))}, expect_version=sequence
                )
            except Conflict:
                if attempt == APPEND_TRIES - 1:
                    raise
            time.sleep(random.uniform(0, _LONGEST_WAIT_S))  # noqa: S311 - spreads writers, guards nothing
        raise AssertionError("the last try returns or raises")

    def _entries(self) -> tuple[int, list[dict[str, Any]]]:
        """The sequence number and the entries it still holds; its last entry has that number."""
        try:
            document = self._documents.read(PATH)
        except VersionGone as gone:
            return gone.version, []
        except NotFound:
            return 0, []
        try:
            entries = json.loads(document.data["changes"])
        except (KeyError, TypeError, ValueError):
            entries = None
        if not isinstance(entries, list):
            raise Rejected("read the journal", status=200, reason="it was not written by Keystead")
        return document.version, entries


def _change_of(sequence: int, entry: dict[str, Any]) -> Change:
    return Change(
        sequence=sequence,
        at=datetime.fromisoformat(entry["at"]),
        kind=entry["kind"],
        name=entry["name"],
        action=entry["action"],
        version=entry["version"],
        by=entry["by"],
    )
