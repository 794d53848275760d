"""Serves the console with gunicorn: one worker process with threads, replaced when it dies; TLS 1.2 or later."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flask import Flask
from gunicorn.app.base import BaseApplication

from service.web.patience import PatientWorker, QuietLogger

THREADS = 16
"""Requests at once. Each waits for Vault at most, and Vault answers in milliseconds."""
REQUEST_LIMIT_S = 60
"""A worker silent for so long is replaced."""
STOP_LIMIT_S = 5
KEEPALIVE_S = 30
ACCESS_LOG = '%(h)s "%(m)s %(U)s" %(s)s %(b)s %(D)sus'
"""Method and path, never the query string or a header."""


class _Server(BaseApplication):  # type: ignore[misc] # gunicorn has no types
    """gunicorn, told everything by `options`; it reads no file and no argument."""

    def __init__(self, build: Callable[[], Flask], options: dict[str, Any]) -> None:
        self._build = build
        self._options = options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)

    def load(self) -> Flask:
        """Called in the worker process, so that threads and connections are the worker's own."""
        return self._build()


def _tls_floor(_config: object, make_default: Callable[[], ssl.SSLContext]) -> ssl.SSLContext:
    context = make_default()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def serve(build: Callable[[], Flask], *, host: str, port: int, cert: Path | None, key: Path | None) -> None:
    """Serve until SIGTERM or SIGINT. Without `cert` and `key` plain HTTP, for a proxy on the same machine."""
    options: dict[str, Any] = {
        "bind": [f"[{host}]:{port}" if ":" in host else f"{host}:{port}"],
        "worker_class": PatientWorker,
        "logger_class": QuietLogger,
        "workers": 1,
        "threads": THREADS,
        "timeout": REQUEST_LIMIT_S,
        "graceful_timeout": STOP_LIMIT_S,
        "keepalive": KEEPALIVE_S,
        "accesslog": "-",
        "access_log_format": ACCESS_LOG,
        "errorlog": "-",
        "loglevel": "warning",
        "control_socket_disable": True,
        "proc_name": "keystead web",
        "worker_tmp_dir": "/dev/shm" if Path("/dev/shm").is_dir() else None,  # noqa: S108 - heartbeat file, no content
    }
    if cert is not None and key is not None:
        options |= {"certfile": str(cert), "keyfile": str(key), "ssl_context": _tls_floor}
    _Server(build, options).run()
