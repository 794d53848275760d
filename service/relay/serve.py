"""The relay as a process: fetch the bundle, listen, follow. Sessions stay when the certificate changes.

It answers `GET /healthz` over its own TLS with what it serves.
"""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from http import HTTPStatus

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.http11 import Request, Response

from service.agent.errors import AgentError, LoginRefused, WrongUsage
from service.agent.session import ConsumerSession
from service.agent.source import Bundle, etag_of
from service.endpoint.handshake import look
from service.relay.sessions import Sessions
from service.relay.tls import Front, Serving, prepare

WAIT_S = 60
"""How long the delivery plane may hold an answer back."""
INTERVAL_S = 1.0
"""Between fetches that were not held back."""
LONGEST_PAUSE_S = 15.0
HANDSHAKE_LIMIT_S = 10.0
CLOSE_LIMIT_S = 5.0
MAX_MESSAGE_BYTES = 1024 * 1024
MAX_QUEUED_MESSAGES = 4
"""Of one session: what a peer may send before the other one has read."""
COUNT_INTERVAL_S = 2.0
"""Between two looks at how many sessions are of a former version."""

_log = logging.getLogger("keystead.relay")
_QUIET = logging.getLogger("keystead.relay.sessions")
_QUIET.setLevel(logging.CRITICAL)  # clients that break off are no news


class Relay:
    """One relay. Run it once.

    Args:
        session: what fetches; an answer may be held back for a minute.
        reporter: the same consumer, by a line of its own.
        port: 0 takes a free one; `port` tells which.
        tell: called with what is served, first and after each change.
        drain_after_s: how long after a rotation the sessions of former versions are ended; None: never.
    """

    def __init__(
        self,
        session: ConsumerSession,
        reporter: ConsumerSession,
        host: str,
        port: int,
        *,
        clock: Callable[[], datetime],
        tell: Callable[[str, Serving], None],
        drain_after_s: float | None = None,
    ) -> None:
        self._session = session
        self._reporter = reporter
        self._reporting = asyncio.Lock()
        self._host = host
        self.port = port
        self._clock = clock
        self._tell = tell
        self._front: Front | None = None
        self._server: Server | None = None
        self._sessions = Sessions()
        self._drain_after_s = drain_after_s
        self._switched_at = 0.0
        self._reported = 0
        self._consumer = ""
        self._settled = self._was_held = False

    async def run(self, stop: asyncio.Event) -> None:
        """Wait for a bundle, serve it, and follow until `stop` is set.

        Raises:
            LoginRefused, WrongUsage: a person has to act. OSError: the address cannot be listened on.
        """
        pause_s, said, tried_to_wait = INTERVAL_S, "", False
        beside = [asyncio.create_task(self._interrupt_at(stop)), asyncio.create_task(self._tend_sessions())]
        try:
            while not stop.is_set():
                try:
                    await self._follow()
                    at_once = self._was_held or not tried_to_wait
                    tried_to_wait = not self._was_held
                    pause_s, said = 0.0 if at_once else INTERVAL_S, ""
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
            for task in beside:
                task.cancel()
            if self._server is not None:
                self._server.close()  # sessions end with 1001, going away
                with suppress(TimeoutError):
                    async with asyncio.timeout(CLOSE_LIMIT_S):
                        await self._server.wait_closed()

    async def _interrupt_at(self, stop: asyncio.Event) -> None:
        """End a fetch that waits."""
        await stop.wait()
        self._session.interrupt()
        self._reporter.interrupt()

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
        self._switched_at = time.monotonic()
        self._tell(self._consumer, serving)
        await self._report(serving)

    async def _listen(self, front: Front) -> Server:
        server = await serve(
            self._session_of,
            self._host,
            self.port,
            ssl=front.context,
            ssl_handshake_timeout=HANDSHAKE_LIMIT_S,
            process_request=self._answer,
            open_timeout=HANDSHAKE_LIMIT_S,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=MAX_QUEUED_MESSAGES,
            compression=None,
            server_header=None,
            logger=_QUIET,
        )
        self.port = next(iter(server.sockets)).getsockname()[1]
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
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104 - where it listens
        seen = (await look(host, self.port)).fingerprint_sha256
        good = seen == serving.fingerprint_sha256
        counts = self._sessions.by_version()
        report: dict[str, object] = {
            "certificate_name": serving.certificate_name,
            "version": serving.version,
            "fingerprint_sha256": seen,
            "state": "serving" if good else "failed",
            "detail": "" if good else "a handshake with the relay's own port shows another certificate",
            "sessions": sum(counts.values()),
            "sessions_by_version": {str(version): count for version, count in counts.items()},
        }
        try:
            async with self._reporting:
                await asyncio.to_thread(self._reporter.report, report)
            self._reported = _before(counts, serving)
        except AgentError as error:
            _log.warning("%s", error)

    async def _tend_sessions(self) -> None:
        """Report how many sessions of former versions are left, when that changes; end them when it is time."""
        while True:
            await asyncio.sleep(COUNT_INTERVAL_S)
            if self._front is None:
                continue
            serving = self._front.serving
            if self._drain_after_s is not None and time.monotonic() - self._switched_at >= self._drain_after_s:
                await self._sessions.drain(serving.version)
            if _before(self._sessions.by_version(), serving) != self._reported:
                await self._report(serving)

    async def _session_of(self, connection: ServerConnection) -> None:
        """One WebSocket session."""
        assert self._front is not None  # noqa: S101 - it listens since there is one
        request, tls = connection.request, connection.transport.get_extra_info("ssl_object")
        await self._sessions.serve(connection, request.path if request else "", self._front.version_of(tls))

    def _answer(self, connection: ServerConnection, request: Request) -> Response | None:
        """Before a session: who may have one, and `GET /healthz`."""
        front, tls = self._front, connection.transport.get_extra_info("ssl_object")
        if front is None or tls is None or not front.admits(tls):
            connection.transport.abort()
            return connection.respond(HTTPStatus.FORBIDDEN, "")
        if request.path == "/healthz":
            return self._healthz(connection, front.serving)
        if refused := self._sessions.refusal(request.path):
            return connection.respond(HTTPStatus.CONFLICT, f"{refused}\n")
        return None

    def _healthz(self, connection: ServerConnection, serving: Serving) -> Response:
        value: dict[str, object] = {
            "status": "ok",
            "relay": self._consumer,
            "certificate_name": serving.certificate_name,
            "version": serving.version,
            "tls_mode": serving.tls_mode,
            "sessions_by_version": self._sessions.by_version(),
        }
        response = connection.respond(HTTPStatus.OK, json.dumps(value))
        del response.headers["Content-Type"]
        response.headers["Content-Type"] = "application/json"
        response.headers["Cache-Control"] = "no-store"
        return response


def _before(counts: Mapping[int, int], serving: Serving) -> int:
    """How many sessions are of another version than the one that is served."""
    return sum(count for version, count in counts.items() if version != serving.version)


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
