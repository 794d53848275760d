"""WebSocket sessions (RFC 6455): the two peers of a path are paired, and what one sends the other gets.

A session stays what it is when the certificate changes; it is counted by the version under which it began, and can be
ended some time after a rotation, so that clients come again and see the new one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import CloseCode

MAX_SESSIONS: Final = 10_000
MAX_PATH_CHARACTERS: Final = 1024
BUSY: Final = "two peers are connected by this path already"


@dataclass(slots=True, eq=False)
class _Peer:
    connection: ServerConnection
    version: int
    other: asyncio.Future[_Peer] = field(repr=False)


class Sessions:
    """Every open session of one relay. For one event loop."""

    def __init__(self) -> None:
        self._peers: set[_Peer] = set()
        self._by_path: dict[str, list[_Peer]] = {}

    def __len__(self) -> int:
        return len(self._peers)

    def refusal(self, path: str) -> str:
        """Why no session can begin at a path; empty when one can."""
        if len(path) > MAX_PATH_CHARACTERS:
            return "the path is too long"
        if len(self._peers) >= MAX_SESSIONS:
            return "the relay has as many sessions as it may"
        return BUSY if len(self._by_path.get(path, ())) >= 2 else ""

    def by_version(self) -> Mapping[int, int]:
        """How many sessions began under which version of the certificate."""
        return dict(sorted(Counter(peer.version for peer in self._peers).items()))

    async def serve(self, connection: ServerConnection, path: str, version: int) -> None:
        """One session, from its first frame to its last. Before there are two peers nothing is read."""
        if refused := self.refusal(path):
            await connection.close(CloseCode.TRY_AGAIN_LATER, refused)
            return
        peer = _Peer(connection, version, asyncio.get_running_loop().create_future())
        peers = self._by_path.setdefault(path, [])
        peers.append(peer)
        self._peers.add(peer)
        if len(peers) == 2:
            for one, other in zip(peers, reversed(peers), strict=True):
                one.other.set_result(other)
        try:
            if await self._is_paired(peer):
                await _forward(peer, peer.other.result())
        finally:
            self._peers.discard(peer)
            peers.remove(peer)
            if not peers and self._by_path.get(path) is peers:
                del self._by_path[path]
            elif peers:  # the other one begins anew with a fresh session: who was left alone is told so
                self._by_path.pop(path, None)

    async def drain(self, version: int) -> int:
        """End the sessions that began under another version, saying that the service restarts; how many they were."""
        old = [peer for peer in self._peers if peer.version != version]
        await asyncio.gather(
            *(peer.connection.close(CloseCode.SERVICE_RESTART, "the certificate was rotated") for peer in old),
            return_exceptions=True,
        )
        return len(old)

    async def _is_paired(self, peer: _Peer) -> bool:
        """Wait for the other one; False when this one has gone before."""
        gone = asyncio.ensure_future(peer.connection.wait_closed())
        try:
            await asyncio.wait((peer.other, gone), return_when=asyncio.FIRST_COMPLETED)
            return peer.other.done() and not gone.done()
        finally:
            gone.cancel()


async def _forward(peer: _Peer, other: _Peer) -> None:
    """Pass on what one sends, as it comes; when it ends, the other one ends too, with the same code."""
    with suppress(ConnectionClosed):
        async for message in peer.connection:
            await other.connection.send(message)
    code = peer.connection.close_code
    good = code if code in {CloseCode.NORMAL_CLOSURE, CloseCode.SERVICE_RESTART} else CloseCode.GOING_AWAY
    await other.connection.close(good, "the other peer has gone")
