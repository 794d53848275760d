"""How far setup came, told by files alone: an ordinary start asks nothing of Vault's client library and saves 0.2 s."""

from __future__ import annotations

import hashlib
import json
import secrets
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path

from service.embedded.data_dir import DataDir, write_file

PROCESSES = ("web", "delivery", "worker")
"""The processes that sign in with credentials of their own."""
ADMIN = "admin"
"""The first administrator."""
_SESSION_KEY_BYTES = 32


def setup_due(data: DataDir) -> bool:
    """Whether setup has to run: never done, cut short, other policies since, or credentials that are missing."""
    if data.initialising.exists() or data.setup_open.exists():
        return True
    if not all(credentials_file(data, process).exists() for process in PROCESSES):
        return True
    try:
        return bool(json.loads(data.setup_done.read_bytes())["fingerprint"] != setup_fingerprint())
    except (OSError, ValueError, KeyError, TypeError):
        return True


def note_setup_done(data: DataDir) -> None:
    """Setup is complete, in this version."""
    write_file(data.setup_done, json.dumps({"fingerprint": setup_fingerprint()}).encode())


def setup_fingerprint() -> str:
    """Changes whenever what setup does may have changed: a hash over the files of `vault/`."""
    digest = hashlib.sha256()
    for name, file in sorted(_files(resources.files("vault"), "")):
        digest.update(f"{name}\0".encode())
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def _files(folder: Traversable, prefix: str) -> list[tuple[str, Traversable]]:
    found = []
    for entry in folder.iterdir():
        if entry.is_dir():
            found += _files(entry, f"{prefix}{entry.name}/")
        elif entry.name.endswith((".py", ".hcl")):
            found.append((prefix + entry.name, entry))
    return found


def credentials_file(data: DataDir, process: str) -> Path:
    """Where a process finds its role_id and secret_id."""
    return data.credentials / f"{process}.json"


def ensure_local_secrets(data: DataDir) -> None:
    """What no Vault needs to know: the key that encrypts the console's cookies."""
    if not data.session_key.exists():
        write_file(data.session_key, secrets.token_hex(_SESSION_KEY_BYTES).encode())
