"""How things stand, in one word each: a certificate, a consumer. Pure: reads the records it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from service.index import CertificateState, CertificateView, Snapshot
from service.index.states import state_of
from service.inventory.rollout import Progress, progress_of, rollout_of
from service.records import Provider, Relay

Kind = Literal["ok", "due", "wrong", "unknown"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A state as a page shows it: its kind gives icon and colour, its word says it."""

    kind: Kind
    word: str
    at: datetime | None = None


_WORDS: Final[Mapping[CertificateState, Standing]] = {
    CertificateState.DELETED: Standing("unknown", "deleted"),
    CertificateState.PROBLEM: Standing("wrong", "cannot be read"),
    CertificateState.EXPIRED: Standing("wrong", "expired"),
}


def serving(snapshot: Snapshot, consumer: str, now: datetime) -> Standing:
    """What a consumer serves, beside what it should: the current version of the certificate it is bound to."""
    certificate = snapshot.bound_to(consumer)
    if certificate is None:
        return Standing("unknown", "not bound")
    view = snapshot.certificates.get(certificate)
    if view is None or view.deleted:
        return Standing("wrong", "certificate is gone")
    progress = progress_of(snapshot, view, consumer, now)
    return of_progress(progress, view.version) if progress else Standing("unknown", "not bound")


def of_progress(progress: Progress, version: int) -> Standing:
    """How far a consumer is, in a few words."""
    step = progress.serving or progress.installed
    at = step.at if step else None
    shown = f"version {step.version}" if step else ""
    if progress.state in {"pending", "behind"}:
        if step is not None and step.version != version:
            return Standing("due", f"{shown} of {version}", at)
        if progress.state == "pending":
            return Standing("due", "follows now")
        heard = step is not None or progress.fetched is not None
        return Standing("due", "not serving it", at) if heard else Standing("unknown", "never heard of")
    standings: dict[str, Standing] = {
        "serving": Standing("ok", f"version {version}", at),
        "failed": Standing("wrong", f"failed at version {version}", at),
        "disabled": Standing("unknown", shown or "disabled", at),
        "held": Standing("ok", f"{shown}, held", at) if shown else Standing("unknown", "held"),
        "unseen": Standing("unknown", f"says {shown}, not seen" if shown else "not seen yet", at),
    }
    return standings[progress.state]


def of_certificate(view: CertificateView, snapshot: Snapshot, now: datetime) -> Standing:
    """One word for a certificate: the worst that is true of it."""
    state = state_of(view, now)
    if state in _WORDS:
        return _WORDS[state]
    rollout = rollout_of(snapshot, view, now)
    if any(one.state == "failed" for one in rollout.consumers):
        return Standing("wrong", "failed to install")
    if state is CertificateState.EXPIRING:
        return Standing("due", "expires soon")
    if rollout.state == "canary":
        return Standing("due", "tried on one first")
    if rollout.state == "unused":
        return Standing("unknown", "not used" if not rollout.consumers else "users disabled")
    kind: Kind = "ok" if rollout.state == "in-sync" else "due"
    return Standing(kind, f"in sync {rollout.serving}/{len(rollout.wanted)}")


def of_relay(relay: Relay) -> Standing:
    """Enabled or not."""
    return Standing("ok", "Enabled") if relay.enabled else Standing("unknown", "Disabled")


def of_provider(provider: Provider) -> Standing:
    """Enabled or not."""
    return Standing("ok", "Enabled") if provider.enabled else Standing("unknown", "Disabled")
