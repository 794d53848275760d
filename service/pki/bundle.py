"""KEY, CERT and CA together: read, put in order, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding

from service.pki.authorities import check_authorities, check_client
from service.pki.chain import Link, check_chain, order_chain
from service.pki.codes import finding as _finding
from service.pki.coverage import Purpose, check_hosts, check_purpose
from service.pki.facts import (
    BundleFacts,
    CertificateFacts,
    Read,
    Unreadable,
    bundle_facts,
    certificate_facts,
    load_certificate,
)
from service.pki.finding import Field, Finding, Severity
from service.pki.keys import PrivateKey, read_private_key
from service.pki.pem import Block, read_blocks
from service.pki.recognised import Recognised

_NAMES: dict[Field, str] = {"private_key": "KEY", "certificate": "CERT", "ca": "CA"}


@dataclass(frozen=True, slots=True)
class Checked:
    """What was pasted, as far as it could be read, and every finding.

    Attributes:
        facts: None when there is no readable chain.
        certificate, ca: normalised PEM (leaf first, LF); empty when absent or unreadable.
        blocks: what each pasted block is, in the order of the paste.
    """

    findings: tuple[Finding, ...]
    facts: BundleFacts | None
    private_key: PrivateKey | None
    certificate: str
    ca: str
    blocks: tuple[Recognised, ...] = ()

    @property
    def blocked(self) -> bool:
        """Whether an error stands against storing it."""
        return any(finding.severity is Severity.ERROR for finding in self.findings)


def check_bundle(
    *,
    private_key: str | None,
    certificate: str | None,
    ca: str | None = None,
    passphrase: str | None = None,
    hosts: Sequence[str] = (),
    purpose: Purpose | None = None,
    now: datetime,
    kept_key_spki_sha256: str | None = None,
) -> Checked:
    """Read and check what was pasted. Anything at all in any field gives findings, never an exception.

    Args:
        passphrase: of an encrypted key; not kept.
        hosts: names that clients use; each must be covered.
        purpose: what the certificate is for, when that is known.
        kept_key_spki_sha256: the key stays in Vault unseen; the leaf must carry this public key.
    """
    findings: list[Finding] = []
    blocks: dict[Field, list[Block]] = {"private_key": [], "certificate": [], "ca": []}
    for field, text in (("private_key", private_key), ("certificate", certificate), ("ca", ca)):
        found, said = read_blocks(text or "", field)  # type: ignore[arg-type] # the three literals above
        blocks[field] = found  # type: ignore[index]
        findings += said
    findings += _misplaced(blocks)
    key = _key(blocks["private_key"], passphrase, findings)
    if not (private_key or "").strip() and kept_key_spki_sha256 is None:
        findings.append(_finding("key.missing", "KEY is empty.", "Paste the private key.", "private_key"))
    if not (certificate or "").strip():
        message = "CERT is empty."
        findings.append(_finding("certificate.missing", message, "Paste the certificate chain.", "certificate"))
    authorities, said = check_authorities(_links(blocks["ca"], findings), now)
    findings += said
    links = _links(blocks["certificate"], findings)
    expected = key.spki_sha256 if key else kept_key_spki_sha256
    if not links:
        return Checked(tuple(findings), None, key, "", _pem(authorities))
    ordered = order_chain(links, expected)
    findings += ordered.findings
    facts = bundle_facts(_read(ordered.chain), _read(authorities))
    findings += _match(facts.leaf, key, kept_key_spki_sha256)
    findings += check_chain(ordered, now, complete=facts.chain_complete)
    findings += _fit(ordered.chain[0], hosts, purpose)
    return Checked(tuple(findings), facts, key, _pem(ordered.chain), _pem(authorities))


def accepts_client(client: str, ca: str, now: datetime) -> tuple[Finding, ...]:
    """Whether an mTLS relay with this CA field would accept a client certificate; empty when it would."""
    findings: list[Finding] = []
    links = _links(read_blocks(client, "certificate")[0], findings)
    authorities = _links(read_blocks(ca, "ca")[0], findings)
    if not links or findings:
        message = "The client certificate, or the CA, cannot be read."
        return (_finding("client.unreadable", message, "Paste PEM certificates.", "certificate"),)
    return tuple(check_client(order_chain(links, None).chain, authorities, now))


def _misplaced(blocks: dict[Field, list[Block]]) -> list[Finding]:
    """Blocks that do not belong where they were pasted."""
    findings: list[Finding] = []
    for field, found in blocks.items():
        for block in found:
            where = f"Block {block.position} in {_NAMES[field]}"
            match block.kind:
                case "key" | "encrypted-key" if field != "private_key":
                    message, hint = f"{where} is a private key.", "Move it to KEY, and paste the certificate here."
                    findings.append(_finding("key.in-other-field", message, hint, field, block.position))
                case "certificate" if field == "private_key":
                    message, hint = f"{where} is a certificate.", "Move it to CERT, and paste the private key here."
                    findings.append(_finding("certificate.in-key-field", message, hint, field, block.position))
                case "csr":
                    message = f"{where} is a certificate request, not a certificate."
                    findings.append(_finding("pem.csr", message, "Paste what the CA answered.", field, block.position))
                case "public-key":
                    message = f"{where} is a public key."
                    hint = "Paste the private key, whose block says PRIVATE KEY."
                    findings.append(_finding("pem.public-key", message, hint, field, block.position))
                case "parameters" if field == "private_key":
                    pass  # openssl ecparam -genkey writes them before the key
                case "other" | "parameters":
                    message = f"{where} is a {block.label} block, which does not belong here."
                    findings.append(_finding("pem.unexpected-block", message, "Remove it.", field, block.position))
                case _:
                    pass
    return findings


def _key(blocks: Sequence[Block], passphrase: str | None, findings: list[Finding]) -> PrivateKey | None:
    keys = [block for block in blocks if block.kind in {"key", "encrypted-key"}]
    if len(keys) > 1:
        message = f"KEY holds {len(keys)} private keys."
        findings.append(_finding("key.several", message, "Paste the one that belongs to CERT.", "private_key"))
        return None
    if not keys:
        if blocks and all(block.kind == "parameters" for block in blocks):
            message = "KEY holds EC parameters and no key."
            findings.append(_finding("key.missing", message, "Paste the key block too.", "private_key"))
        return None
    read = read_private_key(keys[0], passphrase)
    if isinstance(read, Finding):
        findings.append(read)
        return None
    if passphrase and keys[0].kind == "key":
        message = "The key is not encrypted; the passphrase was not needed."
        findings.append(_finding("key.passphrase-unused", message, "", "passphrase"))
    return read


def _links(blocks: Sequence[Block], findings: list[Finding]) -> list[Link]:
    links: list[Link] = []
    for block in blocks:
        if block.kind != "certificate" or block.field == "private_key":
            continue
        try:
            certificate = load_certificate(block.der)
        except Unreadable:
            message = f"Block {block.position} in {_NAMES[block.field]} is marked as a certificate and is none."
            hint = "Copy it again from the file that the CA sent."
            findings.append(_finding("certificate.unreadable", message, hint, block.field, block.position))
            continue
        try:
            links.append(Link(certificate, certificate_facts(certificate), block.position))
        except Unreadable:
            message = (
                f"Certificate {block.position} in {_NAMES[block.field]} breaks the rules of X.509: "
                "a name, an extension or the key in it cannot be read."
            )
            hint = "Ask the issuer for a correct one; TLS libraries refuse it."
            findings.append(_finding("certificate.malformed", message, hint, block.field, block.position))
    return links


def _match(leaf: CertificateFacts, key: PrivateKey | None, kept_spki_sha256: str | None) -> list[Finding]:
    if key is not None and key.spki_sha256 != leaf.spki_sha256:
        message = f"The key does not belong to the certificate of {leaf.title}."
        hint = "Paste the key that its request was made with."
        return [_finding("key.mismatch", message, hint, "private_key")]
    if key is None and kept_spki_sha256 is not None and leaf.spki_sha256 != kept_spki_sha256:
        message = f"The certificate of {leaf.title} belongs to another key than the stored one."
        return [_finding("key.mismatch", message, "Paste its private key too.", "private_key")]
    return []


def _fit(link: Link, hosts: Sequence[str], purpose: Purpose | None) -> list[Finding]:
    leaf = link.facts
    findings = check_hosts(leaf, hosts)
    if purpose is not None:
        finding = check_purpose(leaf, purpose)
        findings += [finding] if finding else []
    if not leaf.dns_names and not leaf.ip_addresses and purpose != "client":
        message = "The certificate has no subject alternative name: no client will accept it for a host."
        hint = "Ask for one with the host names in it."
        findings.append(_finding("certificate.no-names", message, hint, "certificate", link.position))
    return findings


def _read(links: Sequence[Link]) -> list[Read]:
    return [(link.certificate, link.facts) for link in links]


def _pem(links: Sequence[Link]) -> str:
    return "".join(link.certificate.public_bytes(Encoding.PEM).decode("ascii") for link in links)


__all__ = ["Checked", "Unreadable", "accepts_client", "check_bundle"]
