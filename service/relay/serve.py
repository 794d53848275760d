"""The relay as a process: fetch the bundle, listen, follow. Connections stay when the certificate changes.

It answers `GET /healthz` over its own TLS with what it serves.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import random
import ssl
from collections.abc import Callable
from datetime import datetime

from service.agent.errors import AgentError, LoginRefused, WrongUsage
from service.agent.session import ConsumerSession
from service.agent.source import Bundle, etag_of
from service.relay.tls import Front, Serving, prepare

WAIT_S = 60
"""How long the delivery plane may hold an answer back."""
INTERVAL_S = 1.0
"""Between fetches that were not held back."""
LONGEST_PAUSE_S = 15.0
MAX_HEAD_BYTES = 8 * 1024
REQUEST_LIMIT_S = 10.0
HANDSHAKE_LIMIT_S = 10.0

_log = logging.getLogger("keystead.relay")


class Relay:
    """One relay. Run it once.

    Args:
        port: 0 takes a free one; `port` tells which.
        tell: called with what is served, first and after each change.
    """

    def __init__(
        self,
        session: ConsumerSession,
        host: str,
        port: int,
        *,
        clock: Callable[[], datetime],
        tell: Callable[[str, Serving], None],
    ) -> None:
        self._session = session
        self._host = host
        self.port = port
        self._clock = clock
        self._tell = tell
        self._front: Front | None = None
        self._server: asyncio.Server | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._consumer = ""
        self._settled = self._was_held = False

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for a bundle, serve it, and follow until `stop` is set.

        Raises:
            LoginRefused, WrongUsage: a person has to act. OSError: the address cannot be listened on.
        """
        pause_s, said = INTERVAL_S, ""
        watch = asyncio.create_task(self._interrupt_at(stop))
        try:
            while not stop.is_set():
                try:
                    await self._follow()
                    pause_s, said = 0.0 if self._was_held else INTERVAL_S, ""
                    self._settled = True
                except (LoginRefused, WrongUsage):
                    if self._front is None:
                        raise
                    pause_s = LONGEST_PAUSE_S  # what is served stays served
                except AgentError as error:
                    if stop.is_set():
                        break
                    pause_s = min(max(pause_s * 2, INTERVAL_S), LONGEST_PAUSE_S)
                    if str(error) != said:
                        said = str(error)
                        _log.warning("%s", said)
                await _wait(stop, pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, keeps no secret
        finally:
            watch.cancel()
            if self._server is not None:
                self._server.close()
            for writer in tuple(self._connections):
                writer.close()

    async def _interrupt_at(self, stop: asyncio.Event) -> None:
        """End a fetch that waits."""
        await stop.wait()
        self._session.interrupt()

    async def _follow(self) -> None:
        """Fetch once, and serve what came."""
        serving = await asyncio.to_thread(self._fetch)
        if serving is None:
            return
        if self._front is None:
            self._front = Front(serving)
            self._server = await self._listen(self._front)
        else:
            self._front.switch_to(serving)
        self._tell(self._consumer, serving)
        await self._report(serving)

    async def _listen(self, front: Front) -> asyncio.Server:
        server = await asyncio.start_server(
            self._serve,
            self._host,
            self.port,
            ssl=front.context,
            ssl_handshake_timeout=HANDSHAKE_LIMIT_S,
            limit=MAX_HEAD_BYTES,
        )
        self.port = server.sockets[0].getsockname()[1]
        return server

    def _fetch(self) -> Serving | None:
        """The next bundle, checked and loaded; None when nothing changed."""
        present = self._front.serving if self._front else None
        etag = etag_of(present.certificate_name, present.version) if present else None
        wait_s = WAIT_S if present and self._settled else 0
        self._settled = False
        bundle = self._session.fetch(etag, present.tls_mode if present else None, wait_s=wait_s)
        self._was_held = self._session.was_held
        self._consumer = self._session.consumer()
        if bundle is None or _is_older(bundle, present):
            return None
        return prepare(bundle, self._clock())

    async def _report(self, serving: Serving) -> None:
        """Report what a handshake with the own port shows; a failure is logged and costs nothing else."""
        seen = await self._seen_from_outside()
        good = seen == serving.fingerprint_sha256
        report: dict[str, object] = {
            "certificate_name": serving.certificate_name,
            "version": serving.version,
            "fingerprint_sha256": seen,
            "state": "serving" if good else "failed",
            "detail": "" if good else "a handshake with the relay's own port shows another certificate",
            "sessions": len(self._connections),
        }
        try:
            await asyncio.to_thread(self._session.report, report)
        except AgentError as error:
            _log.warning("%s", error)

    async def _seen_from_outside(self) -> str:
        """The fingerprint of the leaf that a new connection to this relay gets; empty when there is none."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE  # it asks which certificate is there, and trusts nothing
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104 - where it listens
        try:
            async with asyncio.timeout(HANDSHAKE_LIMIT_S):
                _, writer = await asyncio.open_connection(host, self.port, ssl=context)
            leaf = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            writer.transport.abort()
        except (OSError, TimeoutError):
            return ""
        return hashlib.sha256(leaf).hexdigest() if leaf else ""

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, one request."""
        front = self._front
        if front is None or not front.admits(writer.get_extra_info("ssl_object")):
            writer.transport.abort()
            return
        self._connections.add(writer)
        try:
            async with asyncio.timeout(REQUEST_LIMIT_S):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(self._answer(head, front.serving))
                await writer.drain()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            self._connections.discard(writer)
            writer.close()

    def _answer(self, head: bytes, serving: Serving) -> bytes:
        value: dict[str, object] = {}
        method, path, *_ = [*head.split(b"\r\n", 1)[0].split(b" "), b"", b""]
        if path != b"/healthz":
            status = b"404 Not Found"
        elif method != b"GET":
            status = b"405 Method Not Allowed"
        else:
            status = b"200 OK"
            value = {
                "status": "ok",
                "relay": self._consumer,
                "certificate_name": serving.certificate_name,
                "version": serving.version,
                "tls_mode": serving.tls_mode,
            }
        body = json.dumps(value).encode()
        return (
            b"HTTP/1.1 %s\r\ncontent-type: application/json\r\ncache-control: no-store\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%s" % (status, len(body), body)
        )


def _is_older(bundle: Bundle, present: Serving | None) -> bool:
    """Whether the answer was overtaken by another."""
    return (
        present is not None and present.certificate_name == bundle.certificate_name and present.version > bundle.version
    )


async def _wait(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        pass
