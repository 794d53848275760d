"""The stored documents as typed records, and back. Pure.

`from_data` raises `ValueError` for a document that was written by hand and cannot be understood.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from service.records.fields import choice, flag, optional_name, port, text
from service.records.names import cluster_consumer, is_name, relay_consumer

TlsMode: TypeAlias = Literal["tls", "mtls"]
ProviderKind: TypeAlias = Literal["swarm", "kubernetes"]
Visibility: TypeAlias = Literal["public", "private"]
MultiCluster: TypeAlias = Literal["none", "active-passive", "active-active"]

MAX_CLUSTERS: Final = 64
"""Far above any provider; keeps one document small."""


@dataclass(frozen=True, slots=True)
class Relay:
    """A WebSocket relay: a TLS or mTLS endpoint.

    Attributes:
        host: DNS name (lower case, IDNA A-labels) or IP address (compressed).
        certificate: the certificate it is bound to.
        provider: the container provider it runs on, if one.
        version: of the stored document; 0 before it is stored.
    """

    name: str
    display_name: str
    host: str
    port: int
    tls_mode: TlsMode
    certificate: str | None
    provider: str | None
    enabled: bool
    comment: str
    version: int = 0

    @property
    def consumer(self) -> str:
        """The consumer that it is."""
        return relay_consumer(self.name)

    def to_data(self) -> dict[str, Any]:
        """The stored document."""
        return {
            "display_name": self.display_name,
            "host": self.host,
            "port": self.port,
            "tls_mode": self.tls_mode,
            "certificate": self.certificate or "",
            "provider": self.provider or "",
            "enabled": self.enabled,
            "comment": self.comment,
        }

    @staticmethod
    def from_data(name: str, data: Mapping[str, Any], version: int) -> Relay:
        """The record of a stored document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        return Relay(
            name=name,
            display_name=text(data, "display_name", default=name),
            host=text(data, "host"),
            port=port(data),
            tls_mode=cast("TlsMode", choice(data, "tls_mode", get_args(TlsMode))),
            certificate=optional_name(data, "certificate"),
            provider=optional_name(data, "provider"),
            enabled=flag(data, "enabled"),
            comment=text(data, "comment", default=""),
            version=version,
        )


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster of a container provider.

    Attributes:
        url: `https://…` or `tcp://…`, without user, query and fragment.
        server_name: the name its certificate must carry (SNI), when it is not the URL's host.
        cert_auth: whether the platform proves itself to the cluster with the certificate.
        certificate: the certificate it is bound to.
    """

    name: str
    url: str
    server_name: str | None
    cert_auth: bool
    certificate: str | None

    def to_data(self) -> dict[str, Any]:
        """Its part of the provider's document."""
        return {
            "name": self.name,
            "url": self.url,
            "server_name": self.server_name or "",
            "cert_auth": self.cert_auth,
            "certificate": self.certificate or "",
        }

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Cluster:
        """The record of its part of a provider's document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        name = text(data, "name")
        if not is_name(name):
            raise ValueError("a cluster's name is not a name")
        return Cluster(
            name=name,
            url=text(data, "url"),
            server_name=text(data, "server_name", default="") or None,
            cert_auth=flag(data, "cert_auth"),
            certificate=optional_name(data, "certificate"),
        )


@dataclass(frozen=True, slots=True)
class Provider:
    """A container provider. `version` is that of the stored document, which holds the clusters too; 0 before."""

    name: str
    display_name: str
    kind: ProviderKind
    visibility: Visibility
    enabled: bool
    multi_cluster: MultiCluster
    comment: str
    clusters: tuple[Cluster, ...]
    version: int = 0

    def cluster(self, name: str) -> Cluster | None:
        """The cluster of that name."""
        return next((cluster for cluster in self.clusters if cluster.name == name), None)

    def consumer(self, cluster: str) -> str:
        """The consumer that a cluster of it is."""
        return cluster_consumer(self.name, cluster)

    def to_data(self) -> dict[str, Any]:
        """The stored document."""
        return {
            "display_name": self.display_name,
            "kind": self.kind,
            "visibility": self.visibility,
            "enabled": self.enabled,
            "multi_cluster": self.multi_cluster,
            "comment": self.comment,
            "clusters": [cluster.to_data() for cluster in self.clusters],
        }

    @staticmethod
    def from_data(name: str, data: Mapping[str, Any], version: int) -> Provider:
        """The record of a stored document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        clusters = data.get("clusters") or []
        if not isinstance(clusters, list) or not all(isinstance(cluster, dict) for cluster in clusters):
            raise ValueError("clusters is not a list of objects")
        return Provider(
            name=name,
            display_name=text(data, "display_name", default=name),
            kind=cast("ProviderKind", choice(data, "kind", get_args(ProviderKind))),
            visibility=cast("Visibility", choice(data, "visibility", get_args(Visibility))),
            enabled=flag(data, "enabled"),
            multi_cluster=cast("MultiCluster", choice(data, "multi_cluster", get_args(MultiCluster))),
            comment=text(data, "comment", default=""),
            clusters=tuple(Cluster.from_data(cluster) for cluster in clusters),
            version=version,
        )
