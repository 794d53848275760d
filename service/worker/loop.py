"""The worker's round: follow the journal, and make what consumers may read equal to the bindings."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
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
PAUSE_IN_TROUBLE_S: Final = 2.0


class Worker:
    """The loop.

    Args:
        reader: gives a `Vault` signed in as the worker; called anew for each round.
        forget: told that the token was refused; the next `reader()` signs in anew.
    """

    def __init__(self, reader: Callable[[], Vault], *, forget: Callable[[], None] = lambda: None) -> None:
        self._reader = reader
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
        ended = time.monotonic()
        self._earliest = ended + (ended - now) / LARGEST_SHARE
        self._next_round = max(ended + RECONCILE_INTERVAL_S, self._earliest)
