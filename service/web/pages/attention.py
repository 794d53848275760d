"""What needs a person, most consequential first, each as a sentence with its consequence and one action."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import url_for

from service.index import CertificateState, CertificateView, Snapshot
from service.index.states import state_of
from service.inventory.rollout import progress_of
from service.records import Relay
from service.web import filters
from service.web.pages import consumers
from service.web.pages.standing import Kind, of_progress

SHOWN: Final = 10
"""Items on the dashboard; the list, sorted by expiry, has the rest."""

_RANK: Final[dict[Kind, int]] = {"wrong": 0, "due": 1, "unknown": 2, "ok": 3}
KIND_WORDS: Final[dict[Kind, str]] = {"wrong": "Wrong", "due": "Due", "unknown": "For information", "ok": "Fine"}


@dataclass(frozen=True, slots=True)
class Item:
    """One thing that needs a person.

    Attributes:
        deadline: earlier ones come first among those of one kind.
    """

    kind: Kind
    title: str
    href: str
    sentence: str
    action: str
    action_href: str
    deadline: datetime

    @property
    def kind_word(self) -> str:
        """The kind in words, for those who do not see the colour."""
        return KIND_WORDS[self.kind]


def needs(snapshot: Snapshot, now: datetime) -> list[Item]:
    """Everything that needs a person, most urgent first."""
    items = [*_certificates(snapshot, now), *_consumers(snapshot, now)]
    return sorted(items, key=lambda item: (_RANK[item.kind], item.deadline, item.title))


def _certificates(snapshot: Snapshot, now: datetime) -> Iterator[Item]:
    for view in snapshot.certificates.values():
        state = state_of(view, now)
        if state is CertificateState.PROBLEM:
            yield Item("wrong", _title(view), _href(view), f"cannot be read: {view.problem}", "Open", _href(view), now)
        elif state in {CertificateState.EXPIRED, CertificateState.EXPIRING} and view.facts is not None:
            yield _expiry(view, view.facts.not_after, snapshot, now)


def _expiry(view: CertificateView, not_after: datetime, snapshot: Snapshot, now: datetime) -> Item:
    users = snapshot.used_by(view.name)
    relays, clusters = len(users.relays), len(users.clusters)
    words = [filters.plural(relays, "relay")] if relays else []
    words += [filters.plural(clusters, "cluster")] if clusters else []
    who, over, title, href = " and ".join(words), not_after <= now, _title(view), _href(view)
    ends = f"expired {filters.relative(not_after, now)}" if over else f"expires {filters.relative(not_after, now)}"
    if not who:
        sentence = f"{ends}; nothing uses it."
        if over:
            return Item("unknown", title, href, sentence, "Delete", _to("certificate_delete", view), not_after)
        return Item("unknown", title, href, sentence, "Rotate", _to("certificate_rotate", view), not_after)
    many = relays + clusters > 1
    dark = f"{'are' if many else 'is'} refused by clients" if over else "would go dark"
    kind: Kind = "wrong" if over else "due"
    return Item(kind, title, href, f"{ends}; {who} {dark}.", "Rotate", _to("certificate_rotate", view), not_after)


def _consumers(snapshot: Snapshot, now: datetime) -> Iterator[Item]:
    for name, found in snapshot.consumers.items():
        certificate = found.certificate if isinstance(found, Relay) else found[1].certificate
        if certificate is None:
            continue
        who = consumers.named(snapshot, name)
        view = snapshot.certificates.get(certificate)
        if view is None or view.deleted:
            sentence = f"is bound to {certificate}, which cannot be read any more."
            yield Item("wrong", who.title, who.href, sentence, "Bind another", who.href, now)
            continue
        progress = progress_of(snapshot, view, name, now)
        if progress is None or progress.state not in {"failed", "behind"}:
            continue
        status = snapshot.statuses.get(name)
        at = status.at if status else progress.begins_at
        if progress.state == "failed":
            sentence = f"could not install version {view.version} of {certificate}: {progress.reason}"
            yield Item("wrong", who.title, who.href, sentence, "Open", who.href, at)
        elif progress.serving or progress.installed or progress.fetched:
            word = of_progress(progress, view.version).word
            yield Item("due", who.title, who.href, f"{word}: {progress.reason}", "Open", who.href, at)


def _title(view: CertificateView) -> str:
    return view.display_name or view.name


def _href(view: CertificateView) -> str:
    return url_for("pages.certificate", name=view.name)


def _to(page: str, view: CertificateView) -> str:
    return url_for(f"pages.{page}", name=view.name)
