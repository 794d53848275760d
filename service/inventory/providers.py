"""What people do with container providers and their clusters."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, cast, get_args

from service.errors import InUse, Missing, Problem, Stale
from service.index import Index
from service.index.translation import translated
from service.inventory.acting import Acting
from service.inventory.bundles import listed
from service.inventory.clusters import (
    NewCluster,
    ambiguity,
    check_clusters,
    existing,
    read_cluster,
    read_multi_cluster,
    read_server_name,
    read_visibility,
    with_cluster,
)
from service.inventory.consumers import cluster as cluster_of
from service.inventory.enrolment import enroll, revoke
from service.inventory.fit import binding_impacts, cluster_need, refuse_misfit
from service.inventory.impact import Impact
from service.inventory.recording import bindable, forget_reports, present, remove, write
from service.inventory.staleness import check_version
from service.records import (
    Provider,
    ProviderKind,
    is_name,
    provider_path,
    read_choice,
    read_cluster_url,
    read_comment,
    read_display_name,
    read_name,
    relay_consumer,
)
from vault.consumers import Enrollment
from vault.journal import Kind
from vault.session import Vault

__all__ = ["NewCluster", "Providers"]


class Providers:
    """The container providers, in one person's hands. Every method may raise Unavailable, NotAllowed and Throttled."""

    def __init__(self, vault: Vault, index: Index, who: str, clock: Callable[[], datetime]) -> None:
        self._acting = Acting(vault, index, who, clock)

    def list(self) -> tuple[Provider, ...]:
        """Every provider by name, from memory."""
        return tuple(self._acting.index.snapshot().providers.values())

    def get(self, name: str) -> Provider:
        """A provider, from memory.

        Raises:
            Missing.
        """
        found = self._acting.index.snapshot().providers.get(name)
        if found is None and is_name(name):
            found = self._acting.index.refresh().providers.get(name)
        if found is None:
            raise Missing(f"There is no container provider {name[:80]}.", code="provider.missing")
        return found

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
        read, display_name = read_name(name)
        record = Provider(
            name=read,
            display_name=display_name,
            kind=cast("ProviderKind", read_choice(kind, get_args(ProviderKind), field="kind")),
            visibility=read_visibility(visibility),
            enabled=False,
            multi_cluster=read_multi_cluster(multi_cluster),
            comment=read_comment(comment),
            clusters=tuple(read_cluster(one) for one in clusters),
        )
        check_clusters(record)
        taken = InUse(f"There is a container provider {read} already.", code="provider.exists", conflicts=(read,))
        if read in self._acting.index.refresh().providers:
            raise taken
        self._check(None, record, accept)
        with self._acting.telling_of_trouble("provider", read, "created", provider_path(read)):
            try:
                stored = write(self._acting, None, record, objection=lambda: self._ambiguity(record))
            except Stale:
                raise taken from None
        self._acting.tell("provider", read, "created", stored.version, provider_path(read))
        return stored

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
        former = self._stored(name, expect_version)
        changes: dict[str, Any] = {
            "display_name": None if display_name is None else read_display_name(display_name, name),
            "visibility": None if visibility is None else read_visibility(visibility),
            "enabled": enabled,
            "multi_cluster": None if multi_cluster is None else read_multi_cluster(multi_cluster),
            "comment": None if comment is None else read_comment(comment),
        }
        record = replace(former, **{field: value for field, value in changes.items() if value is not None})
        return self._replace(former, record, ())

    def delete(self, name: str, expect_version: int | None = None) -> None:
        """Remove a provider with its clusters: their credentials are dead first, then the record is gone.

        Raises:
            Missing; Stale; InUse `provider.in-use` with the relays that run on it.
        """
        record = self._stored(name, expect_version)
        relays = [one.name for one in self._acting.index.snapshot().relays.values() if one.provider == name]
        if relays:
            detail = f"{name} is named by the relays {listed(relays)}. Change them first."
            raise InUse(detail, code="provider.in-use", conflicts=[relay_consumer(relay) for relay in relays])
        with self._acting.telling_of_trouble("provider", name, "deleted", provider_path(name)):
            remove(self._acting, record)
        self._acting.tell("provider", name, "deleted", None, provider_path(name))

    def add_cluster(
        self, name: str, cluster: NewCluster, *, expect_version: int | None = None, accept: Sequence[str] = ()
    ) -> Provider:
        """Add a cluster.

        Raises:
            Missing; Stale; InUse `cluster.exists`, `consumer.ambiguous`; Refused as `create`.
        """
        former = self._stored(name, expect_version)
        added = read_cluster(cluster)
        if former.cluster(added.name):
            raise InUse(f"{name} has a cluster {added.name} already.", code="cluster.exists", conflicts=(added.name,))
        return self._replace(former, replace(former, clusters=(*former.clusters, added)), accept)

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
        former = self._stored(name, expect_version)
        changed = existing(former, cluster)
        if url is not None:
            changed = replace(changed, url=read_cluster_url(url))
        if server_name is not None:
            changed = replace(changed, server_name=read_server_name(server_name))
        if cert_auth is not None:
            changed = replace(changed, cert_auth=cert_auth)
        if certificate is not None:
            changed = replace(changed, certificate=certificate or None)
        return self._replace(former, with_cluster(former, changed), accept, of=cluster)

    def remove_cluster(self, name: str, cluster: str, *, expect_version: int | None = None) -> Provider:
        """Remove a cluster: its credentials are dead first.

        Raises:
            Missing; Stale.
        """
        former = self._stored(name, expect_version)
        existing(former, cluster)
        kept = tuple(one for one in former.clusters if one.name != cluster)
        stored = self._replace(former, replace(former, clusters=kept), ())
        with translated():
            forget_reports(self._acting.vault, former.consumer(cluster))
        return stored

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
        former = self._stored(name, expect_version)
        bound = replace(existing(former, cluster), certificate=certificate or None)
        return self._replace(former, with_cluster(former, bound), accept, of=cluster)

    def binding_impacts(self, name: str, cluster: str, certificate: str) -> tuple[Impact, ...]:
        """As `Relays.binding_impacts`."""
        record = self.get(name)
        one = existing(record, cluster)
        chosen = bindable(self._acting, certificate)
        return binding_impacts(
            cluster_need(record, one), present(self._acting, one.certificate), chosen, self._acting.now()
        )

    def enroll_cluster(self, name: str, cluster: str, ttl_s: int = 3600) -> Enrollment:
        """As `Relays.enroll`."""
        existing(self._stored(name, None), cluster)
        return enroll(self._acting, cluster_of(name, cluster), ttl_s)

    def revoke_cluster(self, name: str, cluster: str) -> None:
        """As `Relays.revoke`."""
        existing(self._stored(name, None), cluster)
        revoke(self._acting, cluster_of(name, cluster))

    def _stored(self, name: str, expect_version: int | None) -> Provider:
        """The provider as it is stored at this moment, at the version the person saw."""
        self.get(name)
        found = self._acting.index.refresh((provider_path(name),)).providers.get(name)
        if found is None:
            raise Missing(f"There is no container provider {name} any more.", code="provider.missing")
        check_version(self._acting, provider_path(name), expected=expect_version, current=found.version)
        return found

    def _replace(self, former: Provider, record: Provider, accept: Sequence[str], *, of: str | None = None) -> Provider:
        """Write what has changed. `of`: the cluster that alone has changed."""
        if record == former:
            return former
        check_clusters(record)
        self._check(former, record, accept)
        path = provider_path(record.name)
        kind: Kind = "provider"
        name, action = record.name, "updated"
        new, old = (record.cluster(of), former.cluster(of)) if of else (None, None)
        if of and new and old and new.certificate != old.certificate:
            kind, name, action = "binding", record.consumer(of), "bound" if new.certificate else "unbound"
        with self._acting.telling_of_trouble(kind, name, action, path):
            stored = write(self._acting, former, record, objection=lambda: self._ambiguity(record))
        self._acting.tell(kind, name, action, stored.version, path)
        return stored

    def _check(self, former: Provider | None, record: Provider, accept: Sequence[str]) -> None:
        """Check names and certificates that are new."""
        ambiguous = ambiguity(self._acting.index.snapshot(), record)
        if ambiguous:
            raise ambiguous
        for one in record.clusters:
            before = former.cluster(one.name) if former else None
            need = cluster_need(record, one)
            if one.certificate is None:
                continue
            same_need = former is not None and before is not None and cluster_need(former, before) == need
            if not (same_need and before and before.certificate == one.certificate):
                refuse_misfit(bindable(self._acting, one.certificate), need, accept, self._acting.now())

    def _ambiguity(self, record: Provider) -> Problem | None:
        """Whether somebody took the name of one of our consumers in this moment; looked at after the write."""
        if not record.clusters:
            return None
        return ambiguity(self._acting.index.recheck_users(), record)
