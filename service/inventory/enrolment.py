"""Credentials of consumers: handed out once, ended at once."""

from __future__ import annotations

from service.errors import Malformed
from service.index.translation import translated
from service.inventory.acting import Acting
from service.inventory.consumers import Consumer, settle
from vault.consumers import MAX_WRAPPED_FOR_S, MIN_WRAPPED_FOR_S, Enrollment
from vault.errors import NotFound


def enroll(acting: Acting, consumer: Consumer, ttl_s: int) -> Enrollment:
    """A wrapped SecretID for one more agent of a consumer.

    Raises:
        Malformed: `enrollment.ttl`.
    """
    if isinstance(ttl_s, bool) or not MIN_WRAPPED_FOR_S <= ttl_s <= MAX_WRAPPED_FOR_S:
        message = f"The time to unwrap must be {MIN_WRAPPED_FOR_S} to {MAX_WRAPPED_FOR_S} seconds."
        raise Malformed(message, code="enrollment.ttl")
    with translated():
        try:
            enrollment = acting.vault.consumers.enroll(consumer.name, ttl_s)
        except NotFound:  # a crash left the relay without its role, and the worker has not been by
            settle(acting.vault, consumer)
            enrollment = acting.vault.consumers.enroll(consumer.name, ttl_s)
    acting.tell("consumer", consumer.name, "enrolled", None)
    return enrollment


def revoke(acting: Acting, consumer: Consumer) -> None:
    """End every credential and token of a consumer. What it is bound to stays as its record says."""
    with translated():
        acting.vault.consumers.revoke(consumer.name)
        settle(acting.vault, consumer)
    acting.tell("consumer", consumer.name, "revoked", None)
