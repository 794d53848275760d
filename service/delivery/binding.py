"""What a consumer is bound to, by the index or by its own record in Vault. A relay and a cluster look alike here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from service.errors import Unavailable
from service.index import Snapshot
from service.records import Cluster, Provider, Relay, TlsMode, provider_path, relay_path


@dataclass(frozen=True, slots=True)
class Binding:
    """One consumer's binding. `cluster` is empty for a relay.

    `held_at` is the version at which it stays while another one tries the newest; None: it has the newest.
    """

    certificate: str | None
    tls_mode: TlsMode
    record_path: str
    name: str
    cluster: str
    held_at: int | None = None

    def as_in(self, data: Mapping[str, Any]) -> Binding:
        """The same consumer's binding by its stored record.

        Raises:
            Unavailable: the record cannot be understood.
        """
        unreadable = False
        cluster: Cluster | None = None
        try:
            if not self.cluster:
                relay = Relay.from_data(self.name, data, 0)
                return self._with(relay.certificate, relay.tls_mode)
            cluster = Provider.from_data(self.name, data, 0).cluster(self.cluster)
        except ValueError:
            unreadable = True
        if unreadable:
            raise Unavailable(f"{self.record_path} in Vault cannot be understood", code="record.unreadable")
        if cluster is None:
            return replace(self, certificate=None)
        return self._with(cluster.certificate, _mode_of(cluster))

    def _with(self, certificate: str | None, tls_mode: TlsMode) -> Binding:
        held_at = self.held_at if certificate == self.certificate else None
        return replace(self, certificate=certificate, tls_mode=tls_mode, held_at=held_at)


def binding_of(snapshot: Snapshot, consumer: str) -> Binding | None:
    """The binding of a consumer as the index knows it; None when it knows no such consumer."""
    found = snapshot.consumer(consumer)
    if found is None:
        return None
    held_at = snapshot.held_at(consumer)
    if isinstance(found, Relay):
        return Binding(found.certificate, found.tls_mode, relay_path(found.name), found.name, "", held_at)
    provider, cluster = found
    path = provider_path(provider.name)
    return Binding(cluster.certificate, _mode_of(cluster), path, provider.name, cluster.name, held_at)


def _mode_of(cluster: Cluster) -> TlsMode:
    """Where the platform proves itself with the certificate, it is mutual."""
    return "mtls" if cluster.cert_auth else "tls"
