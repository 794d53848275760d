"""WebSocket sessions through relays and proxies: the server behind them, and clients that watch a rotation.

For tests and `make demo`. By asyncio: the blocking client of websockets reads and writes one TLS connection from two
threads, which OpenSSL does not allow; it then loses a request now and then, when TLS 1.3's tickets come while the
request is written.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field

from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import WebSocketException

START_LIMIT_S = 20.0
ANSWER_LIMIT_S = 5.0
PACE_S = 0.02
FAILURES = (OSError, EOFError, TimeoutError, WebSocketException)
"""How a session ends that should not."""


@dataclass
class Watch:
    """One relay watched from outside: a session that is held, and a new handshake again and again."""

    name: str
    port: int
    trust: ssl.SSLContext
    paired: bool = False
    exchanged: int = 0
    handshakes: int = 0
    faults: list[str] = field(default_factory=list)

    def session(self, path: str) -> connect:
        """A WebSocket session with it."""
        return connect(f"wss://localhost:{self.port}/{path}", ssl=self.trust, proxy=None, compression=None)

    async def hold(self, stop: asyncio.Event) -> None:
        """One session (two peers, where peers are paired), a message every 20 ms."""
        try:
            async with AsyncExitStack() as held:
                one = await held.enter_async_context(self.session("room"))
                other = await held.enter_async_context(self.session("room")) if self.paired else one
                while not stop.is_set():
                    await one.send(f"message {self.exchanged}")
                    if await asyncio.wait_for(other.recv(), ANSWER_LIMIT_S) != f"message {self.exchanged}":
                        self.faults.append("a message came back as another")
                    self.exchanged += 1
                    await asyncio.sleep(PACE_S)
        except FAILURES as error:
            self.faults.append(f"the session ended: {error!r}")

    async def shake_hands(self, stop: asyncio.Event) -> None:
        """A new connection every 20 ms, each with a request that is answered: an mTLS refusal would only show then."""
        while not stop.is_set():
            try:
                async with self.session(f"handshake-{self.handshakes}"):
                    self.handshakes += 1
            except FAILURES as error:
                self.faults.append(f"a handshake failed: {error!r}")
            await asyncio.sleep(PACE_S)


@contextmanager
def watched(watches: list[Watch]) -> Iterator[None]:
    """While this lasts, every relay is watched; it begins when each has exchanged something."""
    with background_loop() as loop:
        stop = asyncio.Event()
        works = [work(stop) for one in watches for work in (one.hold, one.shake_hands)]
        running = [asyncio.run_coroutine_threadsafe(work, loop) for work in works]
        try:
            ends = time.monotonic() + START_LIMIT_S
            while not all(one.exchanged and one.handshakes for one in watches) and time.monotonic() < ends:
                time.sleep(PACE_S)
            yield
            time.sleep(1.0)  # what a rotation breaks may show a moment later
        finally:
            loop.call_soon_threadsafe(stop.set)
            for work in running:
                work.result(START_LIMIT_S)


@contextmanager
def echoing() -> Iterator[int]:
    """The WebSocket server behind the proxies: what is sent comes back. Its port."""

    async def answer(connection: ServerConnection) -> None:
        async for message in connection:
            await connection.send(message)

    async def start() -> Server:
        return await serve(answer, "127.0.0.1", 0, compression=None)

    async def end(server: Server) -> None:
        server.close()
        await server.wait_closed()

    with background_loop() as loop:
        server = asyncio.run_coroutine_threadsafe(start(), loop).result(START_LIMIT_S)
        try:
            yield next(iter(server.sockets)).getsockname()[1]
        finally:
            asyncio.run_coroutine_threadsafe(end(server), loop).result(START_LIMIT_S)


@contextmanager
def background_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """An event loop in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
