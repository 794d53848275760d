"""Whether the mTLS relays of a certificate would accept a client. Pure."""

from __future__ import annotations

from datetime import datetime

from service.errors import InUse
from service.index import CertificateView
from service.pki.bundle import accepts_client
from service.pki.codes import finding
from service.pki.finding import Finding
from service.records import refusal


def refusals_of_client(view: CertificateView, client: str, now: datetime) -> tuple[Finding, ...]:
    """Why a client with this certificate (its chain, PEM) would be refused; empty when it would be accepted.

    Raises:
        InUse `certificate.deleted`; Refused `certificate.unreadable`: there is no stored CA to compare with.
    """
    if view.deleted:
        raise InUse(f"{view.name} is deleted. Restore it first.", code="certificate.deleted")
    if view.facts is None:
        message = f"What is stored as {view.name} cannot be read. {view.problem}"
        raise refusal("certificate.unreadable", message, "Rotate it with KEY and CERT both.", field="certificate")
    if not view.facts.ca:
        message = "The certificate has no CA: a relay in mTLS mode would refuse every client."
        return (finding("ca.missing", message, "Add the CA that issues your clients.", "ca"),)
    return accepts_client(client, view.ca, now)
