"""Putting a chain in order: leaf first, each certificate signed by the next; and whether it holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.pki.climbing import MAX_CHAIN, paths
from service.pki.codes import finding
from service.pki.facts import name_key, same_form
from service.pki.finding import Field, Finding
from service.pki.keys import CURVES, MIN_RSA_BITS
from service.pki.link import Link
from service.pki.path import check_path, rules_of

SOON = timedelta(days=30)
_WEAK_SIGNATURES = ("MD2", "MD4", "MD5", "SHA-1")
"""RFC 9155, RFC 6151; browsers refuse them."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """A chain put in order.

    Attributes:
        chain: leaf first; never empty.
        root: the root that was left out, when there was one.
        findings: what was put right, or does not belong.
    """

    chain: tuple[Link, ...]
    root: Link | None
    findings: tuple[Finding, ...]


def order_chain(links: Sequence[Link], leaf_spki_sha256: str | None, now: datetime | None = None) -> Ordered:
    """The chain leaf first, from the certificates of CERT as pasted.

    1. Each certificate once.
    2. The leaf: the one with the key.
    3. From there up, as far as issuers are there, by a path that is valid if one is.
    4. A root at the end is left out, unless it issued the leaf itself: then nothing else would show what is above.

    Args:
        links: at least one.
        leaf_spki_sha256: the public key that the leaf should carry, when it is known.
        now: of several paths (renewed and cross-signed CAs) one that is valid at this time is taken.
    """
    findings: list[Finding] = []
    unique: list[Link] = []
    seen: set[str] = set()
    for link in links:
        if link.facts.fingerprint_sha256 in seen:
            message = f"{link.title} stands there twice; one was left out."
            findings.append(_finding("chain.duplicate-dropped", message, position=link.position))
        else:
            seen.add(link.facts.fingerprint_sha256)
            unique.append(link)
    leaf = _leaf(unique, leaf_spki_sha256)
    chain = _best(leaf, unique, now)
    rest = [link for link in unique if link not in chain]
    findings += _left_over(chain, rest)
    root: Link | None = None
    if len(chain) > 1 and chain[-1].facts.self_signed:
        title, position = chain[-1].facts.title, chain[-1].position
        if len(chain) == 2:
            message = f"The root {title} stays: it issued the certificate itself. Servers need not send it."
            findings.append(_finding("chain.root-kept", message, position=position))
        else:
            root = chain.pop()
            message = f"The root {title} was left out: clients have it, servers need not send it."
            findings.append(_finding("chain.root-dropped", message, position=position))
    if [link.position for link in chain] != sorted(link.position for link in chain):
        order = " → ".join(link.facts.title for link in chain[:MAX_CHAIN])
        findings.append(_finding("chain.reordered", f"The chain was put in order: {order}."))
    return Ordered(tuple(chain), root, tuple(findings))


def _best(leaf: Link, links: Sequence[Link], now: datetime | None) -> list[Link]:
    """The first path that is valid now; the first of all when none is, or no time is given."""
    first: list[Link] | None = None
    for path in paths(leaf, links):
        if now is None or (all(_is_current(link, now) for link in path) and not _is_broken(path)):
            return path
        first = first or path
    return first or [leaf]


def _is_current(link: Link, now: datetime) -> bool:
    return link.facts.not_before <= now <= link.facts.not_after


def _is_broken(path: Sequence[Link]) -> bool:
    anchor = path[-1] if len(path) > 1 and path[-1].facts.self_signed else None
    return bool(check_path(path[:-1] if anchor else path, anchor))


def check_chain(ordered: Ordered, now: datetime, *, complete: bool) -> list[Finding]:
    """Whether an ordered chain holds: completeness, dates, strength."""
    findings: list[Finding] = []
    chain = ordered.chain
    leaf, last = chain[0].facts, chain[-1].facts
    if len(chain) > MAX_CHAIN:
        message = f"The chain has {len(chain)} certificates; clients stop at {MAX_CHAIN}."
        findings.append(_finding("chain.too-long", message, "Paste the shortest path to the root."))
    if not complete:
        findings.append(
            _finding(
                "chain.incomplete",
                f"The intermediate {last.issuer_title} is missing: many clients will refuse the connection.",
                "Paste the full chain: the server certificate, then its intermediates.",
            )
        )
    if len(chain) == 1 and leaf.self_signed:
        message = "The certificate is self-signed: clients accept it only when they trust exactly this one."
        findings.append(_finding("chain.self-signed", message, position=chain[0].position))
    if leaf.is_ca and not leaf.self_signed:
        message = f"{leaf.title} is a CA certificate, not a server's."
        hint = "Is the server certificate missing?"
        findings.append(_finding("certificate.is-ca", message, hint, position=chain[0].position))
    findings += _dates(ordered, now)
    findings += check_path(chain, ordered.root)
    for place, link in enumerate(chain):
        findings += weaknesses(link, weak_signature="chain.weak-signature" if place else "certificate.weak-signature")
        if place and not rules_of(link.certificate).is_ca and not link.is_version_1_root:
            message = f"{link.title} signed another certificate, and is not allowed to: it is no CA."
            hint = "Ask the issuer for a certificate below a CA."
            findings.append(_finding("chain.not-a-ca", message, hint, position=link.position))
        if place and not same_form(chain[place - 1].certificate, link.certificate):
            message = f"{link.title} is named in another form by what it issued: clients written in Go refuse that."
            hint = "Ask the issuer for a certificate that names it exactly."
            findings.append(_finding("chain.name-form", message, hint, position=link.position))
    return findings


def weaknesses(
    link: Link,
    *,
    weak_key: str = "certificate.weak-key",
    weak_signature: str = "certificate.weak-signature",
    field: Field = "certificate",
) -> list[Finding]:
    """What clients refuse: a weak or unknown key, a signature that can be forged, a serial that is none."""
    findings: list[Finding] = []
    facts = link.facts
    curves = set(CURVES.values())
    weak = {"RSA": facts.key_size_bits < MIN_RSA_BITS, "EC": facts.key_size_bits not in curves, "Ed25519": False}
    if weak.get(facts.key_algorithm, True):
        size = f" {facts.key_size_bits}" if facts.key_size_bits else ""
        message = f"The key in {facts.title} ({facts.key_algorithm}{size}) is too weak or not supported."
        hint = "Use RSA of 2048 bits or more, ECDSA P-256, P-384 or P-521, or Ed25519."
        findings.append(_finding(weak_key, message, hint, position=link.position, field=field))
    if facts.signature_algorithm in _WEAK_SIGNATURES and not facts.self_signed:
        message = f"{facts.title} is signed with {facts.signature_algorithm}, which clients refuse."
        hint = "Ask the issuer for a current one."
        findings.append(_finding(weak_signature, message, hint, position=link.position, field=field))
    if facts.serial.startswith("-"):
        message = f"The serial number of {facts.title} is negative: clients written in Go cannot read it."
        hint = "Ask the issuer for a correct one."
        findings.append(_finding("certificate.serial", message, hint, position=link.position, field=field))
    return findings


def _leaf(links: Sequence[Link], spki_sha256: str | None) -> Link:
    """The one with the expected key; else the first that is no CA; else the first that signed none of the others.

    Of several with the key the one that lasts longest: a renewed certificate may keep it.
    """
    fitting = [link for link in links if link.facts.spki_sha256 == spki_sha256]
    if fitting:
        return max(fitting, key=lambda link: (link.facts.not_after, link.facts.fingerprint_sha256))
    for link in links:
        if not link.facts.is_ca:
            return link
    issuers = {link.facts.issuer for link in links if link.facts.issuer != link.facts.subject}
    return next((link for link in links if link.facts.subject not in issuers), links[0])


def _left_over(chain: Sequence[Link], rest: Sequence[Link]) -> list[Finding]:
    """The same CA in another edition is merely not needed; anything else does not belong."""
    there = {(link.facts.subject, link.facts.spki_sha256) for link in chain[1:]}
    top = chain[-1].facts
    findings: list[Finding] = []
    for link in rest:
        if (link.facts.subject, link.facts.spki_sha256) in there:
            message = f"{link.title} was left out: another certificate of the same CA lasts longer."
            findings.append(_finding("chain.alternative-dropped", message, position=link.position))
        elif name_key(link.facts.subject) == name_key(top.issuer) and not top.self_signed:
            message = f"{link.title} has the name of the issuer of {top.title}, but its key did not sign it."
            hint = "Ask the CA for the issuer of exactly this certificate: an older or newer one of that name."
            findings.append(_finding("chain.signature", message, hint, position=link.position))
        else:
            message = f"{link.title} has no place in the chain of {chain[0].facts.title}, and was left out."
            hint = "Make sure that it was not the one you meant."
            findings.append(_finding("chain.unrelated", message, hint, position=link.position))
    return findings


def _dates(ordered: Ordered, now: datetime) -> list[Finding]:
    findings: list[Finding] = []
    leaf, position = ordered.chain[0].facts, ordered.chain[0].position
    if now > leaf.not_after:
        message = f"The certificate expired on {leaf.not_after:%Y-%m-%d %H:%M} UTC."
        findings.append(_finding("certificate.expired", message, "Paste its successor.", position=position))
    elif now < leaf.not_before:
        message = f"The certificate is not valid before {leaf.not_before:%Y-%m-%d %H:%M} UTC."
        hint = "Wait, or correct the clock."
        findings.append(_finding("certificate.not-yet-valid", message, hint, position=position))
    elif leaf.not_after - now <= SOON:
        message = f"The certificate expires in {(leaf.not_after - now).days} days, on {leaf.not_after:%Y-%m-%d}."
        findings.append(_finding("certificate.expires-soon", message, "Prepare its successor.", position=position))
    for link in ordered.chain[1:]:
        one, position = link.facts, link.position
        if now > one.not_after:
            message = f"The issuer {one.title} expired on {one.not_after:%Y-%m-%d}."
            findings.append(_finding("chain.expired", message, "Use the issuer's current one.", position=position))
        elif now < one.not_before:
            message = f"The issuer {one.title} is not valid before {one.not_before:%Y-%m-%d %H:%M} UTC."
            findings.append(_finding("chain.not-yet-valid", message, "Wait, or correct the clock.", position=position))
        elif one.not_after < leaf.not_after and now <= leaf.not_after:
            message = f"The issuer {one.title} ends on {one.not_after:%Y-%m-%d}, before the certificate does."
            findings.append(_finding("chain.expires-first", message, "Ask for a newer one.", position=position))
    root = ordered.root
    if root is not None and now > root.facts.not_after:
        message = f"The root {root.facts.title} expired on {root.facts.not_after:%Y-%m-%d}."
        hint = "Clients need a newer root of that name, or refuse the chain."
        findings.append(_finding("chain.root-expired", message, hint, position=root.position))
    return findings


def _finding(
    code: str, message: str, hint: str = "", *, field: Field = "certificate", position: int | None = None
) -> Finding:
    return finding(code, message, hint, field, position)
