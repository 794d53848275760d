"""What people do with container providers and their clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.index import Index
from service.records import Provider
from vault.consumers import Enrollment
from vault.session import Vault


@dataclass(frozen=True, slots=True)
class NewCluster:
    """A cluster as typed. `server_name` and `certificate` are optional."""

    name: str
    url: str
    server_name: str = ""
    cert_auth: bool = False
    certificate: str = ""


class Providers:
    """The container providers, in one person's hands. Every method may raise Unavailable, NotAllowed and Throttled."""

    def __init__(self, vault: Vault, index: Index, who: str, clock: Callable[[], datetime]) -> None:
        raise NotImplementedError

    def list(self) -> tuple[Provider, ...]:
        """Every provider by name, from memory."""
        raise NotImplementedError

    def get(self, name: str) -> Provider:
        """A provider, from memory.

        Raises:
            Missing.
        """
        raise NotImplementedError

    def create(
        self,
        *,
        name: str,
        kind: str,
        visibility: str = "private",
        multi_cluster: str = "none",
        comment: str = "",
        clusters: Sequence[NewCluster] = (),
        accept: Sequence[str] = (),
    ) -> Provider:
        """Register a provider, disabled until an administrator enables it.

        Raises:
            Refused: a field (`name.illegal`, `choice.unknown`, `url.illegal`, `host.illegal`, `clusters.too-many`,
                `clusters.duplicate`, `binding.unknown-certificate`), or `binding.does-not-fit`, with findings.
            InUse: `provider.exists`; `consumer.ambiguous`: a cluster's consumer name would be another one's.
        """
        raise NotImplementedError

    def update(
        self,
        name: str,
        *,
        expect_version: int | None = None,
        display_name: str | None = None,
        visibility: str | None = None,
        enabled: bool | None = None,
        multi_cluster: str | None = None,
        comment: str | None = None,
    ) -> Provider:
        """Change a provider. None keeps a field.

        Raises:
            Missing; Stale; Refused.
        """
        raise NotImplementedError

    def delete(self, name: str, expect_version: int | None = None) -> None:
        """Remove a provider with its clusters: their credentials are dead first, then the record is gone.

        Raises:
            Missing; Stale; InUse `provider.in-use` with the relays that run on it.
        """
        raise NotImplementedError

    def add_cluster(
        self, name: str, cluster: NewCluster, *, expect_version: int | None = None, accept: Sequence[str] = ()
    ) -> Provider:
        """Add a cluster.

        Raises:
            Missing; Stale; InUse `cluster.exists`, `consumer.ambiguous`; Refused as `create`.
        """
        raise NotImplementedError

    def update_cluster(
        self,
        name: str,
        cluster: str,
        *,
        expect_version: int | None = None,
        url: str | None = None,
        server_name: str | None = None,
        cert_auth: bool | None = None,
        certificate: str | None = None,
        accept: Sequence[str] = (),
    ) -> Provider:
        """Change a cluster. None keeps a field; an empty `server_name` or `certificate` removes it.

        Raises:
            Missing; Stale; Refused as `create`.
        """
        raise NotImplementedError

    def remove_cluster(self, name: str, cluster: str, *, expect_version: int | None = None) -> Provider:
        """Remove a cluster: its credentials are dead first.

        Raises:
            Missing; Stale.
        """
        raise NotImplementedError

    def bind_cluster(
        self,
        name: str,
        cluster: str,
        certificate: str | None,
        *,
        expect_version: int | None = None,
        accept: Sequence[str] = (),
    ) -> Provider:
        """Bind a cluster to a certificate; None unbinds.

        Raises:
            Missing; Stale; Refused `binding.unknown-certificate`, `binding.does-not-fit`.
        """
        raise NotImplementedError

    def enroll_cluster(self, name: str, cluster: str, ttl_s: int = 3600) -> Enrollment:
        """As `Relays.enroll`."""
        raise NotImplementedError

    def revoke_cluster(self, name: str, cluster: str) -> None:
        """As `Relays.revoke`."""
        raise NotImplementedError
