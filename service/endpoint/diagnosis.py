"""What is wrong with what an endpoint showed. Pure.

The four troubles that the specification names are among them: an incomplete chain, a rejected mTLS client, a program
that could not read its files, a name that the certificate does not cover.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Final

from cryptography import x509

from service.endpoint.handshake import Seen
from service.pki.codes import shown
from service.pki.coverage import covers
from service.pki.facts import (
    MALFORMED,
    BundleFacts,
    CertificateFacts,
    Unreadable,
    certificate_facts,
    despite_warnings,
    load_certificate,
)
from service.pki.finding import Finding, Severity

_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO
SEVERITIES: Final = MappingProxyType(
    {
        "endpoint.name-unknown": _E,
        "endpoint.unreachable": _E,
        "endpoint.no-handshake": _E,
        "endpoint.former-version": _E,
        "endpoint.other-certificate": _E,
        "endpoint.unreadable": _E,
        "endpoint.chain-incomplete": _E,
        "endpoint.not-covered": _E,
        "endpoint.expired": _E,
        "endpoint.client-not-asked": _E,
        "endpoint.client-optional": _E,
        "endpoint.client-asked": _E,
        "endpoint.other-ca": _E,
        "endpoint.client-unclear": _W,
        "endpoint.fine": _I,
    }
)
"""Every finding of this room. `docs/findings.md` has a row for each; a test holds them equal."""
SHOWS_NOTHING: Final = frozenset({"endpoint.name-unknown", "endpoint.unreachable", "endpoint.no-handshake"})
"""Nothing was seen: the endpoint may serve what it should all the same."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an endpoint should show.

    Attributes:
        host: the name that its clients use.
        mtls: whether it should insist on client certificates.
        facts: of the current version; the chain, leaf first.
        versions: of the same certificate, by the fingerprint of the leaf; the current one at least.
        authorities: DER names of the CAs whose clients it should take.
    """

    host: str
    mtls: bool
    certificate: str
    version: int
    facts: BundleFacts
    versions: Mapping[str, int] = field(default_factory=dict)
    authorities: frozenset[bytes] = frozenset()


@lru_cache(maxsize=256)
def subjects(ca_pem: str) -> frozenset[bytes]:
    """The DER names of the authorities in a CA field; `{}` when it is empty or cannot be read."""
    if not ca_pem.strip():
        return frozenset()
    try:
        found = despite_warnings(x509.load_pem_x509_certificates, ca_pem.encode())
        return frozenset(one.subject.public_bytes() for one in found)
    except MALFORMED:
        return frozenset()


def shown_version(seen: Seen, wanted: Wanted) -> int:
    """Which version of the wanted certificate was shown; 0: none of it."""
    if seen.fingerprint_sha256 == wanted.facts.leaf.fingerprint_sha256:
        return wanted.version
    return wanted.versions.get(seen.fingerprint_sha256, 0)


def diagnose(seen: Seen, wanted: Wanted, now: datetime) -> tuple[Finding, ...]:
    """What is wrong, the worst first; one `endpoint.fine` when nothing is."""
    if seen.trouble is not None and not seen.chain:
        return (_of_trouble(seen.trouble.stage, seen.trouble.reason, wanted),)
    found = [*_of_leaf(seen, wanted, now), *_of_clients(seen, wanted)]
    if seen.trouble is not None:
        found.append(_of_trouble(seen.trouble.stage, seen.trouble.reason, wanted))
    if not found:
        found = [_fine(seen, wanted)]
    order = (Severity.ERROR, Severity.WARNING, Severity.INFO)
    return tuple(sorted(found, key=lambda one: order.index(one.severity)))


def _finding(code: str, message: str, hint: str = "") -> Finding:
    return Finding(code=code, severity=SEVERITIES[code], message=message, hint=hint)


def _fine(seen: Seen, wanted: Wanted) -> Finding:
    clients = " and refuses clients without a certificate" if wanted.mtls else ""
    message = f"It shows version {wanted.version} of {wanted.certificate}, with its chain, by {seen.protocol or 'TLS'}"
    return _finding("endpoint.fine", f"{message}{clients}.")


def _of_trouble(stage: str, reason: str, wanted: Wanted) -> Finding:
    host = shown(wanted.host)
    if stage == "resolve":
        return _finding("endpoint.name-unknown", f"{host}: {reason}.", "Correct the relay's host, or the DNS entry.")
    if stage == "connect":
        hint = "Is the relay running, is the port right, and may the worker reach it?"
        return _finding("endpoint.unreachable", f"{host} cannot be reached: {reason}.", hint)
    hint = (
        "Look at its log: with a key or certificate that it cannot read (BEGIN and END lines, extra characters), or a "
        "key that does not match, many programs serve no TLS at all."
    )
    return _finding("endpoint.no-handshake", f"{host} finishes no TLS handshake: {shown(reason)}.", hint)


def _of_leaf(seen: Seen, wanted: Wanted, now: datetime) -> Iterator[Finding]:
    try:
        chain = [certificate_facts(load_certificate(der)) for der in seen.chain]
    except Unreadable:
        yield _finding(
            "endpoint.unreadable", "It shows a certificate that cannot be read.", "Install the bundle again."
        )
        return
    leaf, version = chain[0], shown_version(seen, wanted)
    if version == 0:
        message = (
            f"It shows {leaf.title} of {leaf.issuer_title}, which is no version of {wanted.certificate} known here."
        )
        hint = "Is this the relay's address, and does it use the files that the agent installs?"
        yield _finding("endpoint.other-certificate", message, hint)
    elif version != wanted.version:
        message = f"It shows version {version} of {wanted.certificate}; version {wanted.version} is current."
        yield _finding("endpoint.former-version", message, "Look at its agent: does it run, and what does it report?")
    if not covers(leaf, wanted.host):
        message = f"The certificate that it shows does not cover {shown(wanted.host)}, the name its clients use."
        hint = "Bind a certificate whose SAN holds exactly that name, or correct the relay's host."
        yield _finding("endpoint.not-covered", message, hint)
    if now > leaf.not_after:
        message = f"The certificate that it shows expired on {leaf.not_after:%Y-%m-%d}."
        yield _finding("endpoint.expired", message, "Rotate it.")
    missing = _missing(chain, wanted) if version == wanted.version else ()
    if missing:
        message = f"It shows an incomplete chain: {missing[0].title} is missing. Browsers and strict clients refuse it."
        hint = "Let it serve the whole chain (nginx: the file with leaf and intermediates; not the leaf alone)."
        yield _finding("endpoint.chain-incomplete", message, hint)


def _missing(chain: list[CertificateFacts], wanted: Wanted) -> tuple[CertificateFacts, ...]:
    """The stored intermediates that were not sent. A root need not be (RFC 8446 §4.4.2)."""
    sent = {one.fingerprint_sha256 for one in chain}
    return tuple(one for one in wanted.facts.chain[1:] if not one.self_signed and one.fingerprint_sha256 not in sent)


def _of_clients(seen: Seen, wanted: Wanted) -> Iterator[Finding]:
    if not wanted.mtls:
        if seen.refuses_without:
            message = "It refuses clients without a certificate, although it is registered for plain TLS."
            yield _finding("endpoint.client-asked", message, "Register it as mTLS, or turn client certificates off.")
        return
    if not seen.asks_client:
        message = "It is registered for mTLS, and lets clients in without asking for a certificate."
        yield _finding("endpoint.client-not-asked", message, "Turn client certificates on in its configuration.")
        return
    if seen.refuses_without is None:
        message = "Whether it refuses clients without a certificate could not be seen: it gave no answer."
        yield _finding("endpoint.client-unclear", message)
    elif not seen.refuses_without:
        message = "It asks for a client certificate, and lets clients without one in all the same."
        hint = "Make the certificate required (nginx: ssl_verify_client on; HAProxy: verify required)."
        yield _finding("endpoint.client-optional", message, hint)
    if seen.authorities and wanted.authorities and not wanted.authorities & set(seen.authorities):
        message = f"It takes clients of other authorities than the CA of {wanted.certificate}: yours are rejected."
        hint = "Let it use the ca.pem that the agent installs; check that the CA is the issuer of your clients."
        yield _finding("endpoint.other-ca", message, hint)
