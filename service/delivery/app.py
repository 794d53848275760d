"""The ASGI application: routes, and the one place where errors become answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TypeAlias

from service.delivery import exchange, login
from service.delivery.bundle import Bundles
from service.delivery.callers import Callers
from service.delivery.exchange import Answer, ClientGone, Message, Receive, Scope, Send
from service.delivery.status import Report, Reports
from service.delivery.waiting import MAX_WAIT_S, Waiters
from service.errors import NotAllowed, Problem, Throttled, Unavailable
from service.index import Index
from vault.aio import AsyncVault
from vault.errors import Denied, RateLimited, Sealed, Unreachable, VaultError

_Handler: TypeAlias = Callable[[Scope, Receive], Awaitable[Answer]]

_log = logging.getLogger("keystead.delivery")

FRESH_FOR = timedelta(seconds=10)
"""An index that has not heard of Vault for this long answers no 304: somebody may have been unbound meanwhile."""


class DeliveryApp:
    """The delivery plane of one process. Opens its connections to Vault when the server starts (ASGI lifespan)."""

    def __init__(
        self,
        connect: Callable[[], AsyncVault],
        index: Index,
        clock: Callable[[], datetime],
        fresh_for: timedelta = FRESH_FOR,
    ) -> None:
        self._connect = connect
        self._fresh_for = fresh_for
        self._index = index
        self._clock = clock
        self._vault: AsyncVault | None = None
        self._bundles: Bundles | None = None
        self._reports: Reports | None = None
        self._callers = Callers()
        self._stop_listening: Callable[[], None] = lambda: None
        self._routes: dict[str, dict[str, _Handler]] = {
            "/v1/bundle": {"GET": self._bundle},
            "/v1/status": {"PUT": self._status},
            "/v1/login": {"POST": self._login},
            "/v1/renew": {"POST": self._renew},
            "/v1/unwrap": {"POST": self._unwrap},
            "/healthz": {"GET": self._healthz},
            "/readyz": {"GET": self._readyz},
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the server's life."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        if scope["type"] != "http":
            return
        try:
            answer = await self._answer(scope, receive)
        except ClientGone:
            return
        await send({"type": "http.response.start", "status": answer.status, "headers": answer.headers})
        await send({"type": "http.response.body", "body": answer.body})

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        methods = self._routes.get(scope["path"])
        if methods is None:
            return exchange.simple_problem(
                HTTPStatus.NOT_FOUND, "request.no-such-address", "there is nothing at this path"
            )
        handler = methods.get(scope["method"])
        if handler is None:
            allow = ", ".join(methods).encode()
            return exchange.simple_problem(
                HTTPStatus.METHOD_NOT_ALLOWED, "request.method", "this path does not do that", (b"allow", allow)
            )
        try:
            return await handler(scope, receive)
        except Problem as problem:
            return exchange.problem_answer(problem)
        except VaultError as error:
            return exchange.problem_answer(_problem_of(error))
        except ClientGone:
            raise
        except Exception as error:  # noqa: BLE001 - the loop's edge: the caller gets an answer whatever happens
            # Neither message nor traceback: this room handles keys, and an unforeseen error may quote one.
            _log.error("%s %s failed: %s at %s", scope["method"], scope["path"], type(error).__name__, _where(error))
            return exchange.problem_answer(Problem("an error of this service; its log says where"))

    async def _bundle(self, scope: Scope, receive: Receive) -> Answer:
        bundles, token = self._open_bundles(), exchange.token_of(scope)
        if_none_match, wait_s = exchange.header(scope, b"if-none-match"), exchange.wait_of(scope, MAX_WAIT_S)
        if not wait_s:
            return await bundles.get(token, if_none_match)
        mode = exchange.header(scope, b"keystead-tls-mode")
        answer = await bundles.wait(token, if_none_match, mode, wait_s, lambda: exchange.gone(receive))
        return replace(answer, headers=(*answer.headers, (b"preference-applied", b"wait=%d" % wait_s)))

    async def _status(self, scope: Scope, receive: Receive) -> Answer:
        token = exchange.token_of(scope)
        report = await exchange.read_body(scope, receive, Report)
        snapshot = self._index.snapshot()
        consumer = self._callers.consumer_of(token, snapshot) or await self._open_bundles().identify(token)
        await self._open_reports().record(token, consumer, report)
        return exchange.no_content()

    async def _login(self, scope: Scope, receive: Receive) -> Answer:
        credentials = await exchange.read_body(scope, receive, login.Credentials)
        return exchange.json_answer(await login.log_in(self._open_vault(), credentials, self._clock()))

    async def _renew(self, scope: Scope, _receive: Receive) -> Answer:
        token = exchange.token_of(scope)
        return exchange.json_answer(await login.renew(self._open_vault(), token, self._clock()))

    async def _unwrap(self, scope: Scope, receive: Receive) -> Answer:
        wrapped = await exchange.read_body(scope, receive, login.Wrapped)
        return exchange.json_answer(await login.unwrap(self._open_vault(), wrapped))

    async def _healthz(self, _scope: Scope, _receive: Receive) -> Answer:
        return exchange.json_answer({"status": "ok"})

    async def _readyz(self, _scope: Scope, _receive: Receive) -> Answer:
        if not self._index.ready:
            raise Unavailable("the index has not been read yet", code="index.not-ready")
        if not self._is_fresh():
            raise Unavailable("nothing was heard of Vault for a while")
        return exchange.json_answer({"status": "ready"})

    def _is_fresh(self) -> bool:
        stale_since = self._index.stale_since
        return stale_since is None or self._clock() - stale_since < self._fresh_for

    def _open_vault(self) -> AsyncVault:
        if self._vault is None:
            raise Unavailable("the delivery plane is starting", code="index.not-ready")
        return self._vault

    def _open_bundles(self) -> Bundles:
        if self._bundles is None:
            raise Unavailable("the delivery plane is starting", code="index.not-ready")
        return self._bundles

    def _open_reports(self) -> Reports:
        if self._reports is None:
            raise Unavailable("the delivery plane is starting", code="index.not-ready")
        return self._reports

    @property
    def waiting(self) -> int:
        """How many consumers wait for a change."""
        return len(self._bundles.waiters) if self._bundles is not None else 0

    def release(self) -> None:
        """Answer everybody who waits: the server is about to stop."""
        if self._bundles is not None:
            self._bundles.waiters.close()

    def _listen(self, waiters: Waiters) -> Callable[[], None]:
        """Let the index wake those who wait, in their own loop; what ends it."""
        loop = asyncio.get_running_loop()
        return self._index.on_change(lambda snapshot: loop.call_soon_threadsafe(waiters.changed, snapshot))

    async def _live(self, receive: Receive, send: Send) -> None:
        """ASGI lifespan: connections open with the server and close with it."""
        while True:
            message: Message = await receive()
            if message["type"] == "lifespan.startup":
                self._vault = self._connect()
                self._reports = Reports(self._vault, self._index, self._clock)
                self._bundles = Bundles(self._vault, self._index, self._callers, self._reports, self._is_fresh)
                self._stop_listening = self._listen(self._bundles.waiters)
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                self._stop_listening()
                if self._reports is not None:
                    await self._reports.close()
                if self._vault is not None:
                    await self._vault.close()
                self._vault = self._bundles = self._reports = None
                await send({"type": "lifespan.shutdown.complete"})
                return


def create_app(
    connect: Callable[[], AsyncVault],
    index: Index,
    clock: Callable[[], datetime],
    *,
    fresh_for: timedelta = FRESH_FOR,
) -> DeliveryApp:
    """The delivery plane.

    Args:
        connect: makes the connections to Vault; called inside the server's event loop, closed with it.
        index: the public view; somebody else keeps it following the journal.
        clock: aware, UTC.
        fresh_for: how long an index that cannot reach Vault is believed.
    """
    return DeliveryApp(connect, index, clock, fresh_for)


def _problem_of(error: VaultError) -> Problem:
    """What Vault's answer means to a consumer."""
    if isinstance(error, Sealed):
        return Unavailable("Vault is sealed", code="vault.sealed")
    if isinstance(error, RateLimited):
        return Throttled("Vault takes no more requests for now", retry_after_s=exchange.RETRY_AFTER_S)
    if isinstance(error, Unreachable):
        return Unavailable("Vault cannot be reached")
    if isinstance(error, Denied):
        return NotAllowed("Vault does not allow it")
    return Unavailable("Vault refused the request", code="vault.refused")


def _where(error: BaseException) -> str:
    """The file and line that raised."""
    trace = error.__traceback__
    if trace is None:
        return "?"
    while trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
