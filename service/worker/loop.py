"""The worker's round: follow the journal, and make what consumers may read equal to the bindings."""

from __future__ import annotations

import logging
import signal
import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from service.worker.reconcile import reconcile
from vault.errors import Denied, Rejected, VaultError
from vault.session import Vault

_log = logging.getLogger(__name__)

RECONCILE_INTERVAL_S: Final = 15.0
"""A crash between two writes is healed after this time at the latest."""
AFTER_CHANGE_S: Final = 2.0
"""A change is looked after this soon; people's own processes have mostly done all of it by then."""
LARGEST_SHARE: Final = 0.05
"""Rounds take at most this share of the time, however many consumers there are."""
WHO: Final = "worker"
"""Who put it right, in the journal."""
PAUSE_IN_TROUBLE_S: Final = 2.0


def run(
    reader: Callable[[], Vault],
    forget: Callable[[], None],
    clock: Callable[[], datetime],
    stop: threading.Event | None = None,
    *,
    beside: Sequence[Callable[[threading.Event], None]] = (),
) -> None:
    """Work until `stop` is set; without one, until SIGTERM or SIGINT.

    Args:
        beside: what else works until then, each in a thread of its own.
    """
    if stop is None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
    threads = [
        threading.Thread(target=work, args=(stop,), name=f"beside-{number}") for number, work in enumerate(beside)
    ]
    for thread in threads:
        thread.start()
    try:
        Worker(reader, clock, forget=forget).run(stop)
    finally:
        stop.set()
        for thread in threads:
            thread.join()


class Worker:
    """The loop.

    Args:
        reader: gives a `Vault` signed in as the worker; called anew for each round.
        clock: aware UTC now.
        forget: told that the token was refused; the next `reader()` signs in anew.
    """

    def __init__(
        self, reader: Callable[[], Vault], clock: Callable[[], datetime], *, forget: Callable[[], None] = lambda: None
    ) -> None:
        self._reader = reader
        self._clock = clock
        self._forget = forget
        self._sequence = -1
        self._next_round = 0.0
        self._earliest = 0.0

    def run(self, stop: threading.Event, interval_s: float = 1.0) -> None:
        """Work until `stop` is set. Trouble with Vault is logged once, and tried again."""
        said = ""
        pause_s = 0.0
        while not stop.wait(pause_s):
            pause_s = interval_s
            trouble = ""
            try:
                self.turn()
            except VaultError as error:
                trouble = str(error)
                if isinstance(error, Denied):
                    self._forget()
            except Exception as error:  # noqa: BLE001 - the loop's edge: the worker stays up
                trouble = type(error).__name__  # and no traceback: it could quote a document
            if trouble:
                pause_s = max(interval_s, PAUSE_IN_TROUBLE_S)
            if trouble != said:
                said = trouble
                _log.warning("the worker is held up: %s" if trouble else "the worker goes on%s", trouble)

    def turn(self) -> None:
        """Look at the journal, and at everything when it is time to.

        Raises:
            VaultError.
        """
        vault = self._reader()
        try:
            sequence = vault.journal.read(after=max(self._sequence, 0)).sequence
        except Rejected:  # broken by hand: the interval alone counts
            sequence = self._sequence
        now = time.monotonic()
        if sequence != self._sequence:
            self._sequence = sequence
            self._next_round = max(min(self._next_round, now + AFTER_CHANGE_S), self._earliest)
        if now < self._next_round:
            return
        for action in reconcile(vault):
            _log.warning("put right: %s", action)
            sequence = vault.journal.append("binding", action.consumer, "put right", None, by=WHO, at=self._clock())
            if sequence == self._sequence + 1:
                self._sequence = sequence  # our own entry is no news
        ended = time.monotonic()
        self._earliest = ended + (ended - now) / LARGEST_SHARE
        self._next_round = max(ended + RECONCILE_INTERVAL_S, self._earliest)
