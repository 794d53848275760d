"""What a private key's block says about itself, read before any cryptography is done with it.

A crafted key can cost minutes to open (iterations without bound, a DSA or RSA key with primes of 50,000 bits) or break
the library that opens it. This is the gate before: it reads tags and lengths of DER (X.690 §8.1, §10.1), nothing else.
"""

from __future__ import annotations

MAX_KEY_BYTES = 5120
"""An RSA key of 8192 bits has 4.7 kB in PKCS#8, 4.9 kB encrypted; every other key far less."""
MAX_ITERATIONS = 2_000_000
"""Of PBKDF2 or a PKCS#12 derivation: about a second. OpenSSL makes 2,048; OWASP asks for 600,000 to 1,300,000."""
MAX_SCRYPT_COST = 2**20
"""N·r·p (RFC 7914 §2): 128 MiB and a third of a second, as OWASP asks for. `openssl pkcs8 -scrypt` makes 2^17."""
MAX_OTHER_NUMBER = 256
"""Key length in bytes (PBKDF2, scrypt) or RC2's version: the other numbers of a key derivation."""
_MAX_ELEMENTS = 32
_MAX_DEPTH = 6
_INTEGER, _OID, _SEQUENCE = 0x02, 0x06, 0x30

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


class Malformed(ValueError):
    """Not DER, or not of the expected shape. The text quotes none of it."""


def algorithm_of(der: bytes) -> bytes:
    """The algorithm's object identifier in an unencrypted PKCS#8 key (RFC 5958 §2: version, algorithm, key, …).

    Raises:
        Malformed: it is no such structure.
    """
    parts = _children(der, *_whole(der))
    if [part[0] for part in parts[:2]] != [_INTEGER, _SEQUENCE]:
        raise Malformed
    tag, start, end = _children(der, *parts[1][1:])[0]
    if tag != _OID:
        raise Malformed
    return der[start:end]


def opens_at_bounded_cost(der: bytes) -> bool:
    """Whether the key derivation of an encrypted PKCS#8 key (RFC 5958 §3, RFC 8018 §A, RFC 7914 §7) is affordable.

    Raises:
        Malformed: it is no such structure.
    """
    tag, start, end = _children(der, *_whole(der))[0]
    if tag != _SEQUENCE:
        raise Malformed
    numbers: list[int] = []
    scrypt = _collect(der, start, end, numbers, _MAX_DEPTH)
    costly = numbers[:3] if scrypt else numbers[:1]
    cost = 1
    for number in costly:
        cost *= number
    limit = MAX_SCRYPT_COST if scrypt else MAX_ITERATIONS
    return 0 < cost <= limit and all(0 <= number <= MAX_OTHER_NUMBER for number in numbers[len(costly) :])


def _collect(der: bytes, start: int, end: int, numbers: list[int], depth: int) -> bool:
    """Gather the integers of nested sequences in order; True when scrypt is named among them."""
    if depth == 0:
        raise Malformed
    scrypt = False
    for tag, at, to in _children(der, start, end):
        if tag == _SEQUENCE:
            scrypt |= _collect(der, at, to, numbers, depth - 1)
        elif tag == _INTEGER:
            numbers.append(int.from_bytes(der[at:to], "big", signed=True))
        elif tag == _OID:
            scrypt |= der[at:to] == _SCRYPT
    return scrypt


def _whole(der: bytes) -> tuple[int, int]:
    """The content of the one sequence that all of it is."""
    tag, start, end = _element(der, 0, len(der))
    if tag != _SEQUENCE or end != len(der):
        raise Malformed
    return start, end


def _children(der: bytes, start: int, end: int) -> list[tuple[int, int, int]]:
    """At least one and at most 32 elements, as (tag, start of content, end)."""
    found: list[tuple[int, int, int]] = []
    while start < end:
        found.append(_element(der, start, end))
        start = found[-1][2]
        if len(found) > _MAX_ELEMENTS:
            raise Malformed
    if not found:
        raise Malformed
    return found


def _element(der: bytes, at: int, limit: int) -> tuple[int, int, int]:
    if at + 2 > limit:
        raise Malformed
    tag, length, start = der[at], der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 3:
            raise Malformed
        length = int.from_bytes(der[start : start + count], "big")
        start += count
    if start + length > limit:
        raise Malformed
    return tag, start, start + length
