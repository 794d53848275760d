"""A rotation observed to its end: how far each consumer of a certificate is with its current version. Pure.

Told and fetched are what the delivery plane saw, installed is what the consumer says, serving is what the worker saw in
a handshake from outside. A certificate is in sync when every enabled consumer serves its current version.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from service.index import CertificateView, Snapshot
from service.records import Canary, Cluster, Probe, Provider, Relay, Status, Step, cluster_consumer, relay_consumer

GRACE: Final = timedelta(seconds=30)
"""After this time a consumer that does not follow is a straggler, and the rollout is no longer in progress."""

RolloutState: TypeAlias = Literal["in-sync", "in-progress", "behind", "canary", "unused"]
ConsumerState: TypeAlias = Literal["serving", "pending", "behind", "failed", "unseen", "held", "disabled"]
ORDER: Final[tuple[ConsumerState, ...]] = ("failed", "behind", "unseen", "pending", "serving", "held", "disabled")
"""Stragglers first."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far one consumer is. A step may be of an earlier version: what it holds until it follows.

    Attributes:
        begins_at: when the version was written, or when the consumer was bound to it later.
        serving: by a handshake from outside; of a cluster, which serves nothing, what it says that it installed.
        state: `pending` within the grace, then `behind`; `unseen`: nobody could look; `failed`: it says so itself;
            `held`: another one tries the newest version first, and this one stays at the one before.
        reason: why it is not serving, in one sentence; empty when it is, or time is not over.
        hint: what to do; may be empty.
        sessions: open connections, when it tells.
        sessions_before: of those, how many began under an earlier version; None when it does not tell.
    """

    consumer: str
    title: str
    enabled: bool
    begins_at: datetime
    told: Step | None
    fetched: Step | None
    installed: Step | None
    serving: Step | None
    state: ConsumerState
    reason: str = ""
    hint: str = ""
    sessions: int | None = None
    sessions_before: int | None = None

    def after_s(self, step: Step | None, version: int) -> float | None:
        """How long after the beginning a step with that version was taken; None when it was not. Clocks may differ."""
        if step is None or step.version != version:
            return None
        return max(0.0, (step.at - self.begins_at).total_seconds())


@dataclass(frozen=True, slots=True)
class Rollout:
    """How far the consumers of a certificate are, stragglers first."""

    certificate: str
    version: int
    started_at: datetime
    state: RolloutState
    consumers: tuple[Progress, ...]
    canary: Canary | None = None

    @property
    def wanted(self) -> tuple[Progress, ...]:
        """The consumers that count: the enabled ones."""
        return tuple(one for one in self.consumers if one.state != "disabled")

    @property
    def serving(self) -> int:
        """How many serve the current version."""
        return sum(1 for one in self.consumers if one.state == "serving")

    @property
    def stragglers(self) -> tuple[Progress, ...]:
        """Those that are wanted and do not serve it, by name."""
        return tuple(one for one in self.consumers if one.state not in {"serving", "held", "disabled"})

    @property
    def took_s(self) -> float | None:
        """How long the last one took; None while somebody is missing, or nobody is wanted."""
        if self.state != "in-sync":
            return None
        return max(one.after_s(one.serving, self.version) or 0.0 for one in self.wanted)


def rollout_of(snapshot: Snapshot, view: CertificateView, now: datetime) -> Rollout:
    """The rollout of a certificate's current version."""
    users = snapshot.used_by(view.name)
    consumers = [relay_progress(snapshot, view, relay, now) for relay in users.relays]
    consumers += [cluster_progress(snapshot, view, *one, now) for one in users.clusters]
    consumers.sort(key=lambda one: (ORDER.index(one.state), one.consumer))
    states = {one.state for one in consumers} - {"disabled"}
    state: RolloutState = "behind"
    canary = snapshot.canaries.get(view.name)
    if canary is not None and canary.version == view.version:
        state = "canary"
    elif not states:
        state = "unused"
    elif states == {"serving"}:
        state = "in-sync"
    elif states <= {"serving", "pending"}:
        state = "in-progress"
    return Rollout(view.name, view.version, view.updated_at, state, tuple(consumers), canary)


def progress_of(snapshot: Snapshot, view: CertificateView, consumer: str, now: datetime) -> Progress | None:
    """How far one consumer is with a certificate; None when there is no such consumer."""
    found = snapshot.consumer(consumer)
    if found is None:
        return None
    if isinstance(found, Relay):
        return relay_progress(snapshot, view, found, now)
    return cluster_progress(snapshot, view, *found, now)


def relay_progress(snapshot: Snapshot, view: CertificateView, relay: Relay, now: datetime) -> Progress:
    """One relay: what counts is what the worker sees."""
    status, probe = _status(snapshot, relay.consumer, view), snapshot.probes.get(relay.consumer)
    probe = probe if probe and probe.certificate == view.name else None
    begins_at = _begins_at(snapshot, view, relay.consumer)
    held_at = snapshot.held_at(relay.consumer)
    state, reason, hint = _of_relay(view, relay, status, probe, late=now - begins_at > GRACE)
    if held_at is not None:
        state = "held"
    return _progress(
        relay.consumer,
        relay.display_name or relay.name,
        enabled=relay.enabled,
        begins_at=begins_at,
        status=status,
        view=view,
        serving=probe.shown if probe else None,
        state=state if relay.enabled else "disabled",
        reason=reason,
        hint=hint,
    )


