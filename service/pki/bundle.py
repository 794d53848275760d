"""KEY, CERT and CA together: read, put where they belong and in order, checked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding

from service.pki.authorities import check_authorities, check_client
from service.pki.chain import check_chain, order_chain
from service.pki.codes import finding as _finding
from service.pki.coverage import Purpose, check_hosts, check_purpose
from service.pki.facts import BundleFacts, CertificateFacts, Read, Unreadable, bundle_facts
from service.pki.finding import Field, Finding, Severity
from service.pki.issuance import check_issuance
from service.pki.keys import PrivateKey
from service.pki.link import Link
from service.pki.pem import Block
from service.pki.reading import Given, read_field, read_given
from service.pki.recognised import Recognised, describe
from service.pki.sorting import Pasted, choose_key, complete_from_authorities, sort_blocks, swap_back


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
    private_key: Given,
    certificate: Given,
    ca: Given = None,
    passphrase: str | None = None,
    hosts: Sequence[str] = (),
    purpose: Purpose | None = None,
    now: datetime,
    kept_key_spki_sha256: str | None = None,
    for_client: bool = False,
) -> Checked:
    """Read and check what was pasted. Anything at all in any field gives findings, never an exception.

    Args:
        private_key, certificate, ca: text, or the bytes of files; each may hold anything, in any mix and order.
        passphrase: of an encrypted key or a PKCS#12 file; not kept.
        hosts: names that clients use; each must be covered.
        purpose: what the certificate is for, when that is known.
        for_client: a client shows it too, whatever else it is for.
        kept_key_spki_sha256: the key stays in Vault unseen; the leaf must carry this public key.
    """
    findings: list[Finding] = []
    blocks: dict[Field, list[Block]] = {}
    fields: tuple[tuple[Field, Given], ...] = (("private_key", private_key), ("certificate", certificate), ("ca", ca))
    for field, given in fields:
        blocks[field], said = read_given(given, field, passphrase)
        findings += said
    unopened = any(one.kind in {"pkcs7", "pkcs12"} for found in blocks.values() for one in found)
    pasted = sort_blocks(blocks)
    key = choose_key(pasted, passphrase)
    expected = key.spki_sha256 if key else kept_key_spki_sha256
    swap_back(pasted, expected)
    findings += pasted.findings
    findings += _missing(
        findings,
        pasted,
        unopened=unopened,
        key_given=bool(blocks["private_key"]),
        key_kept=kept_key_spki_sha256 is not None,
    )
    authorities, said = check_authorities(pasted.authorities, now)
    findings += said
    if _leaf_was_lost(findings, pasted, expected):
        read = describe(blocks, pasted, key, pasted.chain, authorities)
        return Checked(tuple(findings), None, key, "", _pem(authorities), read)
    ordered = order_chain(pasted.chain, expected, now)
    facts = bundle_facts(_read(ordered.chain), _read(authorities))
    before = len(pasted.findings)
    if not facts.chain_complete and complete_from_authorities(pasted, ordered.chain[-1]):
        findings += pasted.findings[before:]
        ordered = order_chain(pasted.chain, expected, now)
        facts = bundle_facts(_read(ordered.chain), _read(authorities))
    findings += ordered.findings
    findings += _match(facts.leaf, key, kept_key_spki_sha256)
    findings += check_chain(ordered, now, complete=facts.chain_complete)
    findings += check_issuance(ordered.chain, authorities, now, for_client=for_client or purpose == "client")
    findings += _fit(ordered.chain[0], hosts, purpose)
    read = describe(blocks, pasted, key, ordered.chain, authorities)
    return Checked(tuple(findings), facts, key, _pem(ordered.chain), _pem(authorities), read)


def accepts_client(client: str | bytes, ca: str, now: datetime) -> tuple[Finding, ...]:
    """Whether an mTLS relay with this CA field would accept a client certificate; empty when it would."""
    below = sort_blocks({"certificate": read_field(client, "certificate")[0]})
    above = sort_blocks({"ca": read_field(ca, "ca")[0]})
    if not below.chain or any(one.severity is Severity.ERROR for one in (*below.findings, *above.findings)):
        message = "The client certificate, or the CA, cannot be read."
        return (_finding("client.unreadable", message, "Paste PEM certificates.", "certificate"),)
    return tuple(check_client(order_chain(below.chain, None, now).chain, above.authorities, now))


def _missing(
    findings: Sequence[Finding], pasted: Pasted, *, unopened: bool, key_given: bool, key_kept: bool
) -> list[Finding]:
    """What is not there at all. What is there and cannot be read has been said."""
    wrong = {one.field for one in findings if one.severity is Severity.ERROR}
    missing: list[Finding] = []
    if unopened:
        return missing
    if not pasted.keys and not key_kept and "private_key" not in wrong:
        message = "KEY holds no private key." if key_given else "KEY is empty."
        missing.append(_finding("key.missing", message, "Paste the private key.", "private_key"))
    if not pasted.chain and "certificate" not in wrong:
        message = "CERT is empty."
        missing.append(_finding("certificate.missing", message, "Paste the certificate chain.", "certificate"))
    return missing


def _leaf_was_lost(findings: Sequence[Finding], pasted: Pasted, expected_spki_sha256: str | None) -> bool:
    """Whether nothing is left of CERT, or something in it could not be read and only authorities are left.

    What would be said of their chain would be about the wrong certificate.
    """
    lost = any(one.severity is Severity.ERROR and one.field == "certificate" for one in findings)
    only_above = all(link.facts.is_ca and link.facts.spki_sha256 != expected_spki_sha256 for link in pasted.chain)
    return not pasted.chain or (lost and only_above)


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
