"""The served console, with clients that are slow, malformed, or write into the log."""

from __future__ import annotations

import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.web.serve import THREADS
from tests.conftest import _free_port, _write_tls

SERVED = """
import sys
from pathlib import Path
from flask import Flask
from service.web.patience import PatientWorker
from service.web.serve import serve

def build():
    app = Flask("served")
    app.add_url_rule("/fine", "fine", lambda: "fine")
    return app

PatientWorker.headers_limit_s = 1.0
home = Path(sys.argv[2])
serve(build, host="127.0.0.1", port=int(sys.argv[1]), cert=home / "server.pem", key=home / "server-key.pem")
"""


@dataclass
class Served:
    """A console without Keystead in it, in a process of its own."""

    port: int
    trust: ssl.SSLContext
    log: Path

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def ask(self, request: bytes) -> bytes:
        with self.trust.wrap_socket(self.connect(), server_hostname="localhost") as secured:
            secured.sendall(request)
            return secured.recv(4096)

    def logged(self) -> str:
        time.sleep(0.3)
        return self.log.read_text()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home, port = tmp_path_factory.mktemp("served"), _free_port()
    _write_tls(home)
    with (home / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", SERVED, str(port), str(home)], stdout=log, stderr=log)
    one = Served(port, ssl.create_default_context(cafile=str(home / "ca.pem")), home / "log")
    try:
        deadline = time.monotonic() + 20
        while True:
            try:
                one.connect().close()
                break
            except OSError:
                assert time.monotonic() < deadline, one.log.read_text()
                time.sleep(0.1)
        yield one
    finally:
        process.terminate()
        process.wait(timeout=10)


FINE = b"GET /fine HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"


def test_a_request_is_answered_over_tls(served: Served):
    assert served.ask(FINE).startswith(b"HTTP/1.1 200")


def test_connections_that_say_nothing_take_no_thread(served: Served):
    silent = [served.connect() for _ in range(100)]
    started = time.monotonic()
    assert served.ask(FINE).startswith(b"HTTP/1.1 200")
    assert time.monotonic() - started < 2
    for one in silent:
        one.close()


@pytest.mark.parametrize("handshake", [False, True], ids=["in the handshake", "in the headers"])
def test_clients_that_stop_half_way_are_cut_so_that_others_are_served(served: Served, handshake: bool):
    slow = []
    for _ in range(THREADS):
        one = served.connect()
        if handshake:
            one = served.trust.wrap_socket(one, server_hostname="localhost")
        one.sendall(b"GET /fine HTTP/1.1\r\nX-Slow: " if handshake else b"\x16\x03\x01")
        slow.append(one)
    time.sleep(0.3)
    started = time.monotonic()
    assert served.ask(FINE).startswith(b"HTTP/1.1 200")
    assert 0.3 < time.monotonic() - started < 8
    for one in slow:
        one.close()


def test_the_access_log_has_one_line_a_request_and_no_query(served: Served):
    served.ask(b"GET /a%0aFORGED%1b[31m?secret=canary HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    lines = [line for line in served.logged().splitlines() if "FORGED" in line]
    assert len(lines) == 1
    assert r"/a\nFORGED\x1b[31m" in lines[0]
    assert "canary" not in served.logged()


def test_a_malformed_header_is_not_quoted_in_the_log(served: Served):
    answer = served.ask(b"GET /fine HTTP/1.1\r\nHost: localhost\r\nX-Vault-Token canary-token\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert "canary-token" not in served.logged()
    assert "cannot be parsed" in served.logged()
