"""What a consumer needs of a certificate, and whether a certificate gives it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from service.errors import Refused
from service.index import Users
from service.inventory.impact import Impact
from service.pki.coverage import Coverage, Purpose, coverage
from service.pki.facts import ANY_USAGE, BundleFacts
from service.pki.finding import Finding, Severity
from service.records import Cluster, Provider, Relay


@dataclass(frozen=True, slots=True)
class Need:
    """What one consumer needs.

    Attributes:
        hosts: names that clients use; none for a client certificate.
        purpose: None when nothing is asked of the extended key usage (a cluster without certificate authentication).
        mtls: whether clients are asked for certificates.
    """

    consumer: str
    hosts: tuple[str, ...]
    purpose: Purpose | None
    mtls: bool


def relay_need(relay: Relay) -> Need:
    """A relay serves its host; with mTLS it needs the CA of its clients."""
    return Need(relay.consumer, (relay.host,), "server", mtls=relay.tls_mode == "mtls")


def cluster_need(provider: Provider, cluster: Cluster) -> Need:
    """To a cluster, the platform is a client."""
    return Need(provider.consumer(cluster.name), (), "client" if cluster.cert_auth else None, mtls=False)


def needs_of(users: Users) -> Iterator[Need]:
    """What each user of a certificate needs."""
    yield from map(relay_need, users.relays)
    yield from (cluster_need(provider, cluster) for provider, cluster in users.clusters)


def fit(facts: BundleFacts, need: Need, now: datetime) -> Coverage:
    """How a certificate fits a consumer."""
    purpose = need.purpose or _any_purpose(facts)
    return coverage(facts, hosts=need.hosts, purpose=purpose, mtls=need.mtls, now=now)


def _any_purpose(facts: BundleFacts) -> Purpose:
    usages = facts.leaf.extended_key_usages
    return "client" if "clientAuth" in usages and ANY_USAGE not in usages else "server"


def refuse_misfit(facts: BundleFacts, need: Need, accept: Sequence[str], now: datetime) -> None:
    """Refuse to bind a consumer to a certificate that does not fit it.

    Raises:
        Refused: `binding.does-not-fit`, with every finding.
    """
    findings = fit(facts, need, now).findings
    errors = [one for one in findings if one.severity is Severity.ERROR and not accepted(need.consumer, one, accept)]
    if errors:
        detail = f"The certificate does not fit {need.consumer}: {errors[0].message}"
        raise Refused(detail, code="binding.does-not-fit", findings=findings)


def accepted(consumer: str, finding: Finding | Impact, accept: Sequence[str]) -> bool:
    """Whether a person accepted it: by its code for everybody, or as `consumer:code`."""
    return finding.code in accept or f"{consumer}:{finding.code}" in accept


def impacts(users: Users, old: BundleFacts | None, new: BundleFacts, now: datetime) -> tuple[Impact, ...]:
    """What replacing `old` by `new` does to each user, the harmful first. What was wrong before is no new harm.

    Args:
        old: None when the stored version cannot be read; then everything that is wrong is news.
    """
    found = [impact for need in needs_of(users) for impact in _impacts_of(need, old, new, now)]
    return tuple(sorted(found, key=lambda impact: (not impact.harmful, impact.consumer, impact.code)))


def _impacts_of(need: Need, old: BundleFacts | None, new: BundleFacts, now: datetime) -> Iterator[Impact]:
    before = {finding.code for finding in fit(old, need, now).findings} if old else set()
    for finding in fit(new, need, now).findings:
        known = finding.code in before
        if finding.severity is Severity.INFO or (known and finding.severity is Severity.WARNING):
            continue
        severity = Severity.WARNING if known else finding.severity
        message = f"{need.consumer}: {finding.message}{' It was so before.' if known else ''}"
        yield Impact(need.consumer, finding.code, severity, message, finding.hint)
    if need.mtls and old and new.ca:
        kept = {one.spki_sha256 for one in new.ca}
        dropped = [one.title for one in old.ca if one.spki_sha256 not in kept]
        if dropped:
            message = f"{need.consumer}: clients whose certificate was issued by {_listed(dropped)} will be refused."
            hint = "Keep the old CA beside the new one until every client has a new certificate."
            yield Impact(need.consumer, "ca.dropped", Severity.ERROR, message, hint)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
