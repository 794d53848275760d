"""What an agent keeps on its disk: its credentials, and what it last reported. Files 0600, in a folder 0700."""

from __future__ import annotations

import json
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from service.agent.errors import WrongUsage
from vault.session import Token

CREDENTIALS = "credentials.json"
REPORTED = "reported.json"
MAX_STATE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Credentials:
    """The AppRole of one consumer. The SecretID shows itself only when asked."""

    role_id: str
    secret_id: Token


class State:
    """The state directory of one agent.

    Raises:
        WrongUsage: it cannot be used, or others may read it.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def prepare(self) -> None:
        """Make the directory, or put its mode right."""
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.directory.chmod(0o700)
        except OSError as error:
            raise WrongUsage(f"{self.directory} cannot be used: {error.strerror}", code="state.unusable") from None

    @property
    def enrolled(self) -> bool:
        """Whether there are credentials."""
        return (self.directory / CREDENTIALS).exists()

    def credentials(self) -> Credentials:
        """The credentials.

        Raises:
            WrongUsage: there are none, others may read them, or they cannot be understood.
        """
        path = self.directory / CREDENTIALS
        try:
            mode = path.stat().st_mode
        except OSError:
            raise WrongUsage(
                f"{path} is not there: enrol first, with `keystead agent enroll`", code="state.not-enrolled"
            ) from None
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            raise WrongUsage(f"{path} can be read by others: chmod 600 it, or enrol again", code="state.exposed")
        fields = self._read(CREDENTIALS)
        role_id, secret_id = fields.get("role_id"), fields.get("secret_id")
        if not isinstance(role_id, str) or not isinstance(secret_id, str) or not role_id or not secret_id:
            raise WrongUsage(f"{path} cannot be understood: enrol again", code="state.damaged")
        return Credentials(role_id, Token(secret_id))

    @contextmanager
    def new_credentials(self) -> Iterator[NewCredentials]:
        """Room for credentials, on the disk before they exist: a full disk is found before a token is spent."""
        self.prepare()
        try:
            handle, name = tempfile.mkstemp(prefix=".credentials-", dir=self.directory)
            room = os.fdopen(handle, "w", encoding="utf-8")
            room.write(" " * 1024)
            room.flush()
            os.fsync(room.fileno())
        except OSError as error:
            raise WrongUsage(f"{self.directory} cannot be written: {error.strerror}", code="state.unusable") from None
        try:
            yield NewCredentials(room, Path(name), self.directory)
        finally:
            room.close()
            Path(name).unlink(missing_ok=True)

    def reported(self) -> Mapping[str, Any]:
        """What was last reported; `{}` when nothing was, or it cannot be understood."""
        try:
            return self._read(REPORTED)
        except WrongUsage:
            return {}

    def note_reported(self, report: Mapping[str, Any]) -> None:
        """Remember what was reported. Losing it costs one report more."""
        write_file(self.directory / REPORTED, json.dumps(dict(report)).encode())

    def _read(self, name: str) -> Mapping[str, Any]:
        try:
            with (self.directory / name).open("rb") as file:
                fields = json.loads(file.read(MAX_STATE_BYTES))
        except (OSError, ValueError):
            fields = None
        if not isinstance(fields, dict):
            raise WrongUsage(f"{self.directory / name} cannot be understood", code="state.damaged")
        return fields


class NewCredentials:
    """A file that waits for credentials."""

    def __init__(self, room: IO[str], path: Path, directory: Path) -> None:
        self._room = room
        self._path = path
        self._directory = directory

    def keep(self, credentials: Credentials) -> None:
        """Write them down for good, in one step, in place of former ones."""
        text = json.dumps({"role_id": credentials.role_id, "secret_id": credentials.secret_id.reveal()})
        self._room.seek(0)
        self._room.truncate()
        self._room.write(text)
        self._room.flush()
        os.fsync(self._room.fileno())
        self._path.rename(self._directory / CREDENTIALS)
        sync_directory(self._directory)


def write_file(path: Path, content: bytes) -> None:
    """Write a file 0600 in one step: a reader sees the old or the new one, also after a crash."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make a rename in this directory last through a power cut."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
