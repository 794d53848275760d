"""What people do with relays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from service.index import Index
from service.records import Relay
from vault.consumers import Enrollment
from vault.session import Vault


class Relays:
    """The relays, in one person's hands. Every method may raise Unavailable, NotAllowed and Throttled."""

    def __init__(self, vault: Vault, index: Index, who: str, clock: Callable[[], datetime]) -> None:
        raise NotImplementedError

    def list(self) -> tuple[Relay, ...]:
        """Every relay by name, from memory."""
        raise NotImplementedError

    def get(self, name: str) -> Relay:
        """A relay, from memory.

        Raises:
            Missing.
        """
        raise NotImplementedError

    def create(
        self,
        *,
        name: str,
        host: str,
        port: int,
        tls_mode: str = "tls",
        certificate: str | None = None,
        provider: str | None = None,
        enabled: bool = True,
        comment: str = "",
        accept: Sequence[str] = (),
    ) -> Relay:
        """Register a relay, and bind it when a certificate is given.

        Raises:
            Refused: a field (`name.illegal`, `host.illegal`, `port.illegal`, `choice.unknown`,
                `relay.unknown-provider`, `binding.unknown-certificate`), or a certificate that does not fit
                (`binding.does-not-fit`, with findings).
            InUse: `relay.exists`.
        """
        raise NotImplementedError

    def update(
        self,
        name: str,
        *,
        expect_version: int | None = None,
        display_name: str | None = None,
        host: str | None = None,
        port: int | None = None,
        tls_mode: str | None = None,
        certificate: str | None = None,
        provider: str | None = None,
        enabled: bool | None = None,
        comment: str | None = None,
        accept: Sequence[str] = (),
    ) -> Relay:
        """Change a relay. None keeps a field; an empty `certificate` or `provider` removes it.

        Args:
            expect_version: the version the person saw; None takes the relay as it is.
            accept: findings about the certificate that are accepted, by code.

        Raises:
            Missing; Stale; Refused as `create`.
        """
        raise NotImplementedError

    def delete(self, name: str, expect_version: int | None = None) -> None:
        """Remove a relay for ever: its credentials and tokens are dead first, then its record is gone.

        Raises:
            Missing; Stale.
        """
        raise NotImplementedError

    def bind(
        self, name: str, certificate: str | None, *, expect_version: int | None = None, accept: Sequence[str] = ()
    ) -> Relay:
        """Bind a relay to a certificate; None unbinds. A disabled relay may be bound.

        Raises:
            Missing; Stale.
            Refused: `binding.unknown-certificate`, or `binding.does-not-fit` with findings.
        """
        raise NotImplementedError

    def enroll(self, name: str, ttl_s: int = 3600) -> Enrollment:
        """Hand out credentials for one more agent: a wrapped SecretID, to be unwrapped once within `ttl_s` seconds.

        The answer holds a token: it is shown once, and kept nowhere.

        Raises:
            Missing; Malformed `enrollment.ttl`: not 60 to 86,400 seconds.
        """
        raise NotImplementedError

    def revoke(self, name: str) -> None:
        """End every credential and token of a relay at once. It stays bound, and has to be enrolled anew.

        Raises:
            Missing.
        """
        raise NotImplementedError
