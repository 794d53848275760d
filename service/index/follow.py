"""The index itself: reads everything once, then follows the journal."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterable
from datetime import datetime
from typing import Final

from service.errors import Missing, Problem, Unavailable
from service.index.contents import Contents
from service.index.translation import problem_of
from service.index.views import Snapshot, VersionView
from service.records import bundle_path, probe_path, status_path
from vault.documents import Metadata
from vault.errors import Denied, VaultError
from vault.session import Vault

_log = logging.getLogger(__name__)

RESCAN_INTERVAL_S: Final = 60.0
"""A change whose journal entry was lost in a crash is seen after this time at the latest."""
STATUS_INTERVAL_S: Final = 10.0
"""Consumers may not write the journal, so what they report is looked for."""
LARGEST_SHARE: Final = 0.05
"""Scans take at most this share of the time, however long one takes: 10,000 documents on a loaded Vault."""
OBSERVE_INTERVAL_S: Final = 0.2
"""However many people look at a rollout, reports are read this often at most."""
OBSERVED_ONE_BY_ONE: Final = 64
"""Of more consumers than that, what has changed is asked of a listing."""
PAUSE_IN_TROUBLE_S: Final = 2.0
"""Between tries while Vault cannot be reached."""


class Index:
    """The public view of everything, kept true in memory. Thread-safe.

    Args:
        reader: gives a `Vault` signed in as the index role; called anew for each round, so that it may renew.
        clock: aware UTC now.
        forget: told that the reader's token was refused; the next `reader()` signs in anew.
        announce: tells other processes of this machine that there is something new in the journal.
        reports: whether what is said of consumers (statuses, probes) is of interest here. It is a document for each
            consumer, which changes with each rotation.
    """

    def __init__(
        self,
        reader: Callable[[], Vault],
        clock: Callable[[], datetime],
        *,
        forget: Callable[[], None] = lambda: None,
        announce: Callable[[], None] = lambda: None,
        reports: bool = True,
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._forget = forget
        self.announce = announce
        self._contents = Contents(clock, reports=reports)
        self._reports = reports
        self._writing = threading.Lock()
        self._snapshot: Snapshot | None = None
        self._stale_since: datetime | None = None
        self._listeners: tuple[Callable[[Snapshot], object], ...] = ()
        self._nudged = threading.Event()
        self._observed_at: dict[frozenset[str], float] = {}

    def on_change(self, listener: Callable[[Snapshot], object]) -> Callable[[], None]:
        """Call `listener` with each new snapshot, in whichever thread read it; the answer ends that."""
        self._listeners = (*self._listeners, listener)

        def end() -> None:
            self._listeners = tuple(one for one in self._listeners if one is not listener)

        return end

    def nudge(self) -> None:
        """Something has changed: `run` looks now and not after its pause."""
        self._nudged.set()

    @property
    def ready(self) -> bool:
        """Whether everything has been read once."""
        return self._snapshot is not None

    @property
    def stale_since(self) -> datetime | None:
        """Since when Vault could not be followed; None while it can. The last snapshot stays in use meanwhile."""
        return self._stale_since

    def snapshot(self) -> Snapshot:
        """Everything, from memory.

        Raises:
            Unavailable: `index.not-ready`: nothing has been read yet.
        """
        if self._snapshot is None:
            detail = "Keystead is still reading what is stored, or cannot reach Vault to do so. Try again in a moment."
            raise Unavailable(detail, code="index.not-ready")
        return self._snapshot

    def refresh(self, changed: Iterable[str] = ()) -> Snapshot:
        """Follow the journal now: one read when nothing changed.

        Args:
            changed: paths to read again in any case (`relays/eu`), when their entry in the journal may be missing.

        Raises:
            Unavailable.
        """
        paths = tuple(changed)
        return self._round(lambda vault: self._contents.follow(vault, paths))

    def rescan(self) -> Snapshot:
        """Compare everything with what is stored, and read what differs.

        Raises:
            Unavailable.
        """
        return self._round(self._contents.scan)

    def recheck_users(self) -> Snapshot:
        """Compare the relays and container providers alone with what is stored: who uses what, at this moment.

        Raises:
            Unavailable.
        """
        return self._round(self._contents.scan_users)

    def rescan_statuses(self) -> Snapshot:
        """Look for what consumers have reported.

        Raises:
            Unavailable.
        """
        return self._round(self._contents.scan_statuses)

    def observe(self, consumers: Collection[str]) -> Snapshot:
        """Look for what some consumers, and the worker about them, have reported a moment ago.

        Raises:
            Unavailable.
        """
        now, whom = time.monotonic(), frozenset(consumers)
        if not whom or now - self._observed_at.get(whom, 0.0) < OBSERVE_INTERVAL_S:
            return self.snapshot()
        self._observed_at = {key: at for key, at in self._observed_at.items() if now - at < OBSERVE_INTERVAL_S}
        self._observed_at[whom] = now
        if len(whom) > OBSERVED_ONE_BY_ONE:
            return self.rescan_statuses()
        return self.refresh([path(one) for one in whom for path in (status_path, probe_path)])

    def version(self, name: str, number: int) -> VersionView:
        """A version of a certificate; each is read from Vault once.

        Raises:
            Missing: there is no such version, or it was deleted or destroyed.
            Unavailable.
        """
        known = self._contents.known_version(name, number)
        if known is not None:
            return known
        found: list[VersionView | None] = []
        self._round(lambda vault: found.append(self._contents.read_version(vault, name, number)))
        if found[0] is None:
            raise Missing(f"There is no version {number} of {name} any more.")
        return found[0]

    def versions(self, name: str) -> Metadata:
        """Which versions of a certificate there are, read now.

        Raises:
            Missing: there is no certificate of that name.
            Unavailable.
        """
        self.refresh((bundle_path(name),))
        found = self._contents.versions(name)
        if found is None:
            raise Missing(f"There is no certificate {name}.", code="certificate.missing")
        return found

    def run(self, stop: threading.Event, interval_s: float = 1.0) -> None:
        """Follow until `stop` is set: the journal each `interval_s` and when nudged, statuses and everything else now
        and then. `stop` is noticed at the end of a pause: nudge to end it.

        Trouble with Vault is noted in `stale_since`, and tried again.
        """
        pause_s = 0.0
        said = ""
        rescan_at = status_at = 0.0
        while not stop.is_set():
            self._nudged.wait(pause_s)
            self._nudged.clear()
            pause_s = interval_s
            try:
                self.refresh()
                now = time.monotonic()
                if self._reports and now >= status_at:
                    self.rescan_statuses()
                    status_at = _next_time(now, STATUS_INTERVAL_S)
                now = time.monotonic()
                if rescan_at == 0.0:
                    rescan_at = now + RESCAN_INTERVAL_S  # the first refresh was a scan
                elif now >= rescan_at:
                    self.rescan()
                    rescan_at = _next_time(now, RESCAN_INTERVAL_S)
                trouble = ""
            except Problem as problem:
                trouble = problem.code
            except Exception as error:  # noqa: BLE001 - the loop's edge: a thread that ends silently helps nobody
                trouble = type(error).__name__  # and no traceback: it could quote a document
            if trouble:
                pause_s = max(interval_s, PAUSE_IN_TROUBLE_S)
            if trouble != said:
                said = trouble
                _log.warning("the index cannot follow Vault: %s" if trouble else "the index follows Vault%s", trouble)

    def _round(self, work: Callable[[Vault], object]) -> Snapshot:
        """One round of reading, once more with a new token when the present one is refused."""
        with self._writing:
            problem: Problem | None = None
            try:
                try:
                    work(self._reader())
                except Denied:
                    self._forget()
                    work(self._reader())
            except Denied:
                detail = "Vault does not let the index read. Is its policy up to date? `keystead setup --check` tells."
                problem = Unavailable(detail, code="index.not-allowed")
            except VaultError as error:
                problem = problem_of(error)
            if problem is not None:
                self._stale_since = self._stale_since or self._clock()
                raise problem
            before, self._snapshot = self._snapshot, self._contents.snapshot()
            self._stale_since = None
            if self._snapshot is not before:
                for listener in self._listeners:
                    listener(self._snapshot)
            return self._snapshot


def _next_time(started: float, interval_s: float) -> float:
    """When to scan again: after the interval, or later when the scan took long."""
    now = time.monotonic()
    return now + max(interval_s, (now - started) / LARGEST_SHARE)
