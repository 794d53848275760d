"""Consumers as pages name them: a relay, or one cluster of a container provider; and what they are bound to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Final, TypeAlias

from flask import url_for

from service.index import Change, Snapshot
from service.pki.coverage import covers
from service.records import Cluster, Provider, Relay

Choices: TypeAlias = dict[str, str | dict[str, str]]
MAX_CHOICES: Final = 300
"""Longer than this, nobody reads a list; a name is typed faster, and the page stays small."""

ACTION_WORDS: Final = {
    "created": "created",
    "rotated": "rotated",
    "described": "described",
    "annotated": "described",
    "updated": "changed",
    "deleted": "deleted",
    "restored": "restored",
    "destroyed": "destroyed",
    "bound": "bound",
    "unbound": "unbound",
    "enrolled": "made a one-time token for",
    "revoked": "revoked the credentials of",
    "removed": "removed",
    "tested": "tested",
    "began": "began to try on one relay a version of",
    "passed": "let everybody have the new version of",
    "ended": "ended the trial of",
    "returned": "returned to the version before of",
    "called off": "called off the trial of",
}
"""The journal's actions, as a sentence says them: "ada rotated relays-eu". One not listed is said as it stands."""


@dataclass(frozen=True, slots=True)
class Named:
    """A consumer: its name for people, its page, and where it is."""

    consumer: str
    title: str
    href: str
    where: str


@dataclass(frozen=True, slots=True)
class FeedLine:
    """One change as the feed shows it; `href` is None when the thing is gone."""

    by: str
    words: str
    name: str
    href: str | None
    version: int | None
    at: datetime


def of_relay(relay: Relay) -> Named:
    """A relay as a consumer."""
    where = f"{relay.host}:{relay.port}, {'mTLS' if relay.tls_mode == 'mtls' else 'TLS'}"
    return Named(relay.consumer, relay.display_name or relay.name, url_for("pages.relay", name=relay.name), where)


def of_cluster(provider: Provider, cluster: Cluster) -> Named:
    """One cluster of a provider as a consumer."""
    return Named(
        provider.consumer(cluster.name),
        f"{provider.display_name or provider.name} / {cluster.name}",
        url_for("pages.cluster", name=provider.name, cluster=cluster.name),
        cluster.url,
    )


def named(snapshot: Snapshot, consumer: str) -> Named:
    """A consumer by its name; one that is gone keeps the name and has no page."""
    found = snapshot.consumer(consumer)
    if isinstance(found, Relay):
        return of_relay(found)
    if found is not None:
        return of_cluster(*found)
    return Named(consumer, consumer, "", "")


def users_of(snapshot: Snapshot, certificate: str) -> tuple[Named, ...]:
    """Everyone bound to a certificate, relays first."""
    users = snapshot.used_by(certificate)
    relays = tuple(of_relay(relay) for relay in users.relays)
    return relays + tuple(of_cluster(provider, cluster) for provider, cluster in users.clusters)


def certificate_choices(snapshot: Snapshot, bound: str | None, *, none: str, host: str = "") -> Choices:
    """What a consumer can be bound to, for a select field: the words by value, those that cover `host` first.

    Of more than MAX_CHOICES the first are given, and `""` is left out: the page then asks for the name.
    """
    fitting: dict[str, str] = {}
    others: dict[str, str] = {}
    for view in snapshot.certificates.values():
        if view.deleted or view.facts is None:
            continue
        title = view.display_name or view.name
        known = title if title == view.name else f"{title} ({view.name})"
        group = fitting if host and covers(view.facts.leaf, host) else others
        group[view.name] = f"{known}, bound now" if view.name == bound else known
    if len(fitting) + len(others) > MAX_CHOICES:
        return dict(islice((fitting | others).items(), MAX_CHOICES))
    if fitting and others:
        return {"": none, f"Covers {host}": fitting, "Does not": others}
    return {"": none, **fitting, **others}


def provider_choices(snapshot: Snapshot) -> Choices:
    """The providers a relay can be said to run on."""
    names = {it.name: it.display_name or it.name for it in snapshot.providers.values()}
    return {"": "None", **names}


def feed(changes: Iterable[Change], snapshot: Snapshot, *, limit: int = 20) -> list[FeedLine]:
    """The changes, newest first, as sentences."""
    newest = sorted(changes, key=lambda change: change.sequence, reverse=True)[:limit]
    return [
        FeedLine(
            change.by,
            ACTION_WORDS.get(change.action, change.action),
            _title(change, snapshot),
            _href(change, snapshot),
            change.version if change.kind == "certificate" else None,
            change.at,
        )
        for change in newest
    ]


def _title(change: Change, snapshot: Snapshot) -> str:
    return named(snapshot, change.name).title if change.kind in {"binding", "consumer", "job"} else change.name


def _href(change: Change, snapshot: Snapshot) -> str | None:
    if change.kind in {"certificate", "canary"} and change.name in snapshot.certificates:
        return url_for("pages.certificate", name=change.name)
    if change.kind == "relay" and change.name in snapshot.relays:
        return url_for("pages.relay", name=change.name)
    if change.kind == "provider" and change.name in snapshot.providers:
        return url_for("pages.provider", name=change.name)
    if change.kind in {"binding", "consumer", "job"}:
        return named(snapshot, change.name).href or None
    return None


def changes_of(snapshot: Snapshot, kinds_and_names: Sequence[tuple[str, str]]) -> list[FeedLine]:
    """The changes of some things only, by kind and name."""
    wanted = set(kinds_and_names)
    return feed((change for change in snapshot.changes if (change.kind, change.name) in wanted), snapshot)
