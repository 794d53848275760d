"""The files that servers need before the first of them starts, each server's in a folder of its own.

For containers, where no process may see another's secrets. Safe to run again: what is there and good stays.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from service.embedded.data_dir import write_file
from service.embedded.errors import CannotStart
from service.embedded.local_ca import SERVERS, ensure_certificates
from service.embedded.openbao import SEAL_KEY_BYTES

SESSION_KEY_BYTES = 32


@dataclass(frozen=True, slots=True)
class Authority:
    """Where the local CA keeps its key and issues certificates."""

    ca_file: Path
    tls: Path


def prepare(folder: Path, names: Sequence[str], now: datetime) -> tuple[str, ...]:
    """Make what is missing or due, in `folder`.

    | folder | content |
    |---|---|
    | `authority/` | the local CA's key; nobody else mounts it |
    | `vault/` | `ca.pem`, `server.pem`, `server-key.pem`, `seal-key` |
    | `web/` | `ca.pem`, `server.pem`, `server-key.pem`, `session-key` |
    | `delivery/` | `ca.pem`, `server.pem`, `server-key.pem` |
    | `ca/` | `ca.pem`, for clients |

    Args:
        names: host names and addresses that the servers are reached by.

    Returns:
        The servers whose certificate is new.

    Raises:
        CannotStart: the folder cannot be written.
    """
    try:
        authority = Authority(folder / "authority/ca.pem", folder / "authority")
        for name in ("authority", "ca", *SERVERS):
            (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
        renewed = ensure_certificates(authority, names, now)
        ca = authority.ca_file.read_bytes()
        for server in SERVERS:
            own = folder / server
            _copy(authority.tls / f"{server}-key.pem", own / "server-key.pem")
            _copy(authority.tls / f"{server}.pem", own / "server.pem")
            write_file(own / "ca.pem", ca, mode=0o644)
        write_file(folder / "ca/ca.pem", ca, mode=0o644)
        _ensure(folder / "vault/seal-key", secrets.token_bytes(SEAL_KEY_BYTES))
        _ensure(folder / "web/session-key", secrets.token_hex(SESSION_KEY_BYTES).encode())
    except OSError as error:
        raise CannotStart(f"{folder} cannot be written: {error.strerror}") from None
    return renewed


def _copy(source: Path, target: Path) -> None:
    content = source.read_bytes()
    if not target.exists() or target.read_bytes() != content:
        write_file(target, content)


def _ensure(file: Path, content: bytes) -> None:
    if not file.exists():
        write_file(file, content)
