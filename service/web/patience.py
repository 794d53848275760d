"""gunicorn, made fit to face people: how long a slow client is waited for, and what of a request is logged.

gunicorn's threads wait for ever for the rest of a request, so a few connections that send nothing would stop everybody.
Here a connection takes a thread when its first byte is there, and is cut when its time is over.
"""

# ruff: noqa: ANN401 - gunicorn's objects carry no types

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
import time
from functools import partial
from typing import Any, ClassVar, Final

from gunicorn.glogging import Logger, SafeAtoms
from gunicorn.workers.gthread import TConn, ThreadWorker

HEADERS_LIMIT_S: Final = 10
"""For the TLS handshake and the headers."""
REQUEST_LIMIT_S: Final = 60
"""For the body and the answer. Vault is asked a few times in it, and given a few seconds each time."""


class PatientWorker(ThreadWorker):  # type: ignore[misc] # gunicorn has no types
    """gunicorn's threads, with a limit for every connection that has one."""

    headers_limit_s: ClassVar[float] = HEADERS_LIMIT_S

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._until: dict[Any, float] = {}
        self._lock = threading.Lock()

    def accept(self, listener: Any) -> None:
        """A new connection waits with the others until it says something, without a thread."""
        try:
            client, address = listener.accept()
        except OSError:  # it went away, or another process was faster
            return
        self.nr_conns += 1
        connection = TConn(self.cfg, client, address, listener.getsockname())
        connection.timeout = time.monotonic() + self.cfg.keepalive
        self.pending_conns.append(connection)
        self.poller.register(
            connection.sock, selectors.EVENT_READ, partial(self.on_pending_socket_readable, connection)
        )

    def handle(self, connection: Any) -> Any:
        """One request, in a thread."""
        self._limit(connection, self.headers_limit_s)
        try:
            return super().handle(connection)
        finally:
            with self._lock:
                self._until.pop(connection, None)

    def handle_request(self, request: Any, connection: Any) -> Any:
        """Its headers are there."""
        self._limit(connection, REQUEST_LIMIT_S)
        return super().handle_request(request, connection)

    def murder_pending(self) -> None:
        """Each second: cut the connections whose time is over. Their threads read an end, and are free."""
        super().murder_pending()
        now = time.monotonic()
        with self._lock:
            late = [connection for connection, until in self._until.items() if until < now]
        for connection in late:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)  # below TLS, which another thread is using

    def _limit(self, connection: Any, seconds: float) -> None:
        with self._lock:
            self._until[connection] = time.monotonic() + seconds


class _OneLine(SafeAtoms):  # type: ignore[misc] # as above
    """What the access log is made of; a line break or an escape sequence in a path stays a text."""

    def __init__(self, atoms: dict[str, Any]) -> None:
        super().__init__({name: _plain(value) if isinstance(value, str) else value for name, value in atoms.items()})


class QuietLogger(Logger):  # type: ignore[misc] # as above
    """One line a request. What cannot be parsed is not quoted: a token may be in it."""

    atoms_wrapper_class = _OneLine

    def warning(self, msg: str, *arguments: Any, **named: Any) -> None:
        """gunicorn quotes a malformed request in its warning, after the address."""
        if msg.startswith("Invalid request from"):
            msg = f"{msg.split(': ', 1)[0]}: it cannot be parsed"
        super().warning(msg, *arguments, **named)


def _plain(text: str) -> str:
    return ascii(text)[1:-1]
