"""The CA field: the authorities whose clients an mTLS relay accepts; and whether one client would be accepted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from service.pki.chain import weaknesses
from service.pki.climbing import MAX_CHAIN, MAX_SIGNATURES
from service.pki.codes import finding
from service.pki.coverage import check_purpose
from service.pki.facts import issued_by, name_key
from service.pki.finding import Finding
from service.pki.link import Link
from service.pki.path import check_path


def check_authorities(links: Sequence[Link], now: datetime) -> tuple[list[Link], list[Finding]]:
    """The certificates of the CA field, each once, in their order; and what is wrong with them."""
    findings: list[Finding] = []
    kept: dict[str, Link] = {}
    for link in links:
        if link.facts.fingerprint_sha256 in kept:
            message = f"{_title(link)} stands there twice; one was left out."
            findings.append(finding("ca.duplicate-dropped", message, "", "ca", link.position))
            continue
        kept[link.facts.fingerprint_sha256] = link
        findings += _check(link, now)
    authorities = list(kept.values())
    by_subject = _by_subject(authorities)
    signatures = 0
    for link in authorities:
        if link.facts.self_signed or not link.facts.is_ca:
            continue
        for candidate in by_subject.get(name_key(link.facts.issuer), ()):
            signatures += 1
            if signatures > MAX_SIGNATURES or issued_by(link.certificate, candidate.certificate):
                break
        else:
            message = f"{_title(link)} is no root, and its issuer is not in CA: nginx and others refuse its clients."
            hint = f"Add {link.facts.issuer_title}, unless your relays accept a partial chain."
            findings.append(finding("ca.no-root", message, hint, "ca", link.position))
    return authorities, findings


def check_client(chain: Sequence[Link], authorities: Sequence[Link], now: datetime) -> list[Finding]:
    """Why an mTLS relay with these authorities would refuse a client that sends this chain (leaf first).

    RFC 5280 §6.1 as far as it concerns a client: an anchor, current; its purpose; what is below the anchor: dates, CA,
    strength.
    """
    findings: list[Finding] = []
    anchor, below = _anchor(chain, authorities, now)
    leaf = chain[0].facts
    if anchor is None:
        issuer = chain[-1].facts.issuer_title
        message = f"The client was issued by {issuer}, which is not in the CA field."
        hint = "Add that CA, or give the client a certificate from a CA that is there."
        findings.append(finding("client.not-issued-by-ca", message, hint, "ca"))
    elif not anchor.facts.not_before <= now <= anchor.facts.not_after:
        message = f"The client's CA {anchor.facts.title} is valid {_span(anchor)}."
        findings.append(finding("client.ca-expired", message, "Put the current CA into CA.", "ca", anchor.position))
    if check_purpose(leaf, "client") is not None:
        message = "The client's extended key usage has no clientAuth."
        findings.append(finding("client.purpose", message, "Ask for one with clientAuth.", "certificate"))
    findings += [_of_client(one) for one in check_path(below, anchor)]
    for place, link in enumerate(below):
        facts = link.facts
        if not facts.not_before <= now <= facts.not_after:
            whose = f"issuer {facts.title}" if place else "certificate"
            message = f"The client's {whose} is valid {_span(link)}."
            hint = "Give the client a current one."
            findings.append(finding("client.expired", message, hint, "certificate", link.position))
        if place and not facts.is_ca:
            message = f"The client's issuer {facts.title} is not a CA."
            hint = "Give the client a certificate from a CA."
            findings.append(finding("client.not-a-ca", message, hint, "certificate", link.position))
        findings += weaknesses(link, weak_key="client.weak", weak_signature="client.weak")
    return findings


def _of_client(found: Finding) -> Finding:
    """A fault of the path, in the words of a client's refusal."""
    return finding("client.path", found.message, found.hint, "certificate", found.position)


def _anchor(chain: Sequence[Link], authorities: Sequence[Link], now: datetime) -> tuple[Link | None, Sequence[Link]]:
    """The authority that issued one of the chain, a current one before others; and the part of the chain below it."""
    found: tuple[Link | None, Sequence[Link]] = (None, chain[:MAX_CHAIN])
    by_subject = _by_subject(authorities)
    signatures = 0
    for place, link in enumerate(chain[:MAX_CHAIN]):
        for authority in by_subject.get(name_key(link.facts.issuer), ()):
            signatures += 1
            if signatures > MAX_SIGNATURES or not issued_by(link.certificate, authority.certificate):
                continue
            if authority.facts.not_before <= now <= authority.facts.not_after:
                return authority, chain[: place + 1]
            if found[0] is None:
                found = (authority, chain[: place + 1])
    return found


def _check(link: Link, now: datetime) -> list[Finding]:
    facts, findings = link.facts, []
    if not facts.is_ca and link.is_version_1_root:
        message = f"{_title(link)} is of X.509 version 1, which cannot say that it is a CA: some servers refuse it."
        hint = "Make a new one with basicConstraints CA:TRUE."
        findings.append(finding("ca.version-1", message, hint, "ca", link.position))
    elif not facts.is_ca:
        message = f"{_title(link)} is not a CA: it cannot have issued a client."
        hint = "Paste the certificate of the authority that issues your clients."
        findings.append(finding("ca.not-a-ca", message, hint, "ca", link.position))
    elif now > facts.not_after:
        message = f"{_title(link)} expired on {facts.not_after:%Y-%m-%d}."
        findings.append(finding("ca.expired", message, "Its clients are refused.", "ca", link.position))
    elif now < facts.not_before:
        message = f"{_title(link)} is not valid before {facts.not_before:%Y-%m-%d %H:%M} UTC."
        findings.append(
            finding("ca.not-yet-valid", message, "Until then its clients are refused.", "ca", link.position)
        )
    return findings + weaknesses(link, weak_key="ca.weak-key", weak_signature="ca.weak-signature", field="ca")


def _by_subject(links: Sequence[Link]) -> dict[str, list[Link]]:
    found: dict[str, list[Link]] = {}
    for link in links:
        found.setdefault(name_key(link.facts.subject), []).append(link)
    return found


def _title(link: Link) -> str:
    return f"CA {link.position} ({link.facts.title})"


def _span(link: Link) -> str:
    return f"from {link.facts.not_before:%Y-%m-%d} to {link.facts.not_after:%Y-%m-%d}"
