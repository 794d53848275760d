"""Serves the delivery plane: uvicorn on uvloop, TLS 1.2 and later, no access log.

Measured against granian, which does a quarter more conditional fetches a second, and takes twice the memory at rest
and a sixth more per waiting connection (docs/delivery.md): waiting connections are what this process has many of.
"""

from __future__ import annotations

import asyncio
import ipaddress
import ssl
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.delivery.app import DeliveryApp
from service.settings import SettingsError

MAX_HEAD_BYTES = 16 * 1024
"""A request line and its headers. uvicorn itself has no limit there."""
REQUEST_LIMIT_S = 10.0
"""How long a request may take to arrive with its body: a caller that drips bytes holds no connection open."""
KEEP_ALIVE_S = 75
"""Longer than the pause between an agent's polls, so that it keeps its connection."""
LINGER_S = 1.0
"""How long a caller that is sent away may take to read why."""
SHUTDOWN_LIMIT_S = 5
MAX_CONNECTIONS = 15_000


class BoundedHttp(HttpToolsProtocol):
    """HTTP/1.1 with a limit for the size of a request's head, and for the time a request takes to arrive."""

    def __init__(self, *arguments: Any, request_limit_s: float = REQUEST_LIMIT_S, **named: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **named)
        self._request_limit_s = request_limit_s
        self._head_bytes = 0
        self._head_is_complete = False
        self._deadline: asyncio.TimerHandle | None = None

    def data_received(self, data: bytes) -> None:
        """Bytes from the network."""
        if self._deadline is None:
            self._deadline = self.loop.call_later(self._request_limit_s, self._give_up)
        super().data_received(data)
        if self._head_is_complete or self.transport.is_closing():
            return
        self._head_bytes += len(data)
        if self._head_bytes > MAX_HEAD_BYTES:
            self.send_400_response("The request's head is too large.")
            self.loop.call_later(LINGER_S, self.transport.abort)

    def on_message_begin(self) -> None:
        """A request starts."""
        self._head_is_complete = False
        self._head_bytes = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Its head is there."""
        self._head_is_complete = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """All of it is there."""
        self._stop_clock()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        self._stop_clock()
        super().connection_lost(exc)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self) -> None:
        self._deadline = None
        self.transport.abort()


class _Server(uvicorn.Server):
    """Answers those who wait before it stops, instead of waiting for them."""

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        """Stop."""
        app = self.config.app
        if isinstance(app, DeliveryApp):
            app.release()
        await super().shutdown(sockets)


def make_server(
    app: DeliveryApp,
    host: str,
    port: int,
    cert: Path | None,
    key: Path | None,
    *,
    request_limit_s: float = REQUEST_LIMIT_S,
) -> uvicorn.Server:
    """A server that is not running yet.

    Args:
        cert, key: PEM files, leaf first. Without them it speaks plain HTTP, on loopback only.

    Raises:
        SettingsError: plain HTTP was asked for on another address: keys would cross the network unencrypted.
    """
    if (cert is None or key is None) and not _is_loopback(host):
        message = f"without a TLS certificate the delivery plane listens on loopback only, not on {host}"
        raise SettingsError((message,))

    def tls(_config: uvicorn.Config, _default: Any) -> ssl.SSLContext:  # noqa: ANN401 - uvicorn's shape
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(str(cert), str(key))
        return context

    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        http=partial(BoundedHttp, request_limit_s=request_limit_s),  # type: ignore[arg-type]  # it is only called
        ws="none",
        lifespan="on",
        access_log=False,
        log_config=None,
        server_header=False,
        proxy_headers=False,
        backlog=2048,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=SHUTDOWN_LIMIT_S,
        ssl_context_factory=tls if cert is not None and key is not None else None,
    )
    return _Server(config)


def serve(app: DeliveryApp, host: str, port: int, cert: Path | None, key: Path | None) -> None:
    """Serve until SIGTERM or SIGINT; requests under way get a few seconds to end."""
    make_server(app, host, port, cert, key).run()


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
