"""Whose token it is, remembered for a few seconds: what makes a conditional fetch cost Vault nothing.

A token is remembered after Vault let it *read* something as a consumer: that a token can be looked up is not enough,
since a revoked consumer's token can be for a while. Tokens are kept as keyed hashes: this memory gives none away.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace

from service.index import Snapshot

VOUCHED_FOR_S = 5.0
"""How long a token is believed. A token revoked in Vault alone is answered 304 for this long at most; what is revoked
or unbound through Keystead is in the journal, and forgotten when the index has read that."""
WAITING_FOR_S = 3600.0
"""How long a token is believed when its caller waits: what it can hear is that nothing has changed, and with the first
change Vault decides. So those who wait cost Vault nothing, however many they are."""
MAX_REMEMBERED = 20_000
"""Twice the consumers of the largest instance that is measured; about 6 MB."""


@dataclass(frozen=True, slots=True)
class _Vouched:
    consumer: str
    since_s: float
    sequence: int


class Callers:
    """The tokens that Vault vouched for a moment ago, least recently used first. For one event loop.

    Args:
        monotonic: seconds, never backwards.
    """

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic, limit: int = MAX_REMEMBERED) -> None:
        self._monotonic = monotonic
        self._limit = limit
        self._key = secrets.token_bytes(32)
        self._known: OrderedDict[bytes, _Vouched] = OrderedDict()

    def __len__(self) -> int:
        return len(self._known)

    def consumer_of(self, token: bytes, snapshot: Snapshot, within_s: float = VOUCHED_FOR_S) -> str | None:
        """The consumer whose token it is; None when Vault has to be asked (again).

        Args:
            within_s: how long ago Vault may have been asked.
        """
        digest = self._digest(token)
        vouched = self._known.get(digest)
        if vouched is None:
            return None
        age_s = self._monotonic() - vouched.since_s
        if age_s >= WAITING_FOR_S:
            del self._known[digest]
        if age_s >= within_s:
            return None
        if vouched.sequence != snapshot.sequence:
            if _concerned(vouched, snapshot):
                del self._known[digest]
                return None
            self._known[digest] = replace(vouched, sequence=snapshot.sequence)
        self._known.move_to_end(digest)
        return vouched.consumer

    def remember(self, token: bytes, consumer: str, snapshot: Snapshot) -> None:
        """Vault just let this token read, as this consumer. `snapshot` is the one seen *before* Vault was asked."""
        digest = self._digest(token)
        self._known[digest] = _Vouched(consumer, self._monotonic(), snapshot.sequence)
        self._known.move_to_end(digest)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)

    def forget(self, token: bytes) -> None:
        """Vault refused it."""
        self._known.pop(self._digest(token), None)

    def _digest(self, token: bytes) -> bytes:
        return hashlib.blake2b(token, key=self._key, digest_size=16).digest()


def _concerned(vouched: _Vouched, snapshot: Snapshot) -> bool:
    """Whether something happened to this consumer since; yes when that is no longer known."""
    if snapshot.sequence < vouched.sequence:
        return True
    changes = snapshot.changes
    if not changes or changes[0].sequence > vouched.sequence + 1:
        return True
    names = {vouched.consumer, vouched.consumer.partition("-")[2]}
    return any(
        change.sequence > vouched.sequence
        and change.kind != "certificate"
        and (change.name in names or (change.kind == "provider" and vouched.consumer.startswith("provider-")))
        for change in changes
    )
