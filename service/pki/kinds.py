"""What a piece of DER is, told by its structure: labels and file names lie, tags do not."""

from __future__ import annotations

from typing import Literal

from service.pki.der import (
    BIT_STRING,
    GENERALIZED_TIME,
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    TAGGED,
    UTC_TIME,
    Element,
    Malformed,
    children,
    content,
    element,
    whole,
)

Kind = Literal[
    "key",
    "encrypted-key",
    "certificate",
    "csr",
    "crl",
    "public-key",
    "parameters",
    "pkcs7",
    "pkcs12",
    "other",
]

LABELS: dict[str, Kind] = {
    "PRIVATE KEY": "key",
    "RSA PRIVATE KEY": "key",
    "EC PRIVATE KEY": "key",
    "ENCRYPTED PRIVATE KEY": "encrypted-key",
    "CERTIFICATE": "certificate",
    "X509 CERTIFICATE": "certificate",
    "X.509 CERTIFICATE": "certificate",
    "TRUSTED CERTIFICATE": "certificate",
    "CERTIFICATE REQUEST": "csr",
    "NEW CERTIFICATE REQUEST": "csr",
    "X509 CRL": "crl",
    "PUBLIC KEY": "public-key",
    "RSA PUBLIC KEY": "public-key",
    "SSH2 PUBLIC KEY": "public-key",
    "EC PARAMETERS": "parameters",
    "DH PARAMETERS": "parameters",
    "X9.42 DH PARAMETERS": "parameters",
    "PKCS7": "pkcs7",
    "PKCS #7 SIGNED DATA": "pkcs7",
    "CMS": "pkcs7",
    "PKCS12": "pkcs12",
    "PKCS #12": "pkcs12",
}
"""What a block's label says (RFC 7468, and the older ones that OpenSSL, Netscape and Windows write)."""

SIGNED_DATA = bytes.fromhex("2a864886f70d010702")
"""id-signedData (RFC 5652 §5.1)."""
_STARTS: tuple[tuple[list[int], tuple[Kind, str]], ...] = (
    ([SEQUENCE, BIT_STRING], ("public-key", "PUBLIC KEY")),
    ([SEQUENCE, OCTET_STRING], ("encrypted-key", "ENCRYPTED PRIVATE KEY")),
    ([INTEGER, SEQUENCE, OCTET_STRING], ("key", "PRIVATE KEY")),
    ([INTEGER, OCTET_STRING], ("key", "EC PRIVATE KEY")),
)
"""The tags that a structure begins with: RFC 5280 §4.1.2.7, RFC 5958 §3 and §2, RFC 5915 §3."""
_NUMBERS: dict[int, tuple[Kind, str]] = {
    2: ("public-key", "RSA PUBLIC KEY"),
    6: ("key", "DSA PRIVATE KEY"),
    9: ("key", "RSA PRIVATE KEY"),
}
"""Structures of nothing but integers, by how many (RFC 8017 §A.1)."""


def recognise(der: bytes) -> tuple[Kind, str]:
    """Kind and PEM label of DER; `("other", "")` when it is none of those known here. Never raises."""
    try:
        return _recognise(der)
    except Malformed:
        return "other", ""


def _recognise(der: bytes) -> tuple[Kind, str]:
    if der[:1] == b"\x30" and der[1:2] == b"\x80":
        return _indefinite(der)
    parts = children(der, whole(der))
    tags = [part.tag for part in parts]
    match tags:
        case [tag, second, third] if [tag, second, third] == [SEQUENCE, SEQUENCE, BIT_STRING]:
            found = _signed(der, parts[0])
        case [tag, second] if [tag, second] == [OID, TAGGED]:
            found = ("pkcs7", "PKCS7") if content(der, parts[0]) == SIGNED_DATA else ("other", "CMS")
        case [tag, second, *_] if [tag, second] == [INTEGER, SEQUENCE] and content(der, parts[0]) == b"\x03":
            found = "pkcs12", "PKCS12"
        case _ if tags and set(tags[:9]) == {INTEGER}:
            found = _NUMBERS.get(min(len(tags), 9), ("other", ""))
        case _:
            found = next((kind for start, kind in _STARTS if tags[: len(start)] == start), ("other", ""))
    return found


def _signed(der: bytes, signed: Element) -> tuple[Kind, str]:
    """Certificate, request or revocation list: they differ in what is signed (RFC 5280 §4.1, §5.1, RFC 2986)."""
    inner = [one.tag for one in children(der, signed)]
    if any(tag in {UTC_TIME, GENERALIZED_TIME} for tag in inner):
        return "crl", "X509 CRL"
    if inner[:3] == [INTEGER, SEQUENCE, SEQUENCE] and inner[3:] in ([], [TAGGED]):
        return "csr", "CERTIFICATE REQUEST"
    return "certificate", "CERTIFICATE"


def _indefinite(der: bytes) -> tuple[Kind, str]:
    """BER of indefinite length, as some tools write PKCS#7 and PKCS#12."""
    head = element(der, 2)
    if head.tag == OID:
        return ("pkcs7", "PKCS7") if content(der, head) == SIGNED_DATA else ("other", "CMS")
    return ("pkcs12", "PKCS12") if (head.tag, content(der, head)) == (INTEGER, b"\x03") else ("other", "")
