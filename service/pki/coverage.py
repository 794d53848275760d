"""Whether a certificate fits a consumer: host name (RFC 9525), chain, extended key usage, CA for mTLS, validity."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import idna

from service.pki.codes import finding as _finding
from service.pki.codes import shown
from service.pki.facts import ANY_USAGE, BundleFacts, CertificateFacts
from service.pki.finding import Finding, Severity

Purpose = Literal["server", "client"]
MAX_NAMES_SHOWN = 5
MAX_HOSTS = 100
"""A certificate of a public CA has at most 100 names."""
MAX_HOST_CHARACTERS = 253
"""RFC 1035 §2.3.4, as text without the final dot."""
_NAME = re.compile(r"(?:\*\.)?(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
"""Labels of 1 to 63 characters (RFC 1123 §2.1), with the underscore that some resolvers allow."""


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
        return any(_address(one) == address for one in certificate.ip_addresses)
    wanted = a_label(host)
    return any(_matches(name.rstrip("."), wanted) for name in certificate.dns_names)


def a_label(host: str) -> str:
    """A host name as it stands in certificates: lower case, A-labels (RFC 5891), no final dot."""
    plain = host.strip().rstrip(".").lower()
    if plain.isascii() or len(plain) > MAX_HOST_CHARACTERS:
        return plain
    star, name = ("*.", plain[2:]) if plain.startswith("*.") else ("", plain)
    try:
        return star + idna.encode(name, uts46=True).decode("ascii")
    except UnicodeError:  # IDNAError is one
        return plain


def is_host(host: str) -> bool:
    """Whether it is a host name (also with a leading `*.`) or an IP address, and nothing more: no port, no scheme."""
    if len(host) > MAX_HOST_CHARACTERS + 1:
        return False
    name = a_label(host)
    return _address(host) is not None or (len(name) <= MAX_HOST_CHARACTERS and _NAME.fullmatch(name) is not None)


def check_hosts(certificate: CertificateFacts, hosts: Sequence[str]) -> list[Finding]:
    """One finding per host that is not covered, and one when only the common name would."""
    if len(hosts) > MAX_HOSTS:
        message = f"There are {len(hosts)} host names; at most {MAX_HOSTS} are checked at once."
        return [_finding("input.too-many-hosts", message, "Check them in parts.", "hosts")]
    findings: list[Finding] = []
    for position, host in enumerate(hosts, start=1):
        if not is_host(host):
            message = f"Host {position} is neither a host name nor an IP address."
            hint = "Write it without scheme, port and path, for example relay.example.com."
            findings.append(_finding("host.malformed", message, hint, "hosts", position))
            continue
        if covers(certificate, host):
            continue
        findings.append(
            _finding(
                "host.not-covered",
                f"The certificate does not cover {shown(host)}; it covers {_listed(certificate)}.",
                "Use a certificate whose subject alternative names hold exactly the name that clients use.",
                "certificate",
            )
        )
        name = (certificate.common_name or "").lower()
        if len(name) <= MAX_HOST_CHARACTERS and _matches(name, a_label(host)):
            message = f"Only the common name says {shown(host)}; clients look at subject alternative names alone."
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
    message = f"The certificate may not {use}: its extended key usage is {_list(usages)}."
    return _finding(code, message, f"Ask for one with {wanted}.", "certificate")


def _host(leaf: CertificateFacts, hosts: Sequence[str]) -> Tick:
    if not hosts:
        return Tick(ok=True, applies=False)
    findings = check_hosts(leaf, hosts)
    return Tick(ok=not findings, finding=findings[0] if findings else None)


def _chain(facts: BundleFacts) -> Tick:
    if facts.chain_complete:
        return Tick(ok=True)
    message = f"The intermediate {facts.chain[-1].issuer_title} is missing."
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
        message = f"An issuer in the chain expired on {facts.not_after:%Y-%m-%d}."
        hint = "Use the issuer's current one."
        return Tick(ok=False, finding=_finding("chain.expired", message, hint, "certificate"))
    if any(now < one.not_before for one in facts.chain):
        message = "An issuer in the chain is not valid yet."
        return Tick(ok=False, finding=_finding("chain.not-yet-valid", message, "", "certificate"))
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
    return _list((*certificate.dns_names, *certificate.ip_addresses)) or "no host at all"


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - MAX_NAMES_SHOWN} more" if len(names) > MAX_NAMES_SHOWN else ""
    return ", ".join(shown(name) for name in names[:MAX_NAMES_SHOWN]) + more
