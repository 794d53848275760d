"""`keystead setup --initialize`: also initialises a new server, and unseals one that does not unseal itself.

The folder keeps what that needs. The root token lives in it only from initialising until setup is done.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from service.embedded.data_dir import remove_file, write_file
from service.embedded.errors import EXIT_UNREACHABLE, CannotStart
from service.embedded.setup_state import setup_fingerprint
from vault import operator
from vault.errors import Unreachable
from vault.session import Server, Token, Vault, health

START_LIMIT_S = 90.0
_POLL_S = 0.5
_PASSWORD_BYTES = 18


class Opened:
    """A folder that belongs to one server, which is initialised and unsealed.

    | file | content |
    |---|---|
    | `key` | the recovery key; for Shamir's seal the key that unseals |
    | `root-token` | until setup is done |
    | `done` | which setup was done |
    | `admin-password` | when none was given |
    """

    def __init__(self, server: Server, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._key = folder / "key"
        self._root = folder / "root-token"
        self._done = folder / "done"

    def open(self) -> None:
        """Wait for the server; initialise it when it is new; unseal it when it does not do so itself.

        Raises:
            CannotStart: it does not answer, or the folder has lost its key. VaultError: it refused.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = self._status()
        if not status.initialized:
            made = operator.initialise(self._server, unseals_itself=status.unseals_itself)
            write_file(self._key, made.key.reveal().encode())
            write_file(self._root, made.root.reveal().encode())
            status = self._status()
        if status.sealed and not status.unseals_itself:
            operator.unseal(self._server, self._kept_key())
        self._wait_active()

    def due(self) -> bool:
        """Whether setup has to run: never done, cut short, or done by another version."""
        return self._root.exists() or not self._done.exists() or self._done.read_text("ascii") != setup_fingerprint()

    def root_token(self) -> Token:
        """A root token for setup.

        Raises:
            CannotStart: the folder has lost its key. VaultError: the server makes none.
        """
        if self._root.exists():
            return Token(self._root.read_text("ascii"))
        return operator.generate_root(self._server, self._kept_key())

    def finish(self, token: Token) -> None:
        """Setup is done: revoke the root token.

        Raises:
            VaultError: it was not revoked; setup is due again.
        """
        Vault(self._server, token).revoke_self()
        write_file(self._done, setup_fingerprint().encode())
        remove_file(self._root)

    def admin_password(self) -> str:
        """A generated password, kept in the folder."""
        file = self._folder / "admin-password"
        if not file.exists():
            write_file(file, secrets.token_urlsafe(_PASSWORD_BYTES).encode())
        return file.read_text("ascii")

    def _kept_key(self) -> Token:
        try:
            return Token(self._key.read_text("ascii").strip())
        except OSError:
            raise CannotStart(f"{self._key} is missing, and the server needs it; restore it from a backup") from None

    def _status(self) -> operator.SealStatus:
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                return operator.seal_status(self._server)
            except Unreachable as error:
                if time.monotonic() > deadline:
                    raise CannotStart(f"{self._server.url}: {error}", exit_code=EXIT_UNREACHABLE) from None
            time.sleep(_POLL_S)

    def _wait_active(self) -> None:
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            try:
                state = health(self._server)
                if state.initialized and not state.sealed and not state.standby:
                    return
            except Unreachable:
                pass
            if time.monotonic() > deadline:
                message = f"{self._server.url} is not unsealed and active"
                raise CannotStart(message, exit_code=EXIT_UNREACHABLE)
            time.sleep(_POLL_S)
