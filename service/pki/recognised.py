"""What each pasted block was recognised as, in words: what it is, whose, until when, and what was done with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from cryptography import x509
from cryptography.x509.oid import NameOID

from service.pki.codes import shown
from service.pki.facts import MALFORMED, despite_warnings
from service.pki.finding import Field

if TYPE_CHECKING:
    from service.pki.facts import CertificateFacts
    from service.pki.keys import PrivateKey
    from service.pki.link import Link
    from service.pki.pem import Block
    from service.pki.sorting import Pasted

Outcome = Literal["kept", "moved", "left-out", "unreadable"]
"""`moved`: pasted into one field, kept in another. `left-out`: read, and not needed or not wanted."""


@dataclass(frozen=True, slots=True)
class Recognised:
    """One block of the paste, in the order of the paste.

    Attributes:
        field: where it was pasted.
        position: counted from 1 in that field.
        source: the form it came in: `PEM`, `DER`, `PKCS#7`, `PKCS#12`.
        what: `Server certificate`, `Intermediate CA`, `Root CA`, `Private key`, …; never key material.
        whose: the name it is for, fit to be shown; empty for a key.
        until: when it ends, aware UTC; None for what does not end.
        outcome: what was done with it.
        kept_in: the field where it is kept; None when it was left out or is unreadable.
        place: in the stored chain, 0 for the leaf; None for all else.
    """

    field: Field
    position: int
    source: str
    what: str
    whose: str
    until: datetime | None
    outcome: Outcome
    kept_in: Field | None = None
    place: int | None = None

    def as_json(self) -> dict[str, Any]:
        """The shape of the API (`blocks[]` of `POST /checks`); times as RFC 3339."""
        return {
            "field": self.field,
            "position": self.position,
            "source": self.source,
            "what": self.what,
            "whose": self.whose,
            "until": self.until.isoformat() if self.until else None,
            "outcome": self.outcome,
            "kept_in": self.kept_in,
            "place": self.place,
        }


def describe(
    blocks: Mapping[Field, Sequence[Block]],
    pasted: Pasted,
    key: PrivateKey | None,
    chain: Sequence[Link],
    authorities: Sequence[Link],
) -> tuple[Recognised, ...]:
    """Each block of all fields, in the order of the paste: KEY, CERT, CA."""
    places = {link.facts.fingerprint_sha256: place for place, link in enumerate(chain)}
    kept_authorities = {link.facts.fingerprint_sha256 for link in authorities}
    told: list[Recognised] = []
    for block in (one for found in blocks.values() for one in found):
        link = pasted.origin.get(id(block))
        if link is not None:
            told.append(_certificate(block, link.facts, places, kept_authorities))
        elif block.kind in {"key", "encrypted-key"}:
            told.append(_key(block, key, told))
        else:
            lost = block.kind in {"certificate", "pkcs7", "pkcs12"}
            what = _WHAT.get(block.kind, f"{block.label} block")
            outcome: Outcome = "unreadable" if lost else "left-out"
            told.append(Recognised(block.field, block.position, block.source, what, _request_of(block), None, outcome))
    return tuple(told)


_WHAT = {
    "certificate": "Certificate",
    "csr": "Certificate request",
    "crl": "Revocation list",
    "public-key": "Public key",
    "pkcs7": "PKCS#7 file",
    "pkcs12": "PKCS#12 file",
}


def _certificate(
    block: Block, facts: CertificateFacts, places: dict[str, int], kept_authorities: set[str]
) -> Recognised:
    """A certificate is told once as kept: of its copies the first."""
    place = places.pop(facts.fingerprint_sha256, None)
    in_ca = facts.fingerprint_sha256 in kept_authorities
    if place is not None and not (block.field == "ca" and in_ca and place > 0):
        kept_in: Field | None = "certificate"
    else:
        kept_in = "ca" if in_ca else None
    if kept_in == "ca":
        kept_authorities.discard(facts.fingerprint_sha256)
    outcome: Outcome = "left-out" if kept_in is None else "kept" if kept_in == block.field else "moved"
    return Recognised(
        block.field,
        block.position,
        block.source,
        _role(facts, in_ca=kept_in == "ca"),
        facts.title,
        facts.not_after,
        outcome,
        kept_in,
        place if kept_in == "certificate" else None,
    )


def _role(facts: CertificateFacts, *, in_ca: bool) -> str:
    if facts.is_ca:
        return "CA for clients" if in_ca else "Root CA" if facts.self_signed else "Intermediate CA"
    if facts.self_signed:
        return "Self-signed certificate"
    client = "clientAuth" in facts.extended_key_usages and "serverAuth" not in facts.extended_key_usages
    return "Client certificate" if client else "Server certificate"


def _key(block: Block, key: PrivateKey | None, told: Sequence[Recognised]) -> Recognised:
    """With several keys it is not said which one was kept: nothing of a key is shown."""
    first = not any(one.kept_in == "private_key" for one in told)
    kept = key is not None and first
    what = f"Private key, {key.algorithm} {key.size_bits}" if key and kept else "Private key"
    if not kept and block.kind == "encrypted-key":
        what = "Encrypted private key"
    outcome: Outcome = (
        ("kept" if block.field == "private_key" else "moved") if kept else "left-out" if key else "unreadable"
    )
    kept_in: Field | None = "private_key" if kept else None
    return Recognised(block.field, block.position, block.source, what, "", None, outcome, kept_in)


def _request_of(block: Block) -> str:
    """Whose certificate request it is."""
    if block.kind != "csr":
        return ""
    try:
        request = despite_warnings(x509.load_der_x509_csr, block.der)
        names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except MALFORMED:
        return ""
    return shown(str(names[0].value)) if names else ""
