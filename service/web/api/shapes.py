"""What the API answers with. `openapi.json` describes exactly these structs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Literal, Protocol

import msgspec

from service.index import CertificateView
from service.index.listing import ListItem, Page
from service.inventory.overlap import Overlap
from service.inventory.profile import CertificateProfile, CheckReport, VersionFacts
from service.pki.coverage import Coverage
from service.pki.finding import Finding, Severity
from service.records import Cluster, Provider, Relay
from service.web.api.facts import FactsShape, facts
from service.web.api.words import (
    FindingSeverity,
    Moment,
    MultiCluster,
    ProviderKind,
    State,
    StateOfVersion,
    TlsMode,
    Visibility,
)


class FindingShape(msgspec.Struct, frozen=True):
    """One finding (docs/findings.md)."""

    code: str
    severity: FindingSeverity
    field: str | None
    position: int | None
    message: str
    hint: str


class CoverageShape(msgspec.Struct, frozen=True):
    """Whether a certificate fits one consumer: `covered`, and why not."""

    covered: bool
    findings: list[FindingShape]


class BoundRelay(msgspec.Struct, frozen=True):
    """A relay that uses a certificate. `coverage` is null when the certificate cannot be read."""

    name: str
    consumer: str
    host: str
    port: int
    tls_mode: TlsMode
    enabled: bool
    coverage: CoverageShape | None


class BoundCluster(msgspec.Struct, frozen=True):
    """A cluster of a container provider that uses a certificate."""

    name: str
    cluster: str
    consumer: str
    kind: ProviderKind
    enabled: bool
    coverage: CoverageShape | None


class CaOverlap(msgspec.Struct, frozen=True):
    """Authorities of the CA field that are kept beside the new ones until the end of a day (UTC)."""

    until: date
    authorities: list[str]


class CertificateShape(msgspec.Struct, frozen=True):
    """A certificate without its key. `facts` is null when it is deleted or was written by hand and cannot be read."""

    name: str
    display_name: str
    version: int
    state: State
    facts: FactsShape | None
    findings: list[FindingShape]
    certificate: str
    ca: str
    relays: list[BoundRelay]
    providers: list[BoundCluster]
    comment: str
    labels: dict[str, str]
    created_at: Moment
    updated_at: Moment
    changed_by: str
    deleted: bool
    ca_overlap: CaOverlap | None


class UsedBy(msgspec.Struct, frozen=True):
    """How many relays and clusters use a certificate."""

    relays: int
    providers: int


class CertificateRow(msgspec.Struct, frozen=True):
    """A row of the list."""

    name: str
    display_name: str
    version: int
    state: State
    hosts: list[str]
    issuer: str
    not_after: Moment | None
    fingerprint_sha256: str
    used_by: UsedBy
    comment: str
    labels: dict[str, str]
    updated_at: Moment


class CertificateRows(msgspec.Struct, frozen=True):
    """One page of certificates. `next_cursor` is null on the last one; `counts` are by status, of what `q` finds."""

    items: list[CertificateRow]
    next_cursor: str | None
    total: int
    counts: dict[str, int]


class VersionShape(msgspec.Struct, frozen=True):
    """One version. `facts` is null when it is gone."""

    version: int
    state: StateOfVersion
    created_at: Moment
    changed_by: str
    facts: FactsShape | None


class Versions(msgspec.Struct, frozen=True):
    """Every version still known, newest first."""

    items: list[VersionShape]


class ImpactShape(msgspec.Struct, frozen=True):
    """What a change would do to one consumer. `accept` is what accepts this one in `accept`."""

    consumer: str
    code: str
    severity: FindingSeverity
    message: str
    hint: str
    accept: str


class Normalized(msgspec.Struct, frozen=True):
    """The public fields, in their stored form."""

    certificate: str
    ca: str


class BlockShape(msgspec.Struct, frozen=True):
    """One pasted block: what it is, whose, until when, and what was done with it. `place` is in the chain, leaf 0."""

    field: str
    position: int
    source: str
    what: str
    whose: str
    until: datetime | None
    outcome: Literal["kept", "moved", "left-out", "unreadable"]
    kept_in: str | None
    place: int | None


class OfferShape(msgspec.Struct, frozen=True):
    """An intermediate that the chain lacks, and that is stored with the certificate `held_by`."""

    title: str
    held_by: str
    certificate: str


class CheckShape(msgspec.Struct, frozen=True):
    """What a change would be told. Holds no key."""

    findings: list[FindingShape]
    facts: FactsShape | None
    normalized: Normalized
    impact: list[ImpactShape]
    blocks: list[BlockShape]
    offers: list[OfferShape]


class ClientCheck(msgspec.Struct, frozen=True):
    """Whether an mTLS relay would accept a client; each reason why not."""

    accepted: bool
    findings: list[FindingShape]


class RelayShape(msgspec.Struct, frozen=True):
    """A WebSocket relay."""

    name: str
    display_name: str
    consumer: str
    host: str
    port: int
    tls_mode: TlsMode
    certificate: str | None
    provider: str | None
    enabled: bool
    comment: str
    version: int


class RelayList(msgspec.Struct, frozen=True):
    """Every relay, by name."""

    items: list[RelayShape]
    next_cursor: str | None = None


class ClusterShape(msgspec.Struct, frozen=True):
    """A cluster of a container provider."""

    name: str
    consumer: str
    url: str
    server_name: str | None
    cert_auth: bool
    certificate: str | None


class ProviderShape(msgspec.Struct, frozen=True):
    """A container provider."""

    name: str
    display_name: str
    kind: ProviderKind
    visibility: Visibility
    enabled: bool
    multi_cluster: MultiCluster
    comment: str
    clusters: list[ClusterShape]
    version: int


class ProviderList(msgspec.Struct, frozen=True):
    """Every container provider, by name."""

    items: list[ProviderShape]
    next_cursor: str | None = None


class EnrollmentShape(msgspec.Struct, frozen=True):
    """Credentials for one agent: the wrapping token opens once, until `expires_at`."""

    wrapping_token: str
    role_id: str
    expires_at: Moment


class SessionShape(msgspec.Struct, frozen=True):
    """A session: the token goes into `X-Vault-Token`."""

    token: str
    expires_at: Moment | None
    roles: list[str]
    who: str


def finding(found: Finding) -> FindingShape:
    """One finding."""
    return FindingShape(**found.as_json())  # type: ignore[arg-type] # the same members


def certificate(profile: CertificateProfile) -> CertificateShape:
    """A certificate with its users."""
    view = profile.view
    return CertificateShape(
        name=view.name,
        display_name=view.display_name,
        version=view.version,
        state=str(profile.state),
        facts=facts(view.facts),
        findings=[finding(one) for one in profile.findings],
        certificate=view.certificate,
        ca=view.ca,
        relays=[
            BoundRelay(
                name=relay.name,
                consumer=relay.consumer,
                host=relay.host,
                port=relay.port,
                tls_mode=relay.tls_mode,
                enabled=relay.enabled,
                coverage=_coverage(profile.coverages.get(relay.consumer)),
            )
            for relay in profile.users.relays
        ],
        providers=[
            BoundCluster(
                name=provider.name,
                cluster=cluster.name,
                consumer=provider.consumer(cluster.name),
                kind=provider.kind,
                enabled=provider.enabled,
                coverage=_coverage(profile.coverages.get(provider.consumer(cluster.name))),
            )
            for provider, cluster in profile.users.clusters
        ],
        comment=view.comment,
        labels=dict(view.labels),
        created_at=view.created_at,
        updated_at=view.updated_at,
        changed_by=view.changed_by,
        deleted=view.deleted,
        ca_overlap=_overlap(profile.overlap, view),
    )


def certificate_rows(page: Page) -> CertificateRows:
    """A page of the list."""
    return CertificateRows(
        items=[_row(item) for item in page.items],
        next_cursor=page.next_cursor,
        total=page.total,
        counts={str(name): count for name, count in page.counts.items()},
    )


def version(one: VersionFacts) -> VersionShape:
    """One version."""
    return VersionShape(
        version=one.number,
        state=one.state,
        created_at=one.created_at,
        changed_by=one.changed_by,
        facts=facts(one.facts),
    )


def check(report: CheckReport) -> CheckShape:
    """What the checks say; the key stays behind."""
    checked = report.checked
    return CheckShape(
        findings=[finding(one) for one in checked.findings],
        facts=facts(checked.facts),
        normalized=Normalized(certificate=checked.certificate, ca=checked.ca),
        impact=[
            ImpactShape(
                consumer=one.consumer,
                code=one.code,
                severity=str(one.severity),
                message=one.message,
                hint=one.hint,
                accept=one.acceptance,
            )
            for one in report.impact
        ],
        blocks=[
            BlockShape(
                field=one.field,
                position=one.position,
                source=one.source,
                what=one.what,
                whose=one.whose,
                until=one.until,
                outcome=one.outcome,
                kept_in=one.kept_in,
                place=one.place,
            )
            for one in checked.blocks
        ],
        offers=[OfferShape(title=one.title, held_by=one.held_by, certificate=one.certificate) for one in report.offers],
    )


def client_check(refusals: Sequence[Finding]) -> ClientCheck:
    """Whether a client would be accepted."""
    accepted = not any(one.severity is Severity.ERROR for one in refusals)
    return ClientCheck(accepted=accepted, findings=[finding(one) for one in refusals])


def relay(one: Relay) -> RelayShape:
    """A relay."""
    return RelayShape(
        name=one.name,
        display_name=one.display_name,
        consumer=one.consumer,
        host=one.host,
        port=one.port,
        tls_mode=one.tls_mode,
        certificate=one.certificate,
        provider=one.provider,
        enabled=one.enabled,
        comment=one.comment,
        version=one.version,
    )


def provider(one: Provider) -> ProviderShape:
    """A container provider."""
    return ProviderShape(
        name=one.name,
        display_name=one.display_name,
        kind=one.kind,
        visibility=one.visibility,
        enabled=one.enabled,
        multi_cluster=one.multi_cluster,
        comment=one.comment,
        clusters=[cluster(one, each) for each in one.clusters],
        version=one.version,
    )


def cluster(of: Provider, one: Cluster) -> ClusterShape:
    """A cluster of a provider."""
    return ClusterShape(
        name=one.name,
        consumer=of.consumer(one.name),
        url=one.url,
        server_name=one.server_name,
        cert_auth=one.cert_auth,
        certificate=one.certificate,
    )


class _Token(Protocol):
    def reveal(self) -> str:
        """The token itself."""


class Issued(Protocol):
    """What the inventory hands out at an enrolment."""

    @property
    def wrapping_token(self) -> _Token:
        """Opens once."""

    @property
    def role_id(self) -> str:
        """The consumer's role."""

    @property
    def expires_at(self) -> datetime:
        """Until when it opens."""


