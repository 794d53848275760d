"""The facts of a certificate, as the API answers with them."""

from __future__ import annotations

import msgspec

from service.pki.facts import BundleFacts, CertificateFacts
from service.web.api.words import Moment


class CertificateFactsShape(msgspec.Struct, frozen=True):
    """One X.509 certificate. Serial, fingerprint and spki are lower-case hex; the fingerprints are SHA-256."""

    subject: str
    common_name: str | None
    issuer: str
    issuer_common_name: str | None
    serial: str
    not_before: Moment
    not_after: Moment
    dns_names: list[str]
    ip_addresses: list[str]
    extended_key_usages: list[str]
    key_algorithm: str
    key_size_bits: int
    signature_algorithm: str
    is_ca: bool
    self_signed: bool
    fingerprint_sha256: str
    spki_sha256: str


class FactsShape(CertificateFactsShape, frozen=True):
    """The leaf's facts, with chain (leaf first) and CA beside them. `ends_at` is the earliest end in the chain."""

    chain: list[CertificateFactsShape]
    ca: list[CertificateFactsShape]
    chain_complete: bool
    ends_at: Moment


def facts(found: BundleFacts | None) -> FactsShape | None:
    """The facts of a bundle, when it can be read."""
    if found is None:
        return None
    chain = [_one(certificate) for certificate in found.chain]
    return FactsShape(
        **msgspec.structs.asdict(chain[0]),
        chain=chain,
        ca=[_one(certificate) for certificate in found.ca],
        chain_complete=found.chain_complete,
        ends_at=found.not_after,
    )


def _one(certificate: CertificateFacts) -> CertificateFactsShape:
    return msgspec.convert(certificate, CertificateFactsShape, from_attributes=True)
