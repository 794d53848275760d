"""How things stand, in one word each: a certificate, a consumer. Pure: reads the records it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from service.index import CertificateState, CertificateView, Snapshot
from service.index.states import state_of
from service.records import Provider, Relay, Status

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


def serving(view: CertificateView | None, certificate: str | None, status: Status | None) -> Standing:
    """What a consumer serves, beside what it should: the current version of the certificate it is bound to.

    Args:
        view: the bound certificate, when the index has it.
        certificate: the name of the bound certificate.
        status: what the consumer last reported.
    """
    if certificate is None:
        return Standing("unknown", "not bound")
    if view is None or view.deleted:
        return Standing("wrong", "certificate is gone")
    return _reported(view, status) if status else Standing("unknown", "never reported")


def _reported(view: CertificateView, status: Status) -> Standing:
    if status.state == "failed":
        return Standing("wrong", f"failed at version {status.certificate_version}", status.at)
    if status.certificate and status.certificate != view.name:
        return Standing("due", "serves the former one", status.at)
    if status.certificate_version == view.version:
        return Standing("ok", f"version {view.version}", status.at)
    return Standing("due", f"version {status.certificate_version} of {view.version}", status.at)


def in_sync(view: CertificateView, consumers: tuple[str, ...], statuses: Mapping[str, Status]) -> int:
    """How many of the consumers report the current version."""
    return sum(1 for name in consumers if serving(view, view.name, statuses.get(name)).kind == "ok")


def of_certificate(view: CertificateView, snapshot: Snapshot, now: datetime) -> Standing:
    """One word for a certificate: the worst that is true of it."""
    state = state_of(view, now)
    if state in _WORDS:
        return _WORDS[state]
    consumers = snapshot.used_by(view.name).consumers
    if any(_failed(snapshot.statuses.get(name), view) for name in consumers):
        return Standing("wrong", "failed to install")
    if state is CertificateState.EXPIRING:
        return Standing("due", "expires soon")
    if not consumers:
        return Standing("unknown", "not used")
    synced = in_sync(view, consumers, snapshot.statuses)
    return Standing("ok" if synced == len(consumers) else "due", f"in sync {synced}/{len(consumers)}")


def _failed(status: Status | None, view: CertificateView) -> bool:
    return status is not None and status.state == "failed" and status.certificate in {"", view.name}


def of_relay(relay: Relay) -> Standing:
    """Enabled or not."""
    return Standing("ok", "Enabled") if relay.enabled else Standing("unknown", "Disabled")


def of_provider(provider: Provider) -> Standing:
    """Enabled or not."""
    return Standing("ok", "Enabled") if provider.enabled else Standing("unknown", "Disabled")
