"""What the use cases answer with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from service.index import CertificateState, CertificateView, Users
from service.inventory.elsewhere import Offer
from service.inventory.impact import Impact
from service.inventory.overlap import Overlap
from service.pki.bundle import Checked
from service.pki.coverage import Coverage
from service.pki.facts import BundleFacts
from service.pki.finding import Finding

VersionState: TypeAlias = Literal["current", "kept", "deleted", "destroyed"]


@dataclass(frozen=True, slots=True)
class CertificateProfile:
    """A certificate with everything known about it but its key.

    Attributes:
        findings: what the checks say about the stored version today (its dates pass, strength ages).
        coverages: by consumer that uses it; empty when its facts cannot be read.
        overlap: authorities of the CA that are kept until a date.
    """

    view: CertificateView
    state: CertificateState
    findings: tuple[Finding, ...]
    users: Users
    coverages: Mapping[str, Coverage]
    overlap: Overlap | None = None


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What a change would be told, before it is made. Holds the pasted key inside `checked`, shown by no repr.

    Attributes:
        offers: intermediates that the chain lacks and the instance holds, from the bottom up.
    """

    checked: Checked
    impact: tuple[Impact, ...]
    offers: tuple[Offer, ...] = ()


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """One version of a certificate.

    Attributes:
        facts: None when the version is gone, or cannot be read.
        changed_by: who wrote it; empty when it is gone, or Keystead did not write it.
        state: `current`, `kept`, `deleted` (can be restored while it is current) or `destroyed`.
    """

    number: int
    facts: BundleFacts | None
    changed_by: str
    created_at: datetime
    state: VersionState
