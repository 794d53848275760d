"""TLS endpoints on loopback that show what a test wants, right or wrong. Each in a thread of its own."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.material import Paste

Answer = Callable[[ssl.SSLSocket], None]


class Endpoint:
    """One listener. What it shows is `context`: assign another one, and the next handshake gets it."""

    def __init__(self, context: ssl.SSLContext | None, status: bytes = b"200 OK") -> None:
        self.context = context
        self.status = status
        self.handshakes = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                plain, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(plain,), daemon=True).start()

    def _serve(self, plain: socket.socket) -> None:
        with plain, suppress(OSError):
            plain.settimeout(5)
            if self.context is None:  # says nothing, ever
                time.sleep(5)
                return
            with self.context.wrap_socket(plain, server_side=True) as secure:
                self.handshakes += 1
                if secure.recv(4096):
                    secure.sendall(b"HTTP/1.1 %s\r\nconnection: close\r\ncontent-length: 0\r\n\r\n" % self.status)


def context_of(
    material: Paste,
    folder: Path,
    *,
    clients_ca: str = "",
    required: bool = True,
    leaf_alone: bool = False,
    newest: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
) -> ssl.SSLContext:
    """What a program makes of a bundle, or of a part of it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.maximum_version = newest
    file = folder / f"{material.leaf.certificate.serial_number:x}.pem"
    file.write_text((material.leaf.pem if leaf_alone else material.certificate) + material.key)
    context.load_cert_chain(file)
    if clients_ca:
        context.load_verify_locations(cadata=clients_ca)
        context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    return context


@contextmanager
def endpoint(context: ssl.SSLContext | None, status: bytes = b"200 OK") -> Iterator[Endpoint]:
    """An endpoint while the block lasts."""
    one = Endpoint(context, status)
    try:
        yield one
    finally:
        one.close()
