"""What a consumer needs of a certificate, and whether a certificate gives it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from service.errors import Refused
from service.index import Users
from service.inventory.differences import NO_DIFFERENCES, Differences, differences, in_words
from service.inventory.impact import Impact, impact
from service.pki.coverage import Coverage, Purpose, coverage, covers
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


def needs_of(users: Users) -> tuple[Need, ...]:
    """What each user of a certificate needs."""
    clusters = (cluster_need(provider, cluster) for provider, cluster in users.clusters)
    return (*map(relay_need, users.relays), *clusters)


def fit(facts: BundleFacts, need: Need, now: datetime) -> Coverage:
    """How a certificate fits a consumer."""
    purpose = need.purpose or _any_purpose(facts)
    return coverage(facts, hosts=need.hosts, purpose=purpose, mtls=need.mtls, now=now)


def _any_purpose(facts: BundleFacts) -> Purpose:
    usages = facts.leaf.extended_key_usages
    return "client" if "clientAuth" in usages and ANY_USAGE not in usages else "server"


def refuse_misfit(
    facts: BundleFacts, need: Need, accept: Sequence[str], now: datetime, *, present: BundleFacts | None = None
) -> None:
    """Refuse to bind a consumer to a certificate that does not fit it, or that harms those who rely on the present one.

    Args:
        present: what a consumer with the same need is bound to now; None when to nothing.

    Raises:
        Refused: `binding.does-not-fit`, with every finding; `impact.not-accepted`, with a finding per harm.
    """
    findings = fit(facts, need, now).findings
    errors = [one for one in findings if one.severity is Severity.ERROR and not accepted(need.consumer, one, accept)]
    fitting = {one.code for one in findings}
    harms = [
        one
        for one in binding_impacts(need, present, facts, now)
        if one.harmful and one.code not in fitting and not accepted(need.consumer, one, accept)
    ]
    told = (*findings, *(one.as_finding() for one in harms))
    if errors:
        detail = f"The certificate does not fit {need.consumer}: {errors[0].message}"
        raise Refused(detail, code="binding.does-not-fit", findings=told)
    if harms:
        conflicts = [one.acceptance for one in harms]
        raise Refused(harms[0].message, code="impact.not-accepted", findings=told, conflicts=conflicts)


def binding_impacts(need: Need, present: BundleFacts | None, chosen: BundleFacts, now: datetime) -> tuple[Impact, ...]:
    """What changes for one consumer that goes from its present certificate to another.

    The other one is chosen now: that the present one did not fit either excuses nothing.
    """
    return impacts((need,), present, chosen, now, excusing=False)


def accepted(consumer: str, finding: Finding | Impact, accept: Sequence[str]) -> bool:
    """Whether a person accepted it: by its code for everybody, or as `consumer:code`."""
    return finding.code in accept or f"{consumer}:{finding.code}" in accept


def impacts(
    needs: Sequence[Need], old: BundleFacts | None, new: BundleFacts, now: datetime, *, excusing: bool = True
) -> tuple[Impact, ...]:
    """What replacing `old` by `new` does to each consumer, the harmful first.

    Args:
        needs: of those who use, or will use, the certificate.
        old: None when there was none, or it cannot be read; then everything that is wrong is news.
        excusing: whether what was wrong before is told as a warning only.
    """
    changed = differences(old, new) if old else NO_DIFFERENCES
    if changed.lost:
        uncovered = (host for need in needs for host in need.hosts if not covers(new.leaf, host))
        changed = replace(changed, lost=changed.lost_beside(uncovered))
    told = tuple(_told(changed))
    found: list[Impact] = []
    for need in needs:
        found += _misfits(need, old if excusing else None, new, now)
        if need.mtls:
            found += _of_authorities(need.consumer, changed, still_some=bool(new.ca))
        found += (impact(need.consumer, *one) for one in told)
    return tuple(sorted(found, key=lambda one: (one.rank, one.consumer, one.code)))


def _misfits(need: Need, old: BundleFacts | None, new: BundleFacts, now: datetime) -> Iterator[Impact]:
    before = {finding.code for finding in fit(old, need, now).findings} if old else set()
    for finding in fit(new, need, now).findings:
        known = finding.code in before
        if finding.severity is Severity.INFO or (known and finding.severity is Severity.WARNING):
            continue
        severity = Severity.WARNING if known else finding.severity
        message = f"{need.consumer}: {finding.message}{' It was so before.' if known else ''}"
        yield Impact(need.consumer, finding.code, severity, message, finding.hint)


def _of_authorities(consumer: str, changed: Differences, *, still_some: bool) -> Iterator[Impact]:
    if changed.dropped and still_some:  # without any CA it is ca.missing
        message = f"clients whose certificate was issued by {in_words(changed.dropped)} will be refused."
        hint = "Keep the old CA beside the new one until every client has a new certificate."
        yield impact(consumer, "ca.dropped", message, hint)
    if changed.added:
        message = f"clients whose certificate was issued by {in_words(changed.added)} will be accepted from now on."
        yield impact(consumer, "ca.added", message, "Make sure that this CA issues to your own clients alone.")


def _told(changed: Differences) -> Iterator[tuple[str, str, str]]:
    """Code, message and hint of what concerns every consumer alike."""
    if changed.lost:
        message = f"{in_words(changed.lost)} will not be covered any more. No consumer here needs it."
        yield "names.lost", message, "Make sure that no client uses such a name."
    if changed.gained:
        yield "names.gained", f"{in_words(changed.gained)} will be covered as well.", ""
    if changed.key_type:
        before, after = changed.key_type
        hint = "Clients that pin the key, or know the old kind alone, will fail."
        yield "key-type.changed", f"the key changes from {before} to {after}.", hint
    if changed.issuer:
        before, after = changed.issuer
        renamed = f"from {before} to {after}" if before != after else f"to another authority called {after}"
        yield "issuer.changed", f"the issuer changes {renamed}.", "Clients have to trust its root."
    if changed.ends:
        ends, earlier = changed.ends
        message = f"the new one ends on {earlier:%Y-%m-%d}, before the present one ({ends:%Y-%m-%d})."
        yield "expiry.earlier", message, "Make sure that it is the newest."
