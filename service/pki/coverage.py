"""Whether a certificate fits a consumer: host name (RFC 9525), chain, extended key usage, CA for mTLS, validity."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import idna

from service.pki.codes import SEVERITIES
from service.pki.facts import ANY_USAGE, BundleFacts, CertificateFacts
from service.pki.finding import Field, Finding, Severity

Purpose = Literal["server", "client"]
MAX_NAMES_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Tick:
    """One question about the fit. `applies` is False where it does not arise (CA without mTLS)."""

    ok: bool
    finding: Finding | None = None
    applies: bool = True


@dataclass(frozen=True, slots=True)
class Coverage:
    """How a certificate fits one consumer."""

    host: Tick
    chain: Tick
    purpose: Tick
    ca: Tick
    validity: Tick

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What speaks against it, or is worth knowing."""
        ticks = (self.host, self.purpose, self.ca, self.chain, self.validity)
        return tuple(tick.finding for tick in ticks if tick.finding is not None)

    @property
    def ok(self) -> bool:
        """Whether nothing stops it from working."""
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


def coverage(facts: BundleFacts, *, hosts: Sequence[str], purpose: Purpose, mtls: bool, now: datetime) -> Coverage:
    """How `facts` fit a consumer that clients reach by `hosts` (none for a client certificate)."""
    return Coverage(
        host=_host(facts.leaf, hosts),
        chain=_chain(facts),
        purpose=_purpose(facts.leaf, purpose),
        ca=_ca(facts, mtls, now),
        validity=_validity(facts, now),
    )


def covers(certificate: CertificateFacts, host: str) -> bool:
    """Whether the subject alternative names cover a host name or IP address (RFC 9525 §6.3, §6.4)."""
    address = _address(host)
    if address is not None:
        return any(ipaddress.ip_address(one) == address for one in certificate.ip_addresses)
    wanted = a_label(host)
    return any(_matches(name.rstrip("."), wanted) for name in certificate.dns_names)


def a_label(host: str) -> str:
    """A host name as it stands in certificates: lower case, A-labels (RFC 5891), no final dot."""
    plain = host.strip().rstrip(".").lower()
    try:
        return plain if plain.isascii() else idna.encode(plain, uts46=True).decode("ascii")
    except idna.IDNAError:
        return plain


def check_hosts(certificate: CertificateFacts, hosts: Sequence[str]) -> list[Finding]:
    """One finding per host that is not covered, and one when only the common name would."""
    findings: list[Finding] = []
    for host in hosts:
        if covers(certificate, host):
            continue
        findings.append(
            _finding(
                "host.not-covered",
                f"The certificate does not cover {host}; it covers {_listed(certificate)}.",
                "Use a certificate whose subject alternative names hold exactly the name that clients use.",
                "certificate",
            )
        )
        if certificate.common_name and _matches(certificate.common_name.lower(), a_label(host)):
            message = f"Only the common name says {host}; clients look at subject alternative names alone."
            findings.append(_finding("host.common-name-only", message, "Ask for it in the SAN.", "certificate"))
    return findings


def check_purpose(certificate: CertificateFacts, purpose: Purpose) -> Finding | None:
    """Whether the extended key usage allows the purpose (RFC 5280 §4.2.1.12); absent, it allows every one."""
    usages = certificate.extended_key_usages
    wanted = "serverAuth" if purpose == "server" else "clientAuth"
    if not usages or wanted in usages or ANY_USAGE in usages:
        return None
    code = "purpose.server-auth" if purpose == "server" else "purpose.client-auth"
    use = "serve TLS" if purpose == "server" else "authenticate as a client"
    message = f"The certificate may not {use}: its extended key usage is {', '.join(usages)}."
    return _finding(code, message, f"Ask for one with {wanted}.", "certificate")


def _host(leaf: CertificateFacts, hosts: Sequence[str]) -> Tick:
    if not hosts:
        return Tick(ok=True, applies=False)
    findings = check_hosts(leaf, hosts)
    return Tick(ok=not findings, finding=findings[0] if findings else None)


def _chain(facts: BundleFacts) -> Tick:
    if facts.chain_complete:
        return Tick(ok=True)
    issuer = facts.chain[-1].issuer_common_name or facts.chain[-1].issuer
    message = f"The intermediate {issuer} is missing."
    finding = _finding("chain.incomplete", message, "Paste the full chain into CERT.", "certificate")
    return Tick(ok=False, finding=finding)


def _purpose(leaf: CertificateFacts, purpose: Purpose) -> Tick:
    finding = check_purpose(leaf, purpose)
    return Tick(ok=finding is None, finding=finding)


def _ca(facts: BundleFacts, mtls: bool, now: datetime) -> Tick:
    if not mtls:
        return Tick(ok=True, applies=False)
    if not facts.ca:
        message = "mTLS needs a CA, and the certificate has none: every client would be refused."
        return Tick(ok=False, finding=_finding("ca.missing", message, "Add the CA that issues your clients.", "ca"))
    if all(now > one.not_after for one in facts.ca):
        message = "Every CA in the CA field has expired: every client would be refused."
        return Tick(ok=False, finding=_finding("ca.all-expired", message, "Add the current CA.", "ca"))
    return Tick(ok=True)


def _validity(facts: BundleFacts, now: datetime) -> Tick:
    leaf = facts.leaf
    if now < leaf.not_before:
        message = f"It is not valid before {leaf.not_before:%Y-%m-%d %H:%M} UTC."
        return Tick(ok=False, finding=_finding("certificate.not-yet-valid", message, "", "certificate"))
    if now > leaf.not_after:
        message = f"It expired on {leaf.not_after:%Y-%m-%d}."
        return Tick(ok=False, finding=_finding("certificate.expired", message, "Rotate it.", "certificate"))
    if now > facts.not_after:
        message = f"An intermediate expired on {facts.not_after:%Y-%m-%d}."
        return Tick(
            ok=False, finding=_finding("chain.expired", message, "Use the issuer's current one.", "certificate")
        )
    return Tick(ok=True)


def _matches(pattern: str, host: str) -> bool:
    """RFC 9525 §6.3: equal, or `*` as the whole left-most label for exactly one label."""
    pattern = a_label(pattern) if not pattern.startswith("*.") else pattern.lower()
    if pattern == host:
        return True
    head, dot, rest = pattern.partition(".")
    first, host_dot, host_rest = host.partition(".")
    return head == "*" and bool(dot and host_dot and first) and "." in rest and rest == host_rest


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _listed(certificate: CertificateFacts) -> str:
    names = (*certificate.dns_names, *certificate.ip_addresses)
    if not names:
        return "no host at all"
    more = f" and {len(names) - MAX_NAMES_SHOWN} more" if len(names) > MAX_NAMES_SHOWN else ""
    return ", ".join(names[:MAX_NAMES_SHOWN]) + more


def _finding(code: str, message: str, hint: str, field: Field) -> Finding:
    return Finding(code=code, severity=SEVERITIES[code], message=message, hint=hint, field=field)
