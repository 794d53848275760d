"""Putting what was pasted where it belongs, whatever field it stood in: keys to KEY, chains to CERT; and saying so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from service.pki.climbing import climb
from service.pki.codes import finding as _finding
from service.pki.facts import Unreadable, certificate_facts, issued_by, load_certificate
from service.pki.finding import Field, Finding
from service.pki.keys import PrivateKey, read_private_key
from service.pki.link import Link
from service.pki.pem import NAMES, Block

MAX_OPENED_KEYS = 4
"""Opening an encrypted key may take a second."""


@dataclass(slots=True)
class Pasted:
    """The blocks of all fields, sorted.

    Attributes:
        keys: private keys of any field.
        chain, authorities: the certificates for CERT and for CA, with the blocks they came from by fingerprint.
    """

    keys: list[Block] = field(default_factory=list)
    chain: list[Link] = field(default_factory=list)
    authorities: list[Link] = field(default_factory=list)
    origin: dict[int, Link] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)


def sort_blocks(blocks: Mapping[Field, Sequence[Block]]) -> Pasted:
    """Sort by what each block is. What a person pasted by mistake is named."""
    sorted_ = Pasted()
    certificates = 0
    for name, found in blocks.items():
        for block in found:
            if block.kind in {"key", "encrypted-key"}:
                sorted_.keys.append(block)
                if name != "private_key":
                    message = f"{block.where} is a private key. It was moved to KEY."
                    sorted_.findings.append(_finding("key.in-other-field", message, "", name, block.position))
            elif block.kind == "certificate":
                certificates += 1
                link = _link(block, sorted_.findings)
                if link is None:
                    continue
                (sorted_.authorities if name == "ca" else sorted_.chain).append(link)
                sorted_.origin[id(block)] = link
                if name == "private_key" and block.source != "PKCS#12":
                    message = f"{block.where} is a certificate. It was moved to CERT."
                    sorted_.findings.append(_finding("certificate.in-key-field", message, "", name, block.position))
    there = {"keys": len(sorted_.keys), "certificates": certificates}
    for found in blocks.values():
        sorted_.findings += [said for block in found if (said := _mistaken(block, **there)) is not None]
    if len({one.position for one in sorted_.chain}) != len(sorted_.chain):
        _number(sorted_)
    return sorted_


def choose_key(pasted: Pasted, passphrase: str | None) -> PrivateKey | None:
    """The one private key. Of several (a PKCS#12 file may hold many) the one that a certificate belongs to."""
    blocks = list({block.der: block for block in pasted.keys}.values())
    if not blocks:
        return None
    if len(blocks) > MAX_OPENED_KEYS:
        pasted.findings.append(_several(len(blocks)))
        return None
    read = [read_private_key(block, passphrase) for block in blocks]
    keys = [one for one in read if isinstance(one, PrivateKey)]
    if len(blocks) > 1:
        owned = {link.facts.spki_sha256 for link in (*pasted.chain, *pasted.authorities) if not link.facts.is_ca}
        fitting = [one for one in keys if one.spki_sha256 in owned]
        if len(fitting) != 1:
            pasted.findings.append(_several(len(blocks)))
            return None
        others = len(blocks) - 1
        message = f"{others} private key{'s' if others > 1 else ''} that no certificate here belongs to was left out."
        pasted.findings.append(_finding("key.others-left-out", message, "", "private_key"))
        return fitting[0]
    if isinstance(read[0], Finding):
        pasted.findings.append(read[0])
        return None
    if passphrase and blocks[0].kind == "key" and blocks[0].source != "PKCS#12":
        message = "The key is not encrypted; the passphrase was not needed."
        pasted.findings.append(_finding("key.passphrase-unused", message, "", "passphrase"))
    return read[0]


def swap_back(pasted: Pasted, spki_sha256: str | None) -> None:
    """The certificate of the key may stand in CA, and the CA in CERT: put both right."""
    if spki_sha256 is not None and any(link.facts.spki_sha256 == spki_sha256 for link in pasted.chain):
        return
    if spki_sha256 is not None:
        leaves = [link for link in pasted.authorities if link.facts.spki_sha256 == spki_sha256]
    else:
        leaves = [] if pasted.chain else [link for link in pasted.authorities if not link.facts.is_ca]
    if not leaves or (leaves[0].facts.is_ca and pasted.chain):
        return
    message = f"The certificate of {leaves[0].facts.title} stood in CA. It was moved to CERT."
    pasted.findings.append(_finding("certificate.in-ca-field", message, "", "ca", leaves[0].position))
    upwards, _ = climb(leaves[0], pasted.authorities)
    moved = [*leaves, *(link for link in upwards if link not in leaves and not link.facts.self_signed)]
    rest = [link for link in pasted.authorities if link not in moved]
    roots = [link for link in pasted.chain if link.facts.self_signed and link.facts.is_ca]
    if roots and not rest:
        message = f"The CA {roots[0].facts.title} stood in CERT. It was moved to CA."
        pasted.findings.append(_finding("ca.in-certificate-field", message, "", "certificate", roots[0].position))
        rest, pasted.chain = roots, [link for link in pasted.chain if link not in roots]
    pasted.chain, pasted.authorities = [*moved, *pasted.chain], rest
    _number(pasted)


def complete_from_authorities(pasted: Pasted, top: Link) -> bool:
    """Whether the issuer that the chain lacks stood in CA, as an intermediate, and was added to the chain."""
    added: list[Link] = []
    below = top
    while not below.facts.self_signed and len(added) < len(pasted.authorities):
        for link in pasted.authorities:
            if (
                link not in added
                and not link.facts.self_signed
                and link.facts.subject == below.facts.issuer
                and issued_by(below.certificate, link.certificate)
            ):
                added.append(link)
                below = link
                break
        else:
            break
    if not added:
        return False
    message = f"The intermediate {added[0].facts.title}, which CERT lacks, stood in CA; it was added to the chain."
    hint = "Remove it from CA, unless clients with certificates from it should be accepted."
    pasted.findings.append(_finding("chain.completed-from-ca", message, hint, "ca", added[0].position))
    pasted.chain = [*pasted.chain, *added]
    _number(pasted)
    return True


def _number(pasted: Pasted) -> None:
    """Give the certificates of the chain numbers of their own, when they come from several fields."""
    numbered = [replace(link, position=place) for place, link in enumerate(pasted.chain, start=1)]
    pasted.chain = numbered


def _link(block: Block, findings: list[Finding]) -> Link | None:
    try:
        certificate = load_certificate(block.der)
    except Unreadable:
        message = f"{block.where} is marked as a certificate and is none."
        hint = "Copy it again from the file that the CA sent."
        findings.append(_finding("certificate.unreadable", message, hint, block.field, block.position))
        return None
    try:
        return Link(certificate, certificate_facts(certificate), block.position)
    except Unreadable:
        message = (
            f"Certificate {block.position} in {NAMES[block.field]} breaks the rules of X.509: "
            "a name, an extension, the key or the signature algorithm in it cannot be read."
        )
        hint = "Ask the issuer for a correct one; TLS libraries refuse it."
        findings.append(_finding("certificate.malformed", message, hint, block.field, block.position))
        return None


def _mistaken(block: Block, *, keys: int, certificates: int) -> Finding | None:
    """What is neither key nor certificate: left out beside what was meant, an error in its place."""
    match block.kind:
        case "csr" if not certificates:
            message = f"{block.where} is a certificate request, not a certificate."
            return _finding("pem.csr", message, "Paste what the CA answered.", block.field, block.position)
        case "public-key" if not keys:
            message = f"{block.where} is a public key."
            hint = "Paste the private key, whose block says PRIVATE KEY."
            return _finding("pem.public-key", message, hint, block.field, block.position)
        case "parameters" if block.label == "EC PARAMETERS":
            return None  # openssl ecparam -genkey writes them before the key
        case "csr" | "public-key" | "parameters" | "crl":
            message = f"{block.where} ({block.label}) is not needed and was left out."
            return _finding("pem.left-out", message, "", block.field, block.position)
        case "other":
            message = f"{block.where} is a {block.label} block, which does not belong here."
            return _finding("pem.unexpected-block", message, "Remove it.", block.field, block.position)
        case _:
            return None


def _several(count: int) -> Finding:
    message = f"KEY holds {count} private keys."
    return _finding("key.several", message, "Paste the one that belongs to CERT.", "private_key")
