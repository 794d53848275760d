"""What the index shows: immutable views, and the snapshot that holds them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import TypeVar, cast

from service.pki.facts import BundleFacts
from service.records import Annotations, Canary, Cluster, Probe, Provider, Relay, Status, relay_consumer

T = TypeVar("T")
_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class CertificateView:
    """The current version of a certificate, without its key.

    Attributes:
        version: the current version's number; it is the `ETag`.
        facts: None when it is deleted or cannot be read (`problem` says why).
        certificate: PEM, leaf first; empty when `facts` is None.
        ca: PEM; empty when there is none.
        changed_by: who wrote the current version; empty when Keystead did not write it.
        ca_overlap: which authorities of the CA are kept until when, as it is stored; empty when none.
        created_at: when its first version was written.
        updated_at: when the current version was written.
        deleted: whether it is deleted (and can be restored).
        problem: why it cannot be shown, in one sentence; empty when it can.
        expires_at: the earliest end in its chain; None when `facts` is None.
        haystack: what a search looks in, case-folded.
        sort_texts: what lists are sorted by.
    """

    name: str
    display_name: str
    comment: str
    labels: Mapping[str, str]
    version: int
    facts: BundleFacts | None
    certificate: str
    ca: str
    changed_by: str
    created_at: datetime
    updated_at: datetime
    deleted: bool = False
    problem: str = ""
    ca_overlap: str = ""
    expires_at: datetime | None = None
    haystack: str = field(default="", repr=False, compare=False)
    sort_texts: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)

    def finds(self, words: tuple[str, ...]) -> bool:
        """Whether each word (lower case) occurs in what people would search for."""
        return all(word in self.haystack for word in words)


def view_of(
    *,
    name: str,
    annotations: Annotations,
    version: int,
    facts: BundleFacts | None,
    certificate: str,
    ca: str,
    changed_by: str,
    created_at: datetime,
    updated_at: datetime,
    deleted: bool,
    problem: str,
    ca_overlap: str = "",
) -> CertificateView:
    """A view, with its search text made once."""
    said = [name, annotations.display_name, annotations.comment]
    said += [f"{key}:{value}" for key, value in annotations.labels.items()]
    if facts is not None:
        leaf = facts.leaf
        said += [*leaf.dns_names, *leaf.ip_addresses, leaf.subject, leaf.issuer, leaf.serial, leaf.fingerprint_sha256]
    expires_at = facts.not_after if facts else None
    display_name = annotations.display_name or name
    return CertificateView(
        name=name,
        display_name=display_name,
        comment=annotations.comment,
        labels=annotations.labels,
        version=version,
        facts=facts,
        certificate=certificate,
        ca=ca,
        changed_by=changed_by,
        created_at=created_at,
        updated_at=updated_at,
        deleted=deleted,
        problem=problem,
        ca_overlap=ca_overlap,
        expires_at=expires_at,
        haystack="\n".join(said).casefold(),
        sort_texts={
            "name": display_name.casefold(),
            "expires": (expires_at or _NEVER).isoformat(),
            "issuer": (facts.leaf.issuer_common_name or facts.leaf.issuer).casefold() if facts else "",
            "updated": updated_at.isoformat(timespec="microseconds"),
        },
    )


@dataclass(frozen=True, slots=True)
class VersionView:
    """One version of a certificate, current or not. `facts` is None when it cannot be read, and `problem` says why."""

    number: int
    created_at: datetime
    facts: BundleFacts | None
    certificate: str
    ca: str
    changed_by: str
    problem: str


@dataclass(frozen=True, slots=True)
class Users:
    """Who is bound to a certificate, by name."""

    relays: tuple[Relay, ...] = ()
    clusters: tuple[tuple[Provider, Cluster], ...] = ()

    def __len__(self) -> int:
        return len(self.relays) + len(self.clusters)

    @property
    def consumers(self) -> tuple[str, ...]:
        """The consumers' names, relays first."""
        return (
            *(relay.consumer for relay in self.relays),
            *(provider.consumer(cluster.name) for provider, cluster in self.clusters),
        )


