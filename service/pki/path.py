"""Path validation: RFC 5280 §6.1, from the trust anchor down to the leaf, with its steps by their numbers.

Where the other steps are:
- 6.1.3 (a)(1) signatures and (a)(4) names: `service.pki.chain.climb` builds no path without them.
- 6.1.3 (a)(2) dates: `service.pki.chain`, which tells them for each certificate.
- 6.1.3 (a)(3) revocation: not asked. CRLs and OCSP answers would have to be fetched, and nothing in pasted material is.
- 6.1.3 (d)–(f), 6.1.4 (a), (b), (h)–(j), 6.1.5 (a), (b), (g) policies: not evaluated, as no TLS client or server that
  Keystead delivers to evaluates them unless told to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtensionOID

from service.pki.codes import finding, shown
from service.pki.constraints import Subtrees, TooMany, names_of, violations
from service.pki.facts import MALFORMED, despite_warnings, load_certificate
from service.pki.finding import Finding
from service.pki.link import Link

_PROCESSED = frozenset(
    {
        ExtensionOID.AUTHORITY_KEY_IDENTIFIER,
        ExtensionOID.SUBJECT_KEY_IDENTIFIER,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.NAME_CONSTRAINTS,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
        ExtensionOID.ISSUER_ALTERNATIVE_NAME,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.POLICY_MAPPINGS,
        ExtensionOID.POLICY_CONSTRAINTS,
        ExtensionOID.INHIBIT_ANY_POLICY,
        ExtensionOID.CRL_DISTRIBUTION_POINTS,
        ExtensionOID.FRESHEST_CRL,
        ExtensionOID.TLS_FEATURE,
    }
)
"""Critical extensions that TLS stacks take: those of RFC 5280 §4.2, and TLS features (RFC 7633)."""


@dataclass(frozen=True, slots=True)
class _Rules:
    """What validation reads of one certificate.

    Attributes:
        is_ca, path_length: of basicConstraints; None when there is no such limit.
        signs_certificates: of keyUsage; None when there is no such extension.
        unknown: critical extensions that nobody here knows, dotted.
    """

    is_ca: bool
    path_length: int | None
    signs_certificates: bool | None
    names: tuple[x509.GeneralName, ...]
    constraints: Subtrees | None
    self_issued: bool
    unknown: tuple[str, ...]


def check_path(path: Sequence[Link], anchor: Link | None) -> list[Finding]:
    """Findings of a path that is in order, leaf first.

    Args:
        anchor: the trust anchor above it, when it is known. Its own limits hold (6.1.1 (d) leaves that open; OpenSSL
            and Go apply them).
    """
    findings: list[Finding] = []
    laid_down: list[Subtrees] = []
    remaining: int | None = None  # 6.1.2 (k) max_path_length; without a limit until one is met
    if anchor is not None and not anchor.is_version_1_root:
        limits = rules_of(anchor.certificate)
        laid_down += [limits.constraints] if limits.constraints else []
        remaining = limits.path_length
    for place in range(len(path) - 1, -1, -1):
        link, last = path[place], place == 0
        rules = rules_of(link.certificate)
        # 6.1.3 (b), (c): names inside the permitted subtrees, outside the excluded; self-issued CAs are exempt
        if laid_down and (last or not rules.self_issued):
            findings += _names(link, rules, laid_down)
        # 6.1.4 (o), 6.1.5 (f): every critical extension is known
        for oid in rules.unknown:
            message = f"{link.title} has the critical extension {oid}, which TLS clients do not know and must refuse."
            hint = "Ask the issuer for a certificate without it."
            findings.append(finding("chain.critical-extension", message, hint, "certificate", link.position))
        if last:
            break
        # 6.1.4 (g): what this CA lays down holds for all below it
        laid_down += [rules.constraints] if rules.constraints else []
        # 6.1.4 (k): cA. Told by `check_chain`, in its own words
        # 6.1.4 (l): one less for each that is not self-issued
        if not rules.self_issued and remaining is not None:
            if remaining <= 0:
                message = f"{link.title} is one CA too many: a CA above it allows no further one (path length)."
                hint = "Ask the issuer for a certificate from a CA that may issue."
                findings.append(finding("chain.path-length", message, hint, "certificate", link.position))
            remaining = max(0, remaining - 1)
        # 6.1.4 (m): the smaller limit holds
        if rules.path_length is not None:
            remaining = rules.path_length if remaining is None else min(remaining, rules.path_length)
        # 6.1.4 (n): keyCertSign
        if rules.is_ca and rules.signs_certificates is False:
            message = f"{link.title} is a CA whose key usage does not allow it to sign certificates."
            hint = "Ask the issuer for a certificate from the CA's signing certificate."
            findings.append(finding("chain.key-usage", message, hint, "certificate", link.position))
    return findings


def _names(link: Link, rules: _Rules, laid_down: Sequence[Subtrees]) -> list[Finding]:
    hint = "Ask a CA that may issue for these names."
    try:
        found = next(violations(rules.names, laid_down), None)
    except TooMany:
        message = f"{link.title} has more names, and its CAs more constraints, than clients compare."
        return [finding("chain.name-constraints", message, hint, "certificate", link.position)]
    if found is None:
        return []
    name, word = found
    message = f"{link.title} has the name {shown(_text(name))}, which is {word} by the name constraints of its CA."
    return [finding("chain.name-constraints", message, hint, "certificate", link.position)]


def _text(name: x509.GeneralName) -> str:
    return name.value.rfc4514_string() if isinstance(name, x509.DirectoryName) else str(name.value)


def rules_of(certificate: x509.Certificate) -> _Rules:
    """What validation reads of a certificate whose facts could be read; read once per certificate."""
    return _rules(certificate.public_bytes(Encoding.DER))


@lru_cache(maxsize=512)
def _rules(der: bytes) -> _Rules:
    try:
        return despite_warnings(_read, load_certificate(der))
    except MALFORMED:
        return _Rules(False, None, None, (), None, False, ("that cannot be read",))


def _read(certificate: x509.Certificate) -> _Rules:
    extensions = {extension.oid: extension for extension in certificate.extensions}
    basic = extensions.get(ExtensionOID.BASIC_CONSTRAINTS)
    usage = extensions.get(ExtensionOID.KEY_USAGE)
    constraints = extensions.get(ExtensionOID.NAME_CONSTRAINTS)
    return _Rules(
        is_ca=bool(basic and basic.value.ca),
        path_length=basic.value.path_length if basic else None,
        signs_certificates=usage.value.key_cert_sign if usage else None,
        names=names_of(certificate),
        constraints=_subtrees(constraints.value) if constraints else None,
        self_issued=certificate.subject == certificate.issuer,
        unknown=tuple(oid.dotted_string for oid, one in extensions.items() if one.critical and oid not in _PROCESSED),
    )


def _subtrees(constraints: x509.NameConstraints) -> Subtrees:
    return Subtrees(tuple(constraints.permitted_subtrees or ()), tuple(constraints.excluded_subtrees or ()))
