"""Consumers that wait for a change, and the turns that a woken crowd takes at Vault. For one event loop.

A waiter costs memory and nothing else: no thread, no request to Vault. It is woken by a change that concerns it: what
its consumer is bound to has another version, name or mode, or the journal tells that it was revoked, which changes
nothing that can be compared. Where the journal has a gap, only the comparison counts: what it lost cannot wake
everybody.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final, TypeAlias

from service.delivery.binding import binding_of
from service.index import Snapshot

MAX_WAIT_S: Final = 120
"""Longer than an agent asks for, shorter than what proxies and firewalls forget."""
READS_AT_ONCE: Final = 24
"""Woken consumers that read in Vault at the same time: more of them would only queue inside it, before everybody."""

State: TypeAlias = tuple[str, int, str]
"""What a consumer would be given: the certificate's name and version, and its mode. An empty name is nothing."""
NOTHING: Final[State] = ("", 0, "")


def state_of(snapshot: Snapshot, consumer: str) -> State:
    """What a consumer would be given now, by the index."""
    binding = binding_of(snapshot, consumer)
    if binding is None or binding.certificate is None:
        return NOTHING
    view = snapshot.certificates.get(binding.certificate)
    if view is None or view.deleted:
        return NOTHING
    return (view.name, binding.held_at or view.version, binding.tls_mode)


@dataclass(slots=True, eq=False)
class Waiter:
    """One request that waits.

    Attributes:
        state: what its caller has.
        sequence: the journal's number when that was true.
        woken: done with the journal's number of what woke it, or with None when the server stops.
    """

    consumer: str
    state: State
    sequence: int
    woken: asyncio.Future[int | None]

    def wake(self, sequence: int | None) -> None:
        """Let it look again."""
        if not self.woken.done():
            self.woken.set_result(sequence)


class Waiters:
    """Everybody who waits."""

    def __init__(self) -> None:
        self._by_consumer: dict[str, set[Waiter]] = {}
        self._count = 0
        self._closed = False

    def __len__(self) -> int:
        return self._count

    def add(self, consumer: str, state: State, seen: Snapshot, now: Snapshot) -> Waiter:
        """Begin to wait; woken already when something happened between what was `seen` and `now`."""
        waiter = Waiter(consumer, state, seen.sequence, asyncio.get_running_loop().create_future())
        self._by_consumer.setdefault(consumer, set()).add(waiter)
        self._count += 1
        if self._closed:
            waiter.wake(None)
        elif state_of(now, consumer) != state or _was_revoked(consumer, now, seen.sequence):
            waiter.wake(now.sequence)
        return waiter

    def remove(self, waiter: Waiter) -> None:
        """Wait no longer."""
        waiters = self._by_consumer.get(waiter.consumer, set())
        if waiter in waiters:
            waiters.remove(waiter)
            self._count -= 1
        if not waiters:
            self._by_consumer.pop(waiter.consumer, None)
        waiter.woken.cancel()

    def changed(self, snapshot: Snapshot) -> None:
        """The index has something new."""
        for consumer, waiters in self._by_consumer.items():
            state = state_of(snapshot, consumer)
            for waiter in waiters:
                if waiter.state != state or _was_revoked(consumer, snapshot, waiter.sequence):
                    waiter.wake(snapshot.sequence)
                else:
                    waiter.sequence = snapshot.sequence

    def close(self) -> None:
        """The server stops: everybody is answered."""
        self._closed = True
        for waiters in self._by_consumer.values():
            for waiter in waiters:
                waiter.wake(None)


def _was_revoked(consumer: str, snapshot: Snapshot, after: int) -> bool:
    """Whether the journal tells so, after a number."""
    if snapshot.sequence <= after:
        return False
    for change in reversed(snapshot.changes):
        if change.sequence <= after:
            return False
        if change.kind == "consumer" and change.action == "revoked" and change.name == consumer:
            return True
    return False


class Turns:
    """A few at a time; of those that wait for their turn the newest change first, then who came first."""

    def __init__(self, at_once: int = READS_AT_ONCE) -> None:
        self._free = at_once
        self._queue: list[tuple[int, int, asyncio.Future[None]]] = []
        self._came = 0

    @asynccontextmanager
    async def turn(self, sequence: int) -> AsyncIterator[None]:
        """Wait for a turn, and have it."""
        if self._free:
            self._free -= 1
        else:
            self._came += 1
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            heapq.heappush(self._queue, (-sequence, self._came, turn))
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._pass_on()
                raise
        try:
            yield
        finally:
            self._pass_on()

    def _pass_on(self) -> None:
        while self._queue:
            _, _, turn = heapq.heappop(self._queue)
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
