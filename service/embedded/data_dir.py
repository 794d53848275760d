"""The data directory of `keystead up`: its files, its lock, and writes that are whole or not there at all.

| file | content | mode |
|---|---|---|
| `instance.json` | the format's number and this directory's identity | 0600 |
| `lock` | held by the running `up`; its process id | 0600 |
| `ca.pem`, `tls/` | the local CA; its key, the servers' certificates and keys | 0644, 0600 |
| `seal-key` | opens OpenBao's storage (32 bytes) | 0600 |
| `recovery-key` | makes a root token through a local socket, for setup alone (ADR 0003) | 0600 |
| `raft/`, `openbao.hcl`, `audit.log` | OpenBao's storage, configuration and audit log | 0600 |
| `setup.json`, `initialising`, `setup-open` | how far setup came | 0600 |
| `credentials/`, `session-key` | what the services sign in with, what the console's cookies are encrypted with | 0600 |
| `admin-password` | only when it was generated | 0600 |
| `logs/` | what each process wrote | 0600 |
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
from pathlib import Path

from service.embedded.errors import CannotStart

FORMAT = 1
"""Of the directory's layout. A larger number was written by a newer Keystead."""
_NOT_OURS_YET = {"lock", "lost+found"}
"""What a directory may hold before it is taken for a new one: our lock, and what mkfs leaves."""
_UNFINISHED = ".new-"
"""Begins the name of a file that is being written."""


class DataDir:
    """The paths of one data directory, which this process holds the lock of.

    Attributes:
        root: absolute.
        identity: random, made with the directory. Processes of ours carry it in their environment.
    """

    def __init__(self, root: Path, identity: str, lock: int) -> None:
        self.root = root
        self.identity = identity
        self._lock = lock
        self.ca_file = root / "ca.pem"
        self.tls = root / "tls"
        self.seal_key = root / "seal-key"
        self.recovery_key = root / "recovery-key"
        self.raft = root / "raft"
        self.configuration = root / "openbao.hcl"
        self.setup_socket = root / "setup.sock"
        self.initialising = root / "initialising"
        self.setup_open = root / "setup-open"
        self.setup_done = root / "setup.json"
        self.admin_password = root / "admin-password"
        self.session_key = root / "session-key"
        self.credentials = root / "credentials"
        self.logs = root / "logs"

    def close(self) -> None:
        """Give the lock back. The directory may not be used through this object afterwards."""
        os.close(self._lock)


def open_data_dir(path: Path) -> DataDir:
    """Make the directory when it is missing, lock it, and check that it is ours.

    Raises:
        CannotStart: it cannot be written, belongs to something else, is in use, or was made by a newer Keystead.
    """
    try:
        root = Path(os.path.abspath(path.expanduser()))  # noqa: PTH100 - resolve() would follow a link that may move
    except RuntimeError:
        raise CannotStart(f"{path} names no directory: this user has no home; choose one with --data-dir") from None
    try:
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        names = {name for name in os.listdir(root) if not name.startswith(_UNFINISHED)}  # noqa: PTH208 - names only
        marker = root / "instance.json"
        if not marker.exists() and names - _NOT_OURS_YET:
            raise CannotStart(f"{root} holds other files and is not a data directory of Keystead; choose another one")
        root.chmod(0o700)
        lock = _take_lock(root / "lock")
        try:
            return _open_locked(root, lock)
        except BaseException:
            os.close(lock)
            raise
    except OSError as error:
        raise CannotStart(f"{root} cannot be used as data directory: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise CannotStart(f"{root}/instance.json is damaged; restore it from a backup") from None


def _open_locked(root: Path, lock: int) -> DataDir:
    """Read or make the marker, and make the folders. Errors as `open_data_dir` translates them."""
    marker = root / "instance.json"
    if not marker.exists():
        write_file(marker, json.dumps({"format": FORMAT, "identity": secrets.token_hex(16)}).encode())
    instance = json.loads(marker.read_bytes())
    if instance["format"] > FORMAT:
        raise CannotStart(f"{root} was made by a newer Keystead; this one cannot use it")
    data = DataDir(root, str(instance["identity"]), lock)
    for folder in (data.tls, data.raft, data.credentials, data.logs):
        folder.mkdir(mode=0o700, exist_ok=True)
    return data


def _take_lock(path: Path) -> int:
    """An exclusive lock that ends with this process, however it ends. Children do not inherit it."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(lock, 20).decode("ascii", "replace").strip()
        os.close(lock)
        raise CannotStart(f"another keystead up (process {holder or 'unknown'}) runs on {path.parent}") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
    return lock


def write_file(path: Path, content: bytes, *, mode: int = 0o600) -> None:
    """Write a file so that after any crash either the old or the new one is there, whole and on the disk."""
    unfinished = path.with_name(f"{_UNFINISHED}{path.name}")
    with contextlib.suppress(FileNotFoundError):
        unfinished.unlink()
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(path)
    _sync_folder(path.parent)


def remove_file(path: Path) -> None:
    """Remove a file for good, when it is there."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
        _sync_folder(path.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
