"""Putting a chain in order: leaf first, each certificate signed by the next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509

from service.pki.codes import SEVERITIES
from service.pki.facts import CertificateFacts, is_complete, issued_by
from service.pki.finding import Field, Finding
from service.pki.keys import CURVES, MIN_RSA_BITS

MAX_CHAIN = 10
"""Public chains have 2 to 4 certificates; TLS stacks stop at 10 (OpenSSL counts 100, mbed TLS 8)."""
SOON = timedelta(days=30)
_WEAK_SIGNATURES = ("MD2", "MD4", "MD5", "SHA-1")
"""RFC 9155, RFC 6151; browsers refuse them."""


@dataclass(frozen=True, slots=True)
class Link:
    """A certificate, its facts, and the block it came from, counted from 1."""

    certificate: x509.Certificate
    facts: CertificateFacts
    position: int


def order_chain(links: Sequence[Link], leaf_spki_sha256: str | None) -> tuple[list[Link], list[Finding]]:
    """The chain leaf first, and what was put right or does not belong.

    Args:
        links: the certificates of CERT as pasted.
        leaf_spki_sha256: the public key that the leaf should carry, when it is known.
    """
    findings: list[Finding] = []
    unique: list[Link] = []
    seen: set[str] = set()
    for link in links:
        if link.facts.fingerprint_sha256 in seen:
            message = f"Certificate {link.position} ({link.facts.title}) stands there twice; one was left out."
            findings.append(_finding("chain.duplicate-dropped", message, position=link.position))
        else:
            seen.add(link.facts.fingerprint_sha256)
            unique.append(link)
    leaf = _leaf(unique, leaf_spki_sha256)
    chain, rest = _climb(leaf, [link for link in unique if link is not leaf])
    findings += [
        _finding(
            "chain.unrelated",
            f"Certificate {link.position} ({link.facts.title}) has no place in the chain of {leaf.facts.title}.",
            "Remove it; CERT holds the server certificate and its intermediates only.",
            position=link.position,
        )
        for link in rest
    ]
    if len(chain) > 1 and chain[-1].facts.self_signed:
        root = chain.pop()
        message = f"The root {root.facts.title} was left out: clients have it, servers need not send it."
        findings.append(_finding("chain.root-dropped", message, position=root.position))
    if [link.position for link in chain] != sorted(link.position for link in chain):
        order = " → ".join(link.facts.title for link in chain)
        findings.append(_finding("chain.reordered", f"The chain was put in order: {order}."))
    return chain, findings


def check_chain(chain: Sequence[CertificateFacts], ca: Sequence[CertificateFacts], now: datetime) -> list[Finding]:
    """Whether an ordered chain holds: completeness, dates, strength."""
    findings: list[Finding] = []
    leaf = chain[0]
    if len(chain) > MAX_CHAIN:
        message = f"The chain has {len(chain)} certificates; clients stop at {MAX_CHAIN}."
        findings.append(_finding("chain.too-long", message))
    if not is_complete(chain, ca):
        findings.append(
            _finding(
                "chain.incomplete",
                f"The intermediate {chain[-1].issuer_common_name or chain[-1].issuer} is missing: "
                "many clients will refuse the connection.",
                "Paste the full chain: the server certificate, then its intermediates.",
            )
        )
    if len(chain) == 1 and leaf.self_signed:
        message = "The certificate is self-signed: clients accept it only when they trust exactly this one."
        findings.append(_finding("chain.self-signed", message))
    if leaf.is_ca and not leaf.self_signed:
        message = f"{leaf.title} is a CA certificate, not a server's."
        findings.append(_finding("certificate.is-ca", message, "Is the server certificate missing?"))
    findings += _dates(chain, now)
    for position, one in enumerate(chain, start=1):
        findings += _strength(one, position)
        if position > 1 and not one.is_ca:
            message = f"{one.title} signed another certificate, and is not allowed to: it is no CA."
            findings.append(_finding("chain.not-a-ca", message, position=position))
    return findings


def _leaf(links: Sequence[Link], spki_sha256: str | None) -> Link:
    """The one with the expected key; else the first that is no CA; else the first that signed none of the others."""
    for link in links:
        if link.facts.spki_sha256 == spki_sha256:
            return link
    for link in links:
        if not link.facts.is_ca:
            return link
    for link in links:
        if not any(other.facts.issuer == link.facts.subject for other in links if other is not link):
            return link
    return links[0]


def _climb(leaf: Link, others: list[Link]) -> tuple[list[Link], list[Link]]:
    """From the leaf up, as far as issuers are there. Each certificate is used once, so it ends."""
    chain, rest = [leaf], list(others)
    while not chain[-1].facts.self_signed:
        below = chain[-1]
        issuer = next(
            (
                link
                for link in rest
                if link.facts.subject == below.facts.issuer and issued_by(below.certificate, link.certificate)
            ),
            None,
        )
        if issuer is None:
            break
        chain.append(issuer)
        rest.remove(issuer)
    return chain, rest


def _dates(chain: Sequence[CertificateFacts], now: datetime) -> list[Finding]:
    findings: list[Finding] = []
    leaf = chain[0]
    if now > leaf.not_after:
        message = f"The certificate expired on {leaf.not_after:%Y-%m-%d %H:%M} UTC."
        findings.append(_finding("certificate.expired", message, "Paste its successor.", position=1))
    elif now < leaf.not_before:
        message = f"The certificate is not valid before {leaf.not_before:%Y-%m-%d %H:%M} UTC."
        findings.append(_finding("certificate.not-yet-valid", message, "Wait, or correct the clock.", position=1))
    elif leaf.not_after - now <= SOON:
        message = f"The certificate expires in {(leaf.not_after - now).days} days, on {leaf.not_after:%Y-%m-%d}."
        findings.append(_finding("certificate.expires-soon", message, "Prepare its successor.", position=1))
    for position, one in enumerate(chain[1:], start=2):
        if now > one.not_after:
            message = f"The intermediate {one.title} expired on {one.not_after:%Y-%m-%d}."
            findings.append(_finding("chain.expired", message, "Use the issuer's current one.", position=position))
        elif one.not_after < leaf.not_after and now <= leaf.not_after:
            message = f"The intermediate {one.title} ends on {one.not_after:%Y-%m-%d}, before the certificate does."
            findings.append(_finding("chain.expires-first", message, "Ask for a newer one.", position=position))
    return findings


def _strength(one: CertificateFacts, position: int) -> list[Finding]:
    findings: list[Finding] = []
    curves = set(CURVES.values())
    weak = {"RSA": one.key_size_bits < MIN_RSA_BITS, "EC": one.key_size_bits not in curves, "Ed25519": False}
    if weak.get(one.key_algorithm, True):
        message = f"The key in {one.title} ({one.key_algorithm} {one.key_size_bits}) is too weak or not supported."
        hint = "Use RSA of 2048 bits or more, ECDSA P-256, P-384 or P-521, or Ed25519."
        findings.append(_finding("certificate.weak-key", message, hint, position=position))
    if one.signature_algorithm in _WEAK_SIGNATURES and not one.self_signed:
        code = "certificate.weak-signature" if position == 1 else "chain.weak-signature"
        message = f"{one.title} is signed with {one.signature_algorithm}, which clients refuse."
        findings.append(_finding(code, message, "Ask the issuer for a current one.", position=position))
    return findings


def _finding(
    code: str, message: str, hint: str = "", *, field: Field = "certificate", position: int | None = None
) -> Finding:
    return Finding(code=code, severity=SEVERITIES[code], message=message, hint=hint, field=field, position=position)
