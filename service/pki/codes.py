"""Every finding of this room, with its severity. `docs/findings.md` has a row for each; a test holds them equal."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from service.pki.finding import Field, Finding, Severity

_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

SEVERITIES: Final = MappingProxyType(
    {
        # reading
        "input.too-large": _E,
        "input.binary": _E,
        "input.foreign": _E,
        "input.too-many-hosts": _E,
        "pem.none": _E,
        "pem.no-end": _E,
        "pem.no-begin": _E,
        "pem.mismatched-end": _E,
        "pem.base64": _E,
        "pem.too-many-blocks": _E,
        "pem.cut-off": _E,
        "pem.text-around": _I,
        "pem.repaired": _I,
        "pem.relabelled": _I,
        "pem.left-out": _I,
        "pem.unexpected-block": _E,
        "pem.csr": _E,
        "pem.public-key": _E,
        "pkcs7.unreadable": _E,
        "pkcs12.unreadable": _E,
        # the key
        "key.missing": _E,
        "key.unreadable": _E,
        "key.format": _E,
        "key.inconsistent": _E,
        "key.encrypted": _E,
        "key.passphrase": _E,
        "key.passphrase-unused": _I,
        "key.encryption-cost": _E,
        "key.several": _E,
        "key.others-left-out": _I,
        "key.in-other-field": _I,
        "key.algorithm": _E,
        "key.weak": _E,
        "key.exponent": _E,
        "key.roca": _E,
        "key.close-primes": _E,
        "key.small-factor": _E,
        "key.mismatch": _E,
        # what the instance holds already
        "key.reused": _W,
        "key.shared-prime": _E,
        "certificate.elsewhere": _W,
        "certificate.serial-reused": _W,
        "chain.held-elsewhere": _I,
        # certificates
        "certificate.missing": _E,
        "certificate.unreadable": _E,
        "certificate.malformed": _E,
        "certificate.serial": _E,
        "certificate.in-key-field": _I,
        "certificate.in-ca-field": _I,
        "certificate.expired": _E,
        "certificate.not-yet-valid": _E,
        "certificate.expires-soon": _W,
        "certificate.weak-key": _E,
        "certificate.weak-signature": _E,
        "certificate.is-ca": _W,
        "certificate.no-names": _W,
        "certificate.too-long": _W,
        # the chain
        "chain.incomplete": _W,
        "chain.completed-from-ca": _I,
        "chain.reordered": _I,
        "chain.root-dropped": _I,
        "chain.root-kept": _I,
        "chain.root-expired": _W,
        "chain.duplicate-dropped": _I,
        "chain.alternative-dropped": _I,
        "chain.unrelated": _W,
        "chain.too-long": _E,
        "chain.not-a-ca": _E,
        "chain.signature": _E,
        "chain.name-form": _W,
        "chain.path-length": _E,
        "chain.key-usage": _E,
        "chain.name-constraints": _E,
        "chain.critical-extension": _E,
        "chain.expired": _E,
        "chain.not-yet-valid": _E,
        "chain.expires-first": _W,
        "chain.weak-signature": _E,
        "chain.self-signed": _I,
        # the CA field
        "ca.missing": _E,
        "ca.not-a-ca": _E,
        "ca.version-1": _W,
        "ca.no-root": _W,
        "ca.not-yet-valid": _W,
        "ca.weak-key": _E,
        "ca.weak-signature": _W,
        "ca.expired": _W,
        "ca.all-expired": _E,
        "ca.duplicate-dropped": _I,
        "ca.in-certificate-field": _I,
        "ca.public": _W,
        "ca.irrelevant": _W,
        "ca.expires-first": _W,
        # how it fits a consumer
        "host.not-covered": _E,
        "host.malformed": _E,
        "host.common-name-only": _W,
        "purpose.server-auth": _E,
        "purpose.client-auth": _E,
        "purpose.client-auth-ending": _W,
        # what a change does to a consumer
        "ca.dropped": _E,
        "ca.added": _W,
        "ca.overlap-over": _W,
        "names.lost": _W,
        "names.gained": _I,
        "key-type.changed": _W,
        "issuer.changed": _I,
        "expiry.earlier": _W,
        # a client at an mTLS relay
        "client.unreadable": _E,
        "client.not-issued-by-ca": _E,
        "client.ca-expired": _E,
        "client.not-a-ca": _E,
        "client.path": _E,
        "client.weak": _E,
        "client.purpose": _E,
        "client.expired": _E,
    }
)
"""Severity by code."""

MAX_SHOWN = 80
"""Characters of a name in a message; a certificate may carry kilobytes of them."""


def finding(
    code: str, message: str, hint: str = "", field: Field | None = None, position: int | None = None
) -> Finding:
    """A finding with the severity that its code has."""
    return Finding(code=code, severity=SEVERITIES[code], message=message, hint=hint, field=field, position=position)


def shown(text: str) -> str:
    """Text from outside as it may stand in a message or on a terminal: one line, bounded, no control characters."""
    cut = text if len(text) <= MAX_SHOWN else text[: MAX_SHOWN - 1] + "…"
    return "".join(character if character.isprintable() else "\ufffd" for character in cut)
