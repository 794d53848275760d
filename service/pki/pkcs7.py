"""PKCS#7: the certificates of a `.p7b` or `.p7c` file (RFC 5652 §5.1: SignedData without signers)."""

from __future__ import annotations

from service.pki.der import INTEGER, OID, SEQUENCE, SET, TAGGED, Malformed, children, content, definite, expect, whole
from service.pki.kinds import SIGNED_DATA

MAX_CERTIFICATES = 128


def certificates_of(ber: bytes) -> list[bytes]:
    """Each certificate, in DER, in the file's order (which means nothing: it is a set).

    Raises:
        Malformed: it is no SignedData, or holds more than `MAX_CERTIFICATES`.
    """
    der = definite(ber)
    outer = children(der, whole(der))
    if content(der, expect(outer, 0, OID)) != SIGNED_DATA:
        raise Malformed
    signed = children(der, expect(children(der, expect(outer, 1, TAGGED)), 0, SEQUENCE))
    expect(signed, 0, INTEGER)
    expect(signed, 1, SET)
    expect(signed, 2, SEQUENCE)
    if len(signed) < 4 or signed[3].tag != TAGGED:
        return []
    found = [der[one.at : one.end] for one in children(der, signed[3]) if one.tag == SEQUENCE]
    if len(found) > MAX_CERTIFICATES:
        raise Malformed
    return found
