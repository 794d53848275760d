"""What the instance already holds of what was pasted: its key or certificate elsewhere, the issuer that is missing.

Pure, over the index in memory. The tables are made once per snapshot, however many checks are made against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from service.index import CertificateView, Snapshot
from service.pki.bundle import Checked
from service.pki.climbing import MAX_CHAIN
from service.pki.codes import finding
from service.pki.facts import CertificateFacts, issued_by
from service.pki.finding import Finding
from service.pki.weak_keys import shared_prime

MAX_NAMES_SHOWN = 5
_MODULI_IN_PRODUCT = 64
"""Moduli multiplied together: one division and one greatest common divisor asks them all."""


@dataclass(frozen=True, slots=True)
class Offer:
    """An intermediate that the chain lacks and that the instance holds.

    Attributes:
        title: what a person calls it.
        held_by: the name of the certificate that has it in its chain or its CA field.
        certificate: PEM.
    """

    title: str
    held_by: str
    certificate: str

    def as_json(self) -> dict[str, str]:
        """The shape of the API (`offers[]` of `POST /checks`)."""
        return {"title": self.title, "held_by": self.held_by, "certificate": self.certificate}


@dataclass(slots=True)
class _Tables:
    """Names of certificates by what their leaf says, and who holds which CA."""

    by_key: dict[str, list[str]] = field(default_factory=dict)
    by_fingerprint: dict[str, list[str]] = field(default_factory=dict)
    by_serial: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    authorities: dict[str, list[tuple[CertificateFacts, str]]] = field(default_factory=dict)


def seen_elsewhere(snapshot: Snapshot, checked: Checked, name: str | None) -> tuple[Finding, ...]:
    """Findings about the leaf that was pasted, against every other certificate of the instance.

    Args:
        name: the certificate that is rotated; None for a new one.
    """
    if checked.facts is None:
        return ()
    leaf = checked.facts.leaf
    tables = _tables(_Held(snapshot))
    findings: list[Finding] = []
    same = _others(tables.by_fingerprint.get(leaf.fingerprint_sha256, []), name)
    sharing = _others(tables.by_key.get(leaf.spki_sha256, []), name)
    twins = _others(tables.by_serial.get((leaf.issuer, leaf.serial), []), name)
    if same:
        message = f"This very certificate is stored as {_listed(same)} already."
        hint = "Bind its consumers there; one name means one rotation."
        findings.append(finding("certificate.elsewhere", message, hint, "certificate"))
    elif sharing:
        message = f"The key is used by {_listed(sharing)} too: whoever gets one of them has all."
        findings.append(finding("key.reused", message, "Make a key of its own for each.", "private_key"))
    if twins and not same:
        message = f"{_listed(twins)} has the same issuer and serial number, and is another certificate."
        hint = "Ask the issuer: revoking one would revoke both."
        findings.append(finding("certificate.serial-reused", message, hint, "certificate"))
    findings += _shared_primes(snapshot, checked, name)
    return tuple(findings)


def offers(snapshot: Snapshot, checked: Checked) -> tuple[Offer, ...]:
    """The intermediates that the chain lacks, from the bottom up, as far as the instance holds them."""
    if checked.facts is None or checked.facts.chain_complete:
        return ()
    found: list[Offer] = []
    authorities = _tables(_Held(snapshot)).authorities
    below, facts = _certificates(checked.certificate)[-1], checked.facts.chain[-1]
    while not facts.self_signed and len(found) < MAX_CHAIN:
        for candidate, holder in authorities.get(facts.issuer, ()):
            issuer = None if candidate.self_signed else _held_certificate(snapshot.certificates[holder], candidate)
            if issuer is not None and issued_by(below, issuer):
                found.append(Offer(candidate.title, holder, issuer.public_bytes(Encoding.PEM).decode("ascii")))
                below, facts = issuer, candidate
                break
        else:
            break
    return tuple(found)


def _held_certificate(view: CertificateView, facts: CertificateFacts) -> x509.Certificate | None:
    """A certificate that a view holds in its chain or its CA field."""
    for certificate in _certificates(view.certificate + view.ca):
        if certificate.fingerprint(hashes.SHA256()).hex() == facts.fingerprint_sha256:
            return certificate
    return None


def offered(found: tuple[Offer, ...]) -> tuple[Finding, ...]:
    """The same as findings."""
    return tuple(
        finding(
            "chain.held-elsewhere",
            f"The missing intermediate {one.title} is stored with {one.held_by}.",
            "Add it to CERT.",
            "certificate",
        )
        for one in found
    )


def reused_from(versions: Sequence[tuple[int, CertificateFacts]], leaf: CertificateFacts) -> tuple[Finding, ...]:
    """Whether the key that was pasted is one of earlier versions, with another certificate.

    Args:
        versions: of the certificate that is rotated: number and leaf, newest first.
        leaf: what was pasted with a key.
    """
    same = [(number, it) for number, it in versions if it.spki_sha256 == leaf.spki_sha256]
    if not same or any(it.fingerprint_sha256 == leaf.fingerprint_sha256 for _, it in same):
        return ()  # the same material again: nothing changes, or somebody goes back on purpose
    message = f"The key is the one of version {same[0][0]}: whoever has a copy from then can use it on."
    return (finding("key.reused", message, "Make a new key with each certificate.", "private_key"),)


class _Held:
    """A snapshot as a key of the cache: the same object is the same content."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def __hash__(self) -> int:
        return id(self.snapshot)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.snapshot is other.snapshot


