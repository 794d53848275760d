"""Trying a rotation on one relay first: who may be the canary, and the marker that holds the others back.

The marker is written, and has reached every delivery plane, before the version is. The worker ends it: when the relay
is seen serving the version, or when its time is over (docs/adr/0006).
"""

from __future__ import annotations

import secrets
import time
from datetime import timedelta
from typing import Final

from service.errors import InUse, Refused
from service.index import CertificateView, Snapshot
from service.index.translation import translated
from service.inventory.acting import Acting
from service.records import Canary, Job, Relay, canary_path, job_path
from vault.errors import Conflict

GIVEN: Final = timedelta(seconds=60)
"""For the relay to be seen serving it."""
HEARD_AFTER_S: Final = 0.5
"""Every delivery plane looks at the journal four times a second."""


def refuse_while_tried(snapshot: Snapshot, name: str) -> None:
    """Refuse another rotation while one is being tried.

    Raises:
        InUse: `canary.in-progress`.
    """
    canary = snapshot.canaries.get(name)
    if canary is not None:
        detail = f"Version {canary.version} of {name} is being tried on {canary.consumer}. Wait until that has ended."
        raise InUse(detail, code="canary.in-progress", conflicts=(canary.consumer,))


def begin(acting: Acting, view: CertificateView, name_of_relay: str) -> Canary:
    """Hold everybody but one relay at the present version.

    Raises:
        Refused: `canary.unfit`: there is no such relay, it is disabled, or not bound to this certificate.
        InUse: `canary.in-progress`.
    """
    relay = _relay(acting.index.snapshot(), name_of_relay)
    if relay is None or not relay.enabled or relay.certificate != view.name:
        detail = f"{name_of_relay} is not an enabled relay that is bound to {view.name}: choose one that is."
        raise Refused(detail, code="canary.unfit")
    now = acting.now()
    job = Job(secrets.token_hex(16), "canary", view.name, acting.who, now, state="running")
    canary = Canary(view.name, relay.consumer, view.version, view.version + 1, now + GIVEN, acting.who, job.id)
    taken = False
    with translated():
        acting.vault.documents.write(job_path(job.id), job.to_data(), expect_version=0)
        try:
            acting.vault.documents.write(canary_path(view.name), canary.to_data(), expect_version=0)
        except Conflict:
            taken = True
    if taken:
        refuse_while_tried(acting.index.refresh((canary_path(view.name),)), view.name)
        raise InUse(f"{view.name} is being tried on somebody.", code="canary.in-progress")
    acting.tell("canary", view.name, "began", canary.version, canary_path(view.name))
    time.sleep(HEARD_AFTER_S)
    return canary


def call_off(acting: Acting, canary: Canary) -> None:
    """End it at once: the version was not written."""
    with translated():
        acting.vault.documents.destroy(canary_path(canary.certificate))
    acting.tell("canary", canary.certificate, "called off", None, canary_path(canary.certificate))


def _relay(snapshot: Snapshot, name: str) -> Relay | None:
    """A relay by its name, or by that of its consumer."""
    return snapshot.relays.get(name) or snapshot.relays.get(name.removeprefix("relay-"))
