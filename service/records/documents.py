"""The stored documents as typed records, and back. Pure.

`from_data` raises `ValueError` for a document that was written by hand and cannot be understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, cast, get_args

from service.records.names import cluster_consumer, is_name, relay_consumer

TlsMode: TypeAlias = Literal["tls", "mtls"]
ProviderKind: TypeAlias = Literal["swarm", "kubernetes"]
Visibility: TypeAlias = Literal["public", "private"]
MultiCluster: TypeAlias = Literal["none", "active-passive", "active-active"]
StatusState: TypeAlias = Literal["installed", "serving", "failed"]

MAX_CLUSTERS: Final = 64
"""Far above any provider; keeps one document small."""
MAX_STATUS_DETAIL_CHARACTERS: Final = 500


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
            display_name=_text(data, "display_name", default=name),
            host=_text(data, "host"),
            port=_port(data),
            tls_mode=cast("TlsMode", _choice(data, "tls_mode", get_args(TlsMode))),
            certificate=_optional_name(data, "certificate"),
            provider=_optional_name(data, "provider"),
            enabled=_flag(data, "enabled"),
            comment=_text(data, "comment", default=""),
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
        name = _text(data, "name")
        if not is_name(name):
            raise ValueError("a cluster's name is not a name")
        return Cluster(
            name=name,
            url=_text(data, "url"),
            server_name=_text(data, "server_name", default="") or None,
            cert_auth=_flag(data, "cert_auth"),
            certificate=_optional_name(data, "certificate"),
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
            display_name=_text(data, "display_name", default=name),
            kind=cast("ProviderKind", _choice(data, "kind", get_args(ProviderKind))),
            visibility=cast("Visibility", _choice(data, "visibility", get_args(Visibility))),
            enabled=_flag(data, "enabled"),
            multi_cluster=cast("MultiCluster", _choice(data, "multi_cluster", get_args(MultiCluster))),
            comment=_text(data, "comment", default=""),
            clusters=tuple(Cluster.from_data(cluster) for cluster in clusters),
            version=version,
        )


@dataclass(frozen=True, slots=True)
class Status:
    """What a consumer says it has installed. A consumer may write anything here: nothing of it is trusted.

    Attributes:
        certificate: the certificate's name; empty when the consumer did not say.
        certificate_version: the version installed; 0 when none is.
        fingerprint_sha256: of the installed leaf, lower hex; may be empty.
        sessions: open connections, when it knows.
        at: when Vault stored it.
    """

    consumer: str
    certificate: str
    certificate_version: int
    fingerprint_sha256: str
    state: StatusState
    detail: str
    sessions: int | None
    at: datetime
    version: int = 0

    def to_data(self) -> dict[str, Any]:
        """The stored document."""
        return {
            "certificate": self.certificate,
            "version": self.certificate_version,
            "fingerprint_sha256": self.fingerprint_sha256,
            "state": self.state,
            "detail": self.detail,
            "sessions": self.sessions,
        }

    @staticmethod
    def from_data(consumer: str, data: Mapping[str, Any], version: int, at: datetime) -> Status:
        """The record of a stored document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        certificate_version = data.get("version")
        sessions = data.get("sessions")
        fingerprint = _text(data, "fingerprint_sha256", default="").lower()
        if not _is_count(certificate_version) or not (sessions is None or _is_count(sessions)):
            raise ValueError("version or sessions is not a count")
        if not re.fullmatch(r"(?:[0-9a-f]{64})?", fingerprint):
            raise ValueError("fingerprint_sha256 is not 64 hexadecimal digits")
        return Status(
            consumer=consumer,
            certificate=_optional_name(data, "certificate") or "",
            certificate_version=cast("int", certificate_version),
            fingerprint_sha256=fingerprint,
            state=cast("StatusState", _choice(data, "state", get_args(StatusState))),
            detail=_text(data, "detail", default="")[:MAX_STATUS_DETAIL_CHARACTERS],
            sessions=sessions,
            at=at,
            version=version,
        )


def _text(data: Mapping[str, Any], field: str, *, default: str | None = None) -> str:
    value = data.get(field, default)
    if value is None:
        value = default
    if not isinstance(value, str):
        raise ValueError(f"{field} is not a text")  # noqa: TRY004 - every unreadable document is one kind of error
    return value


def _optional_name(data: Mapping[str, Any], field: str) -> str | None:
    value = _text(data, field, default="")
    if value and not is_name(value):
        raise ValueError(f"{field} is not a name")
    return value or None


def _choice(data: Mapping[str, Any], field: str, choices: tuple[str, ...]) -> str:
    value = _text(data, field)
    if value not in choices:
        raise ValueError(f"{field} is none of {', '.join(choices)}")
    return value


def _flag(data: Mapping[str, Any], field: str) -> bool:
    value = data.get(field)
    if not isinstance(value, bool):
        raise ValueError(f"{field} is neither true nor false")  # noqa: TRY004
    return value


def _port(data: Mapping[str, Any]) -> int:
    value = data.get("port")
    if not _is_count(value) or not 1 <= cast("int", value) <= 65535:
        raise ValueError("port is not a number from 1 to 65535")
    return cast("int", value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