@lru_cache(maxsize=2)
def _tables(held: _Held) -> _Tables:
    tables = _Tables()
    for view in held.snapshot.certificates.values():
        if view.facts is None:
            continue
        leaf = view.facts.leaf
        tables.by_key.setdefault(leaf.spki_sha256, []).append(view.name)
        tables.by_fingerprint.setdefault(leaf.fingerprint_sha256, []).append(view.name)
        tables.by_serial.setdefault((leaf.issuer, leaf.serial), []).append(view.name)
        for one in (*view.facts.chain[1:], *view.facts.ca):
            known = tables.authorities.setdefault(one.subject, [])
            if one.is_ca and all(one.fingerprint_sha256 != it.fingerprint_sha256 for it, _ in known):
                known.append((one, view.name))
    return tables


@lru_cache(maxsize=2)
def _products(held: _Held) -> tuple[tuple[int, tuple[tuple[int, str], ...]], ...]:
    """The RSA moduli of the instance, in groups with their product."""
    moduli = [
        (key.public_numbers().n, view.name)
        for view in held.snapshot.certificates.values()
        if view.facts is not None and view.facts.leaf.key_algorithm == "RSA"
        if isinstance(key := _key(view.certificate), RSAPublicKey)
    ]
    groups = [tuple(moduli[at : at + _MODULI_IN_PRODUCT]) for at in range(0, len(moduli), _MODULI_IN_PRODUCT)]
    return tuple((prod(modulus for modulus, _ in group), group) for group in groups)


def _shared_primes(snapshot: Snapshot, checked: Checked, name: str | None) -> Iterator[Finding]:
    """Two RSA keys with a prime in common are both broken (Heninger et al. 2012). Equal keys are no such two."""
    key = _key(checked.certificate)
    if not isinstance(key, RSAPublicKey):
        return
    modulus = key.public_numbers().n
    for product, group in _products(_Held(snapshot)):
        if product % modulus and not shared_prime(modulus, product):
            continue
        for other, holder in group:
            if other != modulus and holder != name and shared_prime(modulus, other):
                message = f"The key has a prime in common with the key of {holder}: both can be computed by anybody."
                hint = "Make new keys for both, at a machine with good randomness."
                yield finding("key.shared-prime", message, hint, "private_key")


def _key(certificate_pem: str) -> object:
    """The public key of the first certificate."""
    found = _certificates(certificate_pem)
    return found[0].public_key() if found else None


def _certificates(pem: str) -> list[x509.Certificate]:
    """What is stored was checked before; what somebody else put into Vault may be anything."""
    try:
        return x509.load_pem_x509_certificates(pem.encode()) if pem.strip() else []
    except ValueError:
        return []


def _others(names: list[str], name: str | None) -> list[str]:
    return [one for one in names if one != name]


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - MAX_NAMES_SHOWN} more" if len(names) > MAX_NAMES_SHOWN else ""
    return ", ".join(names[:MAX_NAMES_SHOWN]) + more
