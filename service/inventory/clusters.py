"""The clusters of a container provider: read, checked and told apart. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast, get_args

from service.errors import InUse, Missing
from service.index import Snapshot
from service.records import (
    MAX_CLUSTERS,
    Cluster,
    MultiCluster,
    Provider,
    Visibility,
    read_choice,
    read_cluster_url,
    read_host,
    read_name,
    refusal,
)


@dataclass(frozen=True, slots=True)
class NewCluster:
    """A cluster as typed. `server_name` and `certificate` are optional."""

    name: str
    url: str
    server_name: str = ""
    cert_auth: bool = False
    certificate: str = ""


def ambiguity(snapshot: Snapshot, record: Provider) -> InUse | None:
    """The problem that a cluster's consumer has the name of another provider's; None when there is none."""
    ours = {record.consumer(one.name): one.name for one in record.clusters}
    for provider in snapshot.providers.values():
        for one in provider.clusters:
            consumer = provider.consumer(one.name)
            if provider.name != record.name and consumer in ours:
                detail = (
                    f"The cluster {ours[consumer]} of {record.name} would be the consumer {consumer}, which is the "
                    f"cluster {one.name} of {provider.name} already. Choose another name for it."
                )
                return InUse(detail, code="consumer.ambiguous", conflicts=(consumer,))
    return None


def check_clusters(record: Provider) -> None:
    """Hold the clusters of a provider against what a provider may have.

    Raises:
        Refused: `clusters.duplicate`, `clusters.too-many`.
    """
    names = [one.name for one in record.clusters]
    if len(set(names)) != len(names):
        raise refusal("clusters.duplicate", "Two clusters have the same name.", field="clusters")
    if len(names) > MAX_CLUSTERS:
        message = f"There are {len(names)} clusters; at most {MAX_CLUSTERS} are kept."
        raise refusal("clusters.too-many", message, field="clusters")
    if record.multi_cluster == "none" and len(names) > 1:
        message = f"A provider without multi-cluster has one cluster, not {len(names)}."
        raise refusal("clusters.too-many", message, "Choose active-passive or active-active.", field="multi_cluster")


def read_cluster(typed: NewCluster) -> Cluster:
    """The record of a typed cluster.

    Raises:
        Refused: `name.illegal`, `url.illegal`, `host.illegal`.
    """
    return Cluster(
        name=read_name(typed.name)[0],
        url=read_cluster_url(typed.url),
        server_name=read_server_name(typed.server_name),
        cert_auth=typed.cert_auth,
        certificate=typed.certificate or None,
    )


def existing(provider: Provider, cluster: str) -> Cluster:
    """A cluster of a provider.

    Raises:
        Missing: `cluster.missing`.
    """
    found = provider.cluster(cluster)
    if found is None:
        raise Missing(f"{provider.name} has no cluster {cluster[:80]}.", code="cluster.missing")
    return found


def with_cluster(provider: Provider, changed: Cluster) -> Provider:
    """The provider with one of its clusters changed."""
    clusters = tuple(changed if one.name == changed.name else one for one in provider.clusters)
    return replace(provider, clusters=clusters)


def read_server_name(text: str) -> str | None:
    """A server name (SNI) as it is stored; None when nothing was typed."""
    return read_host(text, field="server_name") if text.strip() else None


def read_visibility(value: str) -> Visibility:
    """A typed visibility."""
    return cast("Visibility", read_choice(value, get_args(Visibility), field="visibility"))


def read_multi_cluster(value: str) -> MultiCluster:
    """A typed multi-cluster mode."""
    return cast("MultiCluster", read_choice(value, get_args(MultiCluster), field="multi_cluster"))
