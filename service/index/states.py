"""In which state a certificate is, in one word: what a list shows and filters by."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta
from typing import Final

from service.index.views import CertificateView

EXPIRES_SOON: Final = timedelta(days=30)
"""A third of the 90 days that public issuers hand out today: late enough to be true, early enough to act."""


class CertificateState(enum.StrEnum):
    """The one state of a certificate. When several hold, the first in this order."""

    DELETED = "deleted"
    """Deleted, and can be restored."""
    PROBLEM = "problem"
    """Its stored public half cannot be read: it was written by hand."""
    EXPIRED = "expired"
    """The leaf or an intermediate is past its end."""
    EXPIRING = "expiring"
    """It ends within 30 days."""
    OK = "ok"
    """None of these."""


class Filter(enum.StrEnum):
    """What a list can be narrowed to: a state, or whether somebody uses it."""

    ALL = "all"
    """Everything but the deleted."""
    PROBLEM = "problem"
    EXPIRED = "expired"
    EXPIRING = "expiring"
    OK = "ok"
    IN_USE = "in-use"
    UNUSED = "unused"
    """Not deleted, and bound to no consumer."""
    DELETED = "deleted"


def state_of(view: CertificateView, now: datetime) -> CertificateState:
    """The state of a certificate at `now`."""
    if view.deleted:
        return CertificateState.DELETED
    if view.expires_at is None:
        return CertificateState.PROBLEM
    left = view.expires_at - now
    if left <= timedelta(0):
        return CertificateState.EXPIRED
    return CertificateState.EXPIRING if left <= EXPIRES_SOON else CertificateState.OK
