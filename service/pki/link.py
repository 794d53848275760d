"""A certificate on its way into a chain."""

from __future__ import annotations

from dataclasses import dataclass

from cryptography import x509

from service.pki.facts import CertificateFacts


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate, its facts, and the block it came from, counted from 1."""

    certificate: x509.Certificate
    facts: CertificateFacts
    position: int

    @property
    def title(self) -> str:
        """What to call it in a message."""
        return f"Certificate {self.position} ({self.facts.title})"

    @property
    def is_version_1_root(self) -> bool:
        """Whether it is a root from before there were extensions to say so (RFC 5280 §6.1.4 (k))."""
        return self.facts.self_signed and self.certificate.version is x509.Version.v1
