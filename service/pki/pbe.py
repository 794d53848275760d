"""Encryption by passphrase as PKCS#12 files use it: PBES2 (RFC 8018 §6.2), and the older schemes of RFC 7292 §C."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.decrepit.ciphers.algorithms import RC2, TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, CipherAlgorithm, algorithms, modes

from service.pki import rc2
from service.pki.der import INTEGER, OCTET_STRING, OID, SEQUENCE, Element, children, content, expect, number

MAX_ITERATIONS = 2_000_000
"""Of PBKDF2: about a second."""
MAX_OLD_ITERATIONS = 200_000
"""Of the derivation of RFC 7292 §B, which no library offers: about half a second. Java makes 10,000 to 50,000."""
_OLD_COST = 5
"""Iterations of PBKDF2 that take as long as one of the older derivation."""
MAX_SALT_BYTES = 1024

_PBES2, _PBKDF2 = bytes.fromhex("2a864886f70d01050d"), bytes.fromhex("2a864886f70d01050c")
_HMAC = bytes.fromhex("2a864886f70d02")
_SHA2 = bytes.fromhex("6086480165030402")
DIGESTS = {
    bytes.fromhex("2b0e03021a"): "sha1",
    _SHA2 + b"\x04": "sha224",
    _SHA2 + b"\x01": "sha256",
    _SHA2 + b"\x02": "sha384",
    _SHA2 + b"\x03": "sha512",
    _HMAC + b"\x07": "sha1",
    _HMAC + b"\x08": "sha224",
    _HMAC + b"\x09": "sha256",
    _HMAC + b"\x0a": "sha384",
    _HMAC + b"\x0b": "sha512",
}
"""Digests (RFC 8017 §B.1) and their HMACs (RFC 8018 §B.1.2), by object identifier."""
_AES = bytes.fromhex("60864801650304012a")[:-1]
_PBES2_CIPHERS: dict[bytes, tuple[type[CipherAlgorithm], int]] = {
    _AES + b"\x02": (algorithms.AES, 16),
    _AES + b"\x16": (algorithms.AES, 24),
    _AES + b"\x2a": (algorithms.AES, 32),
    bytes.fromhex("2a864886f70d0307"): (TripleDES, 24),
}
_OLD = bytes.fromhex("2a864886f70d010c01")
_RC2_40_BYTES = 5
_OLD_CIPHERS: dict[bytes, tuple[type[CipherAlgorithm], int]] = {
    _OLD + b"\x03": (TripleDES, 24),
    _OLD + b"\x04": (TripleDES, 16),
    _OLD + b"\x05": (RC2, 16),
    _OLD + b"\x06": (RC2, _RC2_40_BYTES),
}
_KEY, _IV = 1, 2
"""RFC 7292 §B.3."""


class TooCostly(Exception):
    """The derivation would take too long."""


@dataclass(slots=True)
class Work:
    """The iterations that may still be spent: one budget for a whole field, however many files and parts it holds."""

    left: int = 2 * MAX_ITERATIONS

    def spend(self, iterations: int) -> None:
        """Take them off.

        Raises:
            TooCostly: they are not left.
        """
        if not 0 < iterations <= self.left:
            raise TooCostly
        self.left -= iterations


class Unknown(Exception):
    """An algorithm that is not known here."""


def decrypt(der: bytes, algorithm: Element, passphrase: str | None, ciphertext: bytes, work: Work) -> bytes | None:
    """The plain text; None when the passphrase does not open it.

    Raises:
        TooCostly, Unknown; Malformed.
    """
    oid, parameters = children(der, algorithm)[:2]
    name = content(der, expect([oid], 0, OID))
    if name == _PBES2:
        derivation, scheme = children(der, expect([parameters], 0, SEQUENCE))[:2]
        cipher_name, iv = children(der, scheme)[:2]
        cipher, size = _known(_PBES2_CIPHERS, content(der, cipher_name))
        key = pbkdf2(der, derivation, passphrase or "", size, work)
        vector = content(der, expect([iv], 0, OCTET_STRING))
    else:
        cipher, size = _known(_OLD_CIPHERS, name)
        salt_element, count = children(der, expect([parameters], 0, SEQUENCE))[:2]
        salt, iterations = content(der, expect([salt_element], 0, OCTET_STRING)), number(der, count)
        key = derive("sha1", passphrase, salt, purpose=_KEY, iterations=iterations, size=size, work=work)
        vector = derive("sha1", passphrase, salt, purpose=_IV, iterations=iterations, size=8, work=work)
    return _decrypt(cipher, key, vector, ciphertext)


def pbkdf2(der: bytes, derivation: Element, passphrase: str, size: int, work: Work) -> bytes:
    """PBKDF2 (RFC 8018 §5.2) with the parameters that stand there; `size` bytes, or as many as they say when it is 0.

    Raises:
        TooCostly, Unknown; Malformed.
    """
    name, parameters = children(der, expect([derivation], 0, SEQUENCE))[:2]
    if content(der, name) != _PBKDF2:
        raise Unknown
    parts = children(der, expect([parameters], 0, SEQUENCE))
    salt, iterations = content(der, expect(parts, 0, OCTET_STRING)), number(der, expect(parts, 1, INTEGER))
    said = [number(der, part) for part in parts[2:] if part.tag == INTEGER]
    functions = [children(der, part)[0] for part in parts[2:] if part.tag == SEQUENCE]
    digest = DIGESTS.get(content(der, functions[0]), "") if functions else "sha1"
    size = size or (said[0] if said else 0)
    if not digest or not 0 < size <= 64:
        raise Unknown
    if not 0 < iterations <= MAX_ITERATIONS or len(salt) > MAX_SALT_BYTES:
        raise TooCostly
    work.spend(iterations)
    return hashlib.pbkdf2_hmac(digest, passphrase.encode("utf-8", "surrogatepass"), salt, iterations, size)


def derive(
    digest: str, passphrase: str | None, salt: bytes, *, purpose: int, iterations: int, size: int, work: Work
) -> bytes:
    """The derivation of RFC 7292 §B.2: `size` bytes for a purpose. A passphrase of None is no string at all.

    Raises:
        TooCostly.
    """
    if not 0 < iterations <= MAX_OLD_ITERATIONS or len(salt) > MAX_SALT_BYTES:
        raise TooCostly
    block = hashlib.new(digest, usedforsecurity=False).block_size
    secret = b"" if passphrase is None else passphrase.encode("utf-16-be", "surrogatepass") + b"\0\0"
    filled = b"".join(_filled(part, block) for part in (salt, secret))
    made = b""
    while True:
        work.spend(iterations * _OLD_COST)
        piece = bytes([purpose]) * block + filled
        for _ in range(iterations):
            piece = hashlib.new(digest, piece, usedforsecurity=False).digest()
        made += piece
        if len(made) >= size:
            return made[:size]
        added = int.from_bytes(_filled(piece, block)[:block], "big") + 1
        filled = b"".join(
            ((int.from_bytes(filled[at : at + block], "big") + added) % (1 << 8 * block)).to_bytes(block, "big")
            for at in range(0, len(filled), block)
        )


def _filled(part: bytes, block: int) -> bytes:
    """Repeated until it fills whole blocks."""
    if not part:
        return b""
    size = block * ((len(part) + block - 1) // block)
    return (part * (size // len(part) + 1))[:size]


def _known(ciphers: dict[bytes, tuple[type[CipherAlgorithm], int]], name: bytes) -> tuple[type[CipherAlgorithm], int]:
    if name not in ciphers:
        raise Unknown
    return ciphers[name]


def _decrypt(cipher: type[CipherAlgorithm], key: bytes, vector: bytes, ciphertext: bytes) -> bytes | None:
    """CBC with the padding of RFC 5652 §6.3; None when it does not open."""
    try:
        if cipher is RC2 and len(key) == _RC2_40_BYTES:
            return _unpadded(rc2.decrypt_cbc(key, vector, ciphertext), len(vector))
        opened = Cipher(cipher(key), modes.CBC(vector)).decryptor()  # type: ignore[call-arg]
        plain = opened.update(ciphertext) + opened.finalize()
    except ValueError:
        return None
    except UnsupportedAlgorithm:
        raise Unknown from None
    return _unpadded(plain, len(vector))


def _unpadded(plain: bytes, block: int) -> bytes | None:
    padding = plain[-1] if plain else 0
    if not 1 <= padding <= block or plain[-padding:] != bytes([padding]) * padding:
        return None
    return plain[:-padding]
