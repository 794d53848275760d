"""Every finding of this room, with its severity. `docs/findings.md` has a row for each; a test holds them equal."""

from __future__ import annotations

from types import MappingProxyType
from typing import Final

from service.pki.finding import Severity

_E, _W, _I = Severity.ERROR, Severity.WARNING, Severity.INFO

SEVERITIES: Final = MappingProxyType(
    {
        # reading
        "input.too-large": _E,
        "input.binary": _E,
        "pem.none": _E,
        "pem.no-end": _E,
        "pem.no-begin": _E,
        "pem.mismatched-end": _E,
        "pem.base64": _E,
        "pem.too-many-blocks": _E,
        "pem.text-around": _I,
        "pem.unexpected-block": _E,
        "pem.csr": _E,
        "pem.public-key": _E,
        # the key
        "key.missing": _E,
        "key.unreadable": _E,
        "key.encrypted": _E,
        "key.passphrase": _E,
        "key.passphrase-unused": _I,
        "key.several": _E,
        "key.in-other-field": _E,
        "key.algorithm": _E,
        "key.weak": _E,
        "key.exponent": _E,
        "key.mismatch": _E,
        # certificates
        "certificate.missing": _E,
        "certificate.unreadable": _E,
        "certificate.in-key-field": _E,
        "certificate.expired": _E,
        "certificate.not-yet-valid": _E,
        "certificate.expires-soon": _W,
        "certificate.weak-key": _E,
        "certificate.weak-signature": _E,
        "certificate.is-ca": _W,
        "certificate.no-names": _W,
        # the chain
        "chain.incomplete": _W,
        "chain.reordered": _I,
        "chain.root-dropped": _I,
        "chain.duplicate-dropped": _I,
        "chain.unrelated": _E,
        "chain.too-long": _E,
        "chain.not-a-ca": _E,
        "chain.expired": _E,
        "chain.expires-first": _W,
        "chain.weak-signature": _E,
        "chain.self-signed": _I,
        # the CA field
        "ca.missing": _E,
        "ca.not-a-ca": _E,
        "ca.expired": _W,
        "ca.all-expired": _E,
        "ca.duplicate-dropped": _I,
        # how it fits a consumer
        "host.not-covered": _E,
        "host.common-name-only": _W,
        "purpose.server-auth": _E,
        "purpose.client-auth": _E,
        # a client at an mTLS relay
        "client.unreadable": _E,
        "client.not-issued-by-ca": _E,
        "client.purpose": _E,
        "client.expired": _E,
    }
)
"""Severity by code."""
