"""A service's own sign-in, kept alive: log in, renew at half the lifetime, log in anew when that fails."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from vault import login
from vault.errors import Denied, NotFound, Rejected
from vault.session import Server, SignedIn, Token, Vault


class ServiceSession:
    """Hands out a `Vault` that is signed in as one service. Thread-safe; nothing is asked before the first use."""

    def __init__(
        self,
        server: Server,
        role_id: str,
        secret_id: Token,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._server = server
        self._role_id = role_id
        self._secret_id = secret_id
        self._clock = clock
        self._lock = threading.Lock()
        self._vault: Vault | None = None
        self._renew_at: datetime | None = None

    def vault(self) -> Vault:
        """Vault, with a token that is good for at least half its lifetime.

        Raises:
            vault.errors.VaultError: signing in failed; the next call tries again.
        """
        with self._lock:
            if self._vault is not None and self._renew_at is not None and self._clock() >= self._renew_at:
                self._renew(self._vault)
            if self._vault is None:
                signed_in = login.service_login(self._server, self._role_id, self._secret_id.reveal())
                self._vault = Vault(self._server, signed_in.token)
                self._note(signed_in)
            return self._vault

    def forget(self) -> None:
        """The token was refused: the next `vault()` logs in anew."""
        with self._lock:
            self._vault = None

    def _renew(self, vault: Vault) -> None:
        try:
            self._note(vault.renew_self())
        except (Denied, NotFound, Rejected):
            self._vault = None

    def _note(self, signed_in: SignedIn) -> None:
        now = self._clock()
        if signed_in.expires_at is None:
            self._renew_at = None
        else:
            self._renew_at = now + max((signed_in.expires_at - now) / 2, timedelta(seconds=1))
