"""What a private key's block says about itself, read before any cryptography is done with it.

A crafted key can cost minutes to open (iterations without bound, a DSA or RSA key with primes of 50,000 bits) or break
the library that opens it. This is the gate before: it reads tags and lengths of DER (X.690 §8.1, §10.1), nothing else.
"""

from __future__ import annotations

from service.pki.der import INTEGER, OID, SEQUENCE, Element, Malformed, children, content, expect, number, whole

MAX_KEY_BYTES = 5120
"""An RSA key of 8192 bits has 4.7 kB in PKCS#8, 4.9 kB encrypted; every other key far less."""
MAX_ITERATIONS = 2_000_000
"""Of PBKDF2 or a PKCS#12 derivation: about a second. OpenSSL makes 2,048; OWASP asks for 600,000 to 1,300,000."""
MAX_SCRYPT_COST = 2**20
"""N·r·p (RFC 7914 §2): 128 MiB and a third of a second, as OWASP asks for. `openssl pkcs8 -scrypt` makes 2^17."""
MAX_OTHER_NUMBER = 256
"""Key length in bytes (PBKDF2, scrypt) or RC2's version: the other numbers of a key derivation."""
_MAX_DEPTH = 6

RSA, EC, ED25519 = (bytes.fromhex(one) for one in ("2a864886f70d010101", "2a8648ce3d0201", "2b6570"))
"""Object identifiers in DER: rsaEncryption (RFC 8017), id-ecPublicKey (RFC 5480), id-Ed25519 (RFC 8410)."""
OTHER_ALGORITHMS = {
    bytes.fromhex("2a864886f70d01010a"): "RSASSA-PSS",
    bytes.fromhex("2a8648ce380401"): "DSA",
    bytes.fromhex("2a864886f70d010301"): "Diffie-Hellman",
    bytes.fromhex("2b656e"): "X25519",
    bytes.fromhex("2b656f"): "X448",
    bytes.fromhex("2b6571"): "Ed448",
    bytes.fromhex("608648016503040311"): "ML-DSA-44",
    bytes.fromhex("608648016503040312"): "ML-DSA-65",
    bytes.fromhex("608648016503040313"): "ML-DSA-87",
}
_SCRYPT = bytes.fromhex("2b06010401da47040b")


def algorithm_of(der: bytes) -> bytes:
    """The algorithm's object identifier in an unencrypted PKCS#8 key (RFC 5958 §2: version, algorithm, key, …).

    Raises:
        Malformed: it is no such structure.
    """
    parts = children(der, whole(der))
    expect(parts, 0, INTEGER)
    return content(der, expect(children(der, expect(parts, 1, SEQUENCE)), 0, OID))


def opens_at_bounded_cost(der: bytes) -> bool:
    """Whether the key derivation of an encrypted PKCS#8 key (RFC 5958 §3, RFC 8018 §A, RFC 7914 §7) is affordable.

    Raises:
        Malformed: it is no such structure.
    """
    return derives_at_bounded_cost(der, expect(children(der, whole(der)), 0, SEQUENCE))


def derives_at_bounded_cost(der: bytes, algorithm: Element) -> bool:
    """Whether the key derivation that an AlgorithmIdentifier names (RFC 8018 §A) is affordable.

    Raises:
        Malformed: it is no such structure.
    """
    numbers: list[int] = []
    scrypt = _collect(der, algorithm, numbers, _MAX_DEPTH)
    costly = numbers[:3] if scrypt else numbers[:1]
    cost = 1
    for one in costly:
        cost *= one
    limit = MAX_SCRYPT_COST if scrypt else MAX_ITERATIONS
    return 0 < cost <= limit and all(0 <= one <= MAX_OTHER_NUMBER for one in numbers[len(costly) :])


def _collect(der: bytes, parent: Element, numbers: list[int], depth: int) -> bool:
    """Gather the integers of nested sequences in order; True when scrypt is named among them."""
    if depth == 0:
        raise Malformed
    scrypt = False
    for one in children(der, parent):
        if one.tag == SEQUENCE:
            scrypt |= _collect(der, one, numbers, depth - 1)
        elif one.tag == INTEGER:
            numbers.append(number(der, one))
        elif one.tag == OID:
            scrypt |= content(der, one) == _SCRYPT
    return scrypt
