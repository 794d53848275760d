"""The index itself: reads everything once, then follows the journal."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from threading import Event

from service.index.views import CertificateView, Snapshot
from vault.session import Vault


class Index:
    """The public view of everything, kept true in memory. Thread-safe.

    Args:
        reader: gives a `Vault` signed in as the index role; called anew for each round, so that it may renew.
        clock: aware UTC now.
        forget: told that the reader's token was refused; the next `reader()` signs in anew.
    """

    def __init__(
        self, reader: Callable[[], Vault], clock: Callable[[], datetime], *, forget: Callable[[], None] = lambda: None
    ) -> None:
        raise NotImplementedError

    @property
    def ready(self) -> bool:
        """Whether everything has been read once."""
        raise NotImplementedError

    @property
    def stale_since(self) -> datetime | None:
        """Since when Vault could not be followed; None while it can. The last snapshot stays in use meanwhile."""
        raise NotImplementedError

    def snapshot(self) -> Snapshot:
        """Everything, from memory.

        Raises:
            Unavailable: `index.not-ready`: nothing has been read yet.
        """
        raise NotImplementedError

    def refresh(self) -> Snapshot:
        """Follow the journal now: one read when nothing changed.

        Raises:
            Unavailable, NotAllowed.
        """
        raise NotImplementedError

    def rescan(self) -> Snapshot:
        """Compare everything with what is stored, and read what differs.

        Raises:
            Unavailable, NotAllowed.
        """
        raise NotImplementedError

    def version(self, name: str, number: int) -> CertificateView:
        """A version of a certificate; each is read from Vault once.

        Raises:
            Missing: there is no such version, or it was deleted or destroyed.
        """
        raise NotImplementedError

    def run(self, stop: Event, interval_s: float = 1.0) -> None:
        """Follow until `stop` is set: the journal each `interval_s`, statuses and everything else now and then.

        Trouble with Vault is noted in `stale_since`, and tried again.
        """
        raise NotImplementedError
