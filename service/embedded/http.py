"""HTTP requests to the processes of this machine: small, bounded, without a proxy, trusting the local CA alone.

The standard library's client: importing one for the world outside would cost more than the whole start of OpenBao.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

TIMEOUT_S = 2.0
_MAX_ANSWER_BYTES = 4 * 1024 * 1024
"""A list of token accessors is the largest answer that is read here."""


class Unanswered(Exception):
    """No usable answer came. Says where and how, never what was sent or answered. `status`: of the refusal, if any."""

    def __init__(self, what: str, status: int | None = None) -> None:
        super().__init__(what)
        self.status = status


class Origin:
    """One server. `host` is an address of this machine, or `socket_file` a unix socket."""

    def __init__(
        self, host: str = "localhost", port: int = 0, *, ca_file: Path | None = None, socket_file: Path | None = None
    ) -> None:
        self._host, self._port, self._socket_file = host, port, socket_file
        self._ca_file = ca_file

    def status(self, path: str) -> int | None:
        """The status of a GET, or None when nothing answers."""
        try:
            return self._request("GET", path, None, "", TIMEOUT_S)[0]
        except Unanswered:
            return None

    def json(
        self,
        method: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        token: str = "",
        timeout_s: float = TIMEOUT_S,
    ) -> dict[str, Any]:
        """The JSON object answered to a request; `{}` for an empty answer.

        Raises:
            Unanswered: nothing answered, or not with success.
        """
        status, content = self._request(method, path, body, token, timeout_s)
        if not 200 <= status < 300:
            raise Unanswered(f"{method} {path} was answered with {status}", status)
        try:
            answer = json.loads(content) if content else {}
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise Unanswered(f"{method} {path} was not answered with a JSON object")
        return answer

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None, token: str, timeout_s: float
    ) -> tuple[int, bytes]:
        headers = {"X-Vault-Token": token} if token else {}
        if body is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connection(timeout_s)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read(_MAX_ANSWER_BYTES)
        except (OSError, HTTPException) as error:
            raise Unanswered(f"{method} {path}: {type(error).__name__}") from None
        finally:
            connection.close()

    def _connection(self, timeout_s: float) -> HTTPConnection:
        if self._socket_file is not None:
            return _UnixConnection(self._socket_file, timeout_s)
        try:
            trust = ssl.create_default_context(cafile=str(self._ca_file))  # anew: the CA may have been renewed
        except OSError as error:
            raise Unanswered(f"the CA cannot be read: {type(error).__name__}") from None
        return HTTPSConnection(self._host, self._port, timeout=timeout_s, context=trust)


class _UnixConnection(HTTPConnection):
    """HTTP over a unix socket, at any depth of folders: an address holds 107 bytes (unix(7)), a path may be longer."""

    def __init__(self, socket_file: Path, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._socket_file, self._timeout_s = socket_file, timeout_s

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self._timeout_s)
        folder = os.open(self._socket_file.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            short = f"/proc/self/fd/{folder}/{self._socket_file.name}"
            self.sock.connect(short if Path(short).exists() else str(self._socket_file))
        finally:
            os.close(folder)