NO_USERS = Users()


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the journal: who changed what. `version` is None where there is none."""

    sequence: int
    at: datetime
    kind: str
    name: str
    action: str
    version: int | None
    by: str


@dataclass(frozen=True, slots=True, eq=False)
class Snapshot:
    """Everything public at one moment. Immutable; mappings are ordered by name.

    Attributes:
        certificates: by name; the deleted that can be restored are among them.
        statuses: by consumer.
        probes: by consumer.
        canaries: by certificate.
        changes: the last changes, oldest first.
        unreadable: documents that cannot be understood, by path (`relays/eu`), with the reason.
        sequence: the journal's number up to which it is true.
        read_at: when that was so.
    """

    certificates: Mapping[str, CertificateView]
    relays: Mapping[str, Relay]
    providers: Mapping[str, Provider]
    statuses: Mapping[str, Status]
    changes: tuple[Change, ...]
    unreadable: Mapping[str, str]
    sequence: int
    read_at: datetime
    probes: Mapping[str, Probe] = field(default_factory=dict)
    canaries: Mapping[str, Canary] = field(default_factory=dict)
    _memo: dict[str, object] = field(init=False, repr=False, default_factory=dict)
    _users: Mapping[str, Users] = field(init=False, repr=False)
    _consumers: Mapping[str, Relay | tuple[Provider, Cluster]] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_users", MappingProxyType(_users_of(self.relays, self.providers)))
        object.__setattr__(self, "_consumers", MappingProxyType(_consumers_of(self.relays, self.providers)))

    def used_by(self, certificate: str) -> Users:
        """Who is bound to a certificate; nobody when there is no such certificate."""
        return self._users.get(certificate, NO_USERS)

    def consumer(self, name: str) -> Relay | tuple[Provider, Cluster] | None:
        """The relay or the cluster that a consumer is."""
        return self._consumers.get(name)

    @property
    def consumers(self) -> Mapping[str, Relay | tuple[Provider, Cluster]]:
        """Every consumer by name."""
        return self._consumers

    def remembered(self, key: str, make: Callable[[Snapshot], T]) -> T:
        """What `make` says of this snapshot; asked once. Two threads may both ask it: it must be pure."""
        if key not in self._memo:
            self._memo[key] = make(self)
        return cast("T", self._memo[key])

    def held_at(self, consumer: str) -> int | None:
        """The version at which a consumer stays while another one tries the newest; None when it has the newest."""
        if not self.canaries:
            return None
        certificate = self.bound_to(consumer)
        canary = self.canaries.get(certificate) if certificate else None
        if canary is None or canary.consumer == consumer:
            return None
        view = self.certificates.get(canary.certificate)
        return canary.base if view is not None and view.version > canary.base else None

    def bound_to(self, consumer: str) -> str | None:
        """The certificate a consumer is bound to, by the records; None when to none."""
        found = self._consumers.get(consumer)
        if found is None:
            return None
        return found.certificate if isinstance(found, Relay) else found[1].certificate


def _users_of(relays: Mapping[str, Relay], providers: Mapping[str, Provider]) -> dict[str, Users]:
    of_relays: dict[str, list[Relay]] = {}
    of_clusters: dict[str, list[tuple[Provider, Cluster]]] = {}
    for relay in relays.values():
        if relay.certificate:
            of_relays.setdefault(relay.certificate, []).append(relay)
    for provider in providers.values():
        for cluster in provider.clusters:
            if cluster.certificate:
                of_clusters.setdefault(cluster.certificate, []).append((provider, cluster))
    return {
        name: Users(relays=tuple(of_relays.get(name, ())), clusters=tuple(of_clusters.get(name, ())))
        for name in of_relays.keys() | of_clusters.keys()
    }


def _consumers_of(
    relays: Mapping[str, Relay], providers: Mapping[str, Provider]
) -> dict[str, Relay | tuple[Provider, Cluster]]:
    found: dict[str, Relay | tuple[Provider, Cluster]] = {
        relay_consumer(relay.name): relay for relay in relays.values()
    }
    for provider in providers.values():
        for cluster in provider.clusters:
            found[provider.consumer(cluster.name)] = (provider, cluster)
    return found
