"""What each use case needs: Vault with the person's token, the index, the person's name and the time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from service.errors import Problem
from service.index import Index
from vault.errors import VaultError
from vault.journal import Kind
from vault.session import Vault

UNFINISHED: Final = "change.unfinished"
"""The code of a problem after which the change is stored all the same, and the worker finishes it."""
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Acting:
    """Who acts, with what."""

    vault: Vault
    index: Index
    who: str
    clock: Callable[[], datetime]

    def now(self) -> datetime:
        """Aware UTC now."""
        return self.clock()

    def tell(self, kind: Kind, name: str, action: str, version: int | None, *paths: str) -> None:
        """Say in the journal what was done, and read it back into the index (`paths`).

        What was done stays done when this fails: every index finds it with its next scan.
        """
        try:
            self.vault.journal.append(kind, name, action, version, by=self.who, at=self.now())
        except VaultError as error:
            _log.warning("no journal entry for %s %s %s: %s", kind, name, action, type(error).__name__)
        self.index.announce()
        self.refresh_if_possible(*paths)

    @contextmanager
    def telling_of_trouble(self, kind: Kind, name: str, action: str, path: str) -> Iterator[None]:
        """Around a change that may end half-way: a change that is stored is told, although it raised."""
        try:
            yield
        except Problem as problem:
            if problem.code == UNFINISHED:
                self.tell(kind, name, action, None, path)
            else:
                self.refresh_if_possible(path)
            raise

    def refresh_if_possible(self, *paths: str) -> None:
        """Read what was changed back into the index, so that the person sees it on the next page."""
        try:
            self.index.refresh(paths)
        except Problem as problem:
            _log.warning("the index is behind: %s", problem.code)