def enrollment(issued: Issued) -> EnrollmentShape:
    """Credentials, shown once."""
    return EnrollmentShape(
        wrapping_token=issued.wrapping_token.reveal(), role_id=issued.role_id, expires_at=issued.expires_at
    )


def _overlap(kept: Overlap | None, view: CertificateView) -> CaOverlap | None:
    return CaOverlap(until=kept.until, authorities=list(kept.authorities(view.facts))) if kept else None


def _coverage(found: Coverage | None) -> CoverageShape | None:
    if found is None:
        return None
    return CoverageShape(covered=found.ok, findings=[finding(one) for one in found.findings])


def _row(item: ListItem) -> CertificateRow:
    view: CertificateView = item.view
    leaf = view.facts.leaf if view.facts else None
    return CertificateRow(
        name=view.name,
        display_name=view.display_name,
        version=view.version,
        state=str(item.state),
        hosts=[*leaf.dns_names, *leaf.ip_addresses] if leaf else [],
        issuer=(leaf.issuer_common_name or leaf.issuer) if leaf else "",
        not_after=view.facts.not_after if view.facts else None,
        fingerprint_sha256=leaf.fingerprint_sha256 if leaf else "",
        used_by=UsedBy(relays=item.relays, providers=item.clusters),
        comment=view.comment,
        labels=dict(view.labels),
        updated_at=view.updated_at,
    )
