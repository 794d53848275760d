"""How a certificate was issued: broken keys, public limits of validity, purposes that public issuers give up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding

from service.pki.codes import finding
from service.pki.facts import ANY_USAGE, MALFORMED, despite_warnings, load_certificate
from service.pki.finding import Field, Finding
from service.pki.link import Link
from service.pki.weak_keys import Weakness, weakness

_PUBLIC_POLICIES: Final = frozenset(f"2.23.140.1.2.{number}" for number in (1, 2, 3)) | {"2.23.140.1.1"}
"""CA/Browser Forum: domain, organisation, individual, extended validation (BR §7.1.6.1, EV §9.3.2)."""
PUBLIC_LIMITS: Final = (
    (date(2029, 3, 15), 47),
    (date(2027, 3, 15), 100),
    (date(2026, 3, 15), 200),
    (date(2020, 9, 1), 398),
    (date(2018, 3, 1), 825),
    (date(2015, 4, 1), 39 * 31),
)
"""Issued from that day on: at most so many days (BR §6.3.2; ballots SC-081v3, SC-031, 193; Apple's limit of 2020)."""
CLIENT_AUTH_ENDS: Final = date(2026, 6, 15)
"""Chrome Root Program Policy 1.6: from then on public CAs issue for serverAuth alone."""
_WORDS: Final[dict[Weakness, tuple[str, str]]] = {
    "roca": ("key.roca", "was made by a chip whose keys can be broken (ROCA, CVE-2017-15361)"),
    "close-primes": ("key.close-primes", "can be factored at once: its primes lie close together (CVE-2022-26320)"),
    "small-factor": ("key.small-factor", "can be factored at once: a small prime divides it"),
    "exponent": ("key.exponent", "has an exponent that is no RSA exponent"),
}


def check_issuance(
    chain: Sequence[Link], authorities: Sequence[Link], now: datetime, *, for_client: bool
) -> list[Finding]:
    """Findings about an ordered chain (leaf first) and the CA field. Revocation is not asked: nothing is fetched.

    Args:
        for_client: whether a client shows the leaf, perhaps beside a server.
    """
    findings: list[Finding] = []
    for link in chain:
        findings += _broken(link, "certificate")
    for link in authorities:
        findings += _broken(link, "ca")
    leaf = chain[0]
    public = is_public(leaf.certificate)
    if public:
        findings += _public(leaf, for_client=for_client)
    issuers = {link.facts.spki_sha256 for link in chain[1:]} if public else set()
    for link in authorities:
        title, position = link.facts.title, link.position
        usages = link.facts.extended_key_usages
        if link.facts.spki_sha256 in issuers:
            message = f"CA {position} ({title}) issues the public certificates of strangers: each would be accepted."
            hint = "Use a CA of your own for clients."
            findings.append(finding("ca.public", message, hint, "ca", position))
        if link.facts.is_ca and usages and "clientAuth" not in usages and ANY_USAGE not in usages:
            message = f"CA {position} ({title}) may not issue client certificates: its extended key usage says so."
            hint = "Paste the CA that issues your clients."
            findings.append(finding("ca.irrelevant", message, hint, "ca", position))
        if now < link.facts.not_after < leaf.facts.not_after:
            message = (
                f"CA {position} ({title}) ends on {link.facts.not_after:%Y-%m-%d}, before the certificate does: "
                "its clients are refused from then on."
            )
            findings.append(finding("ca.expires-first", message, "Plan its successor.", "ca", position))
    return findings


def is_public(certificate: x509.Certificate) -> bool:
    """Whether a public CA issued it, by its own word: one of the CA/Browser Forum's policies."""
    return _is_public(certificate.public_bytes(Encoding.DER))


@lru_cache(maxsize=512)
def _is_public(der: bytes) -> bool:
    try:
        policies = despite_warnings(_policies, load_certificate(der))
    except (x509.ExtensionNotFound, *MALFORMED):
        return False
    return any(policy.policy_identifier.dotted_string in _PUBLIC_POLICIES for policy in policies)


def _policies(certificate: x509.Certificate) -> x509.CertificatePolicies:
    return certificate.extensions.get_extension_for_class(x509.CertificatePolicies).value


def _broken(link: Link, field: Field) -> list[Finding]:
    if link.facts.key_algorithm != "RSA":
        return []
    key = link.certificate.public_key()
    if not isinstance(key, RSAPublicKey):
        return []
    numbers = key.public_numbers()
    found = weakness(numbers.n, numbers.e)
    if found is None:
        return []
    code, words = _WORDS[found]
    message = f"The key of {link.facts.title} {words}."
    return [finding(code, message, "Make a new key, and a certificate for it.", field, link.position)]


def _public(leaf: Link, *, for_client: bool) -> list[Finding]:
    facts, position = leaf.facts, leaf.position
    findings: list[Finding] = []
    limit = next((days for since, days in PUBLIC_LIMITS if facts.not_before.astimezone(UTC).date() >= since), None)
    lasts = facts.not_after - facts.not_before
    if limit is not None and lasts > timedelta(days=limit):
        message = (
            f"The certificate lasts {lasts.days} days; public ones issued on {facts.not_before:%Y-%m-%d} "
            f"may last {limit}: browsers refuse it."
        )
        hint = "Ask for one that lasts no longer."
        findings.append(finding("certificate.too-long", message, hint, "certificate", position))
    if for_client and "clientAuth" in facts.extended_key_usages:
        message = f"Public CAs issue no clientAuth from {CLIENT_AUTH_ENDS:%Y-%m-%d} on: the successor will not have it."
        hint = "Move clients to a CA of your own before this one ends."
        findings.append(finding("purpose.client-auth-ending", message, hint, "certificate", position))
    return findings