def cluster_progress(
    snapshot: Snapshot, view: CertificateView, provider: Provider, cluster: Cluster, now: datetime
) -> Progress:
    """One cluster: it serves nothing, so what counts is what it says that it installed."""
    consumer = cluster_consumer(provider.name, cluster.name)
    status = _status(snapshot, consumer, view)
    begins_at = _begins_at(snapshot, view, consumer)
    installed = status.installed if status and status.installed and status.installed.certificate == view.name else None
    state, reason, hint = _of_reports(view, status, late=now - begins_at > GRACE)
    if installed is not None and installed.version == view.version:
        state, reason, hint = "serving", "", ""
    if snapshot.held_at(consumer) is not None:
        state = "held"
    return _progress(
        consumer,
        f"{provider.display_name or provider.name} / {cluster.name}",
        enabled=provider.enabled,
        begins_at=begins_at,
        status=status,
        view=view,
        serving=installed,
        state=state if provider.enabled else "disabled",
        reason=reason,
        hint=hint,
    )


def _of_relay(
    view: CertificateView, relay: Relay, status: Status | None, probe: Probe | None, *, late: bool
) -> tuple[ConsumerState, str, str]:
    if probe is not None and probe.certificate_version == view.version and not probe.code:
        return "serving", "", ""
    state, reason, hint = _of_reports(view, status, late=late)
    if state == "failed" or not late:
        return state, reason, hint
    if probe is None:
        hint = "Is the worker running? It looks at each enabled relay."
        return "unseen", f"Nobody has looked at {relay.host}:{relay.port} yet.", hint
    if probe.fingerprint_sha256:
        return "behind", probe.detail or reason, hint
    claims = status is not None and status.installed is not None and status.installed.version == view.version
    said = f" It says itself that it has version {view.version}." if claims else ""
    return ("unseen" if claims else "behind"), probe.detail + said, hint


def _of_reports(view: CertificateView, status: Status | None, *, late: bool) -> tuple[ConsumerState, str, str]:
    """As far as its own reports go."""
    if status is not None and status.state == "failed" and status.certificate_version == view.version:
        hint = "Mend what it names; it tries again with the next version, or when it is started again."
        return "failed", status.detail or "It reports that it failed, and not why.", hint
    if not late:
        return "pending", "", ""
    if status is None:
        hint = "Is it enrolled, and does its agent run?"
        return "behind", "It has not been heard of since it is bound to this certificate.", hint
    if status.fetched is not None and status.fetched.version == view.version:
        return "behind", "It fetched the version, and reports nothing of it since.", "Look at its agent's log."
    return "behind", "It has not fetched the version.", "Does its agent run, and does it reach the delivery plane?"


def _progress(
    consumer: str,
    title: str,
    *,
    enabled: bool,
    begins_at: datetime,
    status: Status | None,
    view: CertificateView,
    serving: Step | None,
    state: ConsumerState,
    reason: str,
    hint: str,
) -> Progress:
    counts = status.sessions_by_version if status else {}
    return Progress(
        consumer=consumer,
        title=title,
        enabled=enabled,
        begins_at=begins_at,
        told=_of_certificate(status.told if status else None, view),
        fetched=_of_certificate(status.fetched if status else None, view),
        installed=_of_certificate(status.installed if status else None, view),
        serving=serving,
        state=state,
        reason=reason if state not in {"serving", "held", "disabled"} else "",
        hint=hint if state not in {"serving", "held", "disabled"} else "",
        sessions=status.sessions if status else None,
        sessions_before=sum(count for version, count in counts.items() if version != view.version) if counts else None,
    )


def _status(snapshot: Snapshot, consumer: str, view: CertificateView) -> Status | None:
    """What it said of this certificate; None when it spoke of another one."""
    status = snapshot.statuses.get(consumer)
    if status is None:
        return None
    fetched = status.fetched.certificate if status.fetched else ""
    return status if view.name in {status.certificate, fetched} or not status.certificate else None


def _of_certificate(step: Step | None, view: CertificateView) -> Step | None:
    return step if step is not None and step.certificate in {"", view.name} else None


def _begins_at(snapshot: Snapshot, view: CertificateView, consumer: str) -> datetime:
    """When the version was written, or the consumer was bound to it, if the journal still knows that it was later."""
    bound_at = snapshot.remembered("bound-at", _bindings_made).get(consumer)
    return max(view.updated_at, bound_at) if bound_at else view.updated_at


def _bindings_made(snapshot: Snapshot) -> dict[str, datetime]:
    """When each consumer was last bound, as far as the journal goes back. A new relay may have been bound at once."""
    found: dict[str, datetime] = {}
    for one in snapshot.changes:
        if (one.kind, one.action) == ("binding", "bound"):
            found[one.name] = one.at
        elif (one.kind, one.action) == ("relay", "created"):
            found[relay_consumer(one.name)] = one.at
    return found
