"""PKCS#12 (RFC 7292): the keys and certificates of a `.p12` or `.pfx` file, opened in memory, at a bounded cost.

Written out because the usual libraries give one key and its certificate where a file may hold several, and follow a
crafted file into minutes of key derivation. Keys stay in their own encrypted form,
unless the passphrase is empty: `service.pki.keys` opens them.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass, field
from typing import Literal

from service.pki.der import (
    INTEGER,
    OCTET_STRING,
    OID,
    SEQUENCE,
    TAGGED,
    Element,
    Malformed,
    children,
    content,
    definite,
    encode,
    expect,
    number,
    whole,
)
from service.pki.pbe import DIGESTS, TooCostly, Unknown, Work, decrypt, derive, pbkdf2

MAX_KEYS = 8
MAX_CERTIFICATES = 128
MAX_NESTING = 4
_DATA, _ENCRYPTED_DATA = bytes.fromhex("2a864886f70d010701"), bytes.fromhex("2a864886f70d010706")
_BAG = bytes.fromhex("2a864886f70d010c0a01")
_X509 = bytes.fromhex("2a864886f70d01091601")
_PBMAC1 = bytes.fromhex("2a864886f70d01050e")
_MAC_KEY = 3
"""RFC 7292 §B.3: what a derived key is for."""

Trouble = Literal["encrypted", "passphrase", "cost", "algorithm", "unreadable"]


class CannotOpen(Exception):
    """A file that cannot be opened, and why. The text quotes none of it."""

    def __init__(self, trouble: Trouble) -> None:
        super().__init__(trouble)
        self.trouble = trouble


@dataclass(slots=True)
class Contents:
    """What a file holds.

    Attributes:
        keys: PKCS#8 in DER, with True when it is encrypted (with the file's passphrase).
        certificates: DER.
    """

    keys: list[tuple[bytes, bool]] = field(default_factory=list)
    certificates: list[bytes] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"Contents({len(self.keys)} keys, {len(self.certificates)} certificates)"


def open_pkcs12(ber: bytes, passphrase: str | None, work: Work) -> Contents:
    """Open a file, after its MAC has proved the passphrase (RFC 7292 §5.1), with the work that is left for its field.

    Raises:
        CannotOpen: `encrypted` without a passphrase that opens it, `passphrase` when it is a wrong one, `cost`,
            `algorithm`, `unreadable`.
    """
    found = Contents()
    try:
        der = definite(ber)
        parts = children(der, whole(der))
        safe = _content_info(der, expect(parts, 1, SEQUENCE), _DATA)
        secret = _proved(der, parts[2], safe, passphrase, work) if len(parts) > 2 else (passphrase or "")
        for info in children(safe, whole(safe)):
            _gather(_plain(safe, info, secret, work), found, MAX_NESTING)
        if not secret:
            found.keys = [
                _without_passphrase(key, secret, work) if encrypted else (key, False) for key, encrypted in found.keys
            ]
    except TooCostly:
        raise CannotOpen("cost") from None
    except Unknown:
        raise CannotOpen("algorithm") from None
    except (Malformed, IndexError):
        raise CannotOpen("unreadable") from None
    return found


def _content_info(der: bytes, info: Element, kind: bytes) -> bytes:
    parts = children(der, info)
    if content(der, expect(parts, 0, OID)) != kind:
        raise Malformed
    return content(der, expect(children(der, expect(parts, 1, TAGGED)), 0, OCTET_STRING))


def _proved(der: bytes, mac: Element, safe: bytes, passphrase: str | None, work: Work) -> str | None:
    """The passphrase that makes the MAC; None stands for a file made without one (RFC 7292 §B.1 leaves both open)."""
    for candidate in [passphrase] if passphrase else ["", None]:
        if hmac.compare_digest(*_macs(der, mac, safe, candidate, work)):
            return candidate
    raise CannotOpen("passphrase" if passphrase else "encrypted")


def _macs(der: bytes, mac: Element, safe: bytes, passphrase: str | None, work: Work) -> tuple[bytes, bytes]:
    """The MAC that the file has, and the one that the passphrase makes."""
    parts = children(der, expect([mac], 0, SEQUENCE))
    algorithm, digest = children(der, expect(parts, 0, SEQUENCE))[:2]
    expected = content(der, expect([digest], 0, OCTET_STRING))
    name = children(der, algorithm)
    oid = content(der, expect(name, 0, OID))
    if oid == _PBMAC1:  # RFC 9579
        derivation, scheme = children(der, expect(name, 1, SEQUENCE))[:2]
        hash_name = DIGESTS.get(content(der, expect(children(der, scheme), 0, OID)), "")
        key = pbkdf2(der, derivation, passphrase or "", 0, work)
    else:
        hash_name = DIGESTS.get(oid, "")
        iterations = number(der, parts[2]) if len(parts) > 2 else 1
        if not hash_name:
            raise Unknown
        size = hashlib.new(hash_name, usedforsecurity=False).digest_size
        salt = content(der, expect(parts, 1, OCTET_STRING))
        key = derive(hash_name, passphrase, salt, purpose=_MAC_KEY, iterations=iterations, size=size, work=work)
    if not hash_name:
        raise Unknown
    return expected, hmac.new(key, safe, hash_name).digest()


def _plain(safe: bytes, info: Element, secret: str | None, work: Work) -> bytes:
    """SafeContents in DER: as they stand, or decrypted (RFC 7292 §4.1, RFC 5652 §8)."""
    parts = children(safe, info)
    kind = content(safe, expect(parts, 0, OID))
    if kind == _DATA:
        return _content_info(safe, info, _DATA)
    if kind != _ENCRYPTED_DATA:
        raise Unknown  # encrypted to a certificate: nobody has asked for it
    inner = children(safe, expect(children(safe, expect(parts, 1, TAGGED)), 0, SEQUENCE))
    expect(inner, 0, INTEGER)
    encrypted = children(safe, expect(inner, 1, SEQUENCE))
    ciphertext = encrypted[2]
    whole_text = content(safe, ciphertext)
    if ciphertext.tag == TAGGED:  # divided into pieces
        whole_text = b"".join(content(safe, piece) for piece in children(safe, ciphertext))
    plain = decrypt(safe, expect(encrypted, 1, SEQUENCE), secret, whole_text, work)
    if plain is None:
        raise CannotOpen("passphrase" if secret else "encrypted")
    return plain


def _without_passphrase(key: bytes, secret: str | None, work: Work) -> tuple[bytes, bool]:
    """A key that is encrypted with the empty passphrase of its file, opened: nobody can be asked for that."""
    parts = children(key, whole(key))
    plain = decrypt(key, expect(parts, 0, SEQUENCE), secret, content(key, expect(parts, 1, OCTET_STRING)), work)
    return (key, True) if plain is None else (plain, False)


def _gather(contents: bytes, found: Contents, depth: int) -> None:
    """The bags of SafeContents (RFC 7292 §4.2)."""
    if depth == 0:
        raise Malformed
    for bag in children(contents, whole(contents)):
        parts = children(contents, expect([bag], 0, SEQUENCE))
        oid = content(contents, expect(parts, 0, OID))
        value = expect(parts, 1, TAGGED)
        if oid[:-1] != _BAG:
            raise Malformed
        match oid[-1]:
            case 1 | 2:
                found.keys.append((content(contents, value), oid[-1] == 2))
            case 3:
                inner = children(contents, expect(children(contents, value), 0, SEQUENCE))
                if content(contents, expect(inner, 0, OID)) == _X509:
                    held = expect(children(contents, expect(inner, 1, TAGGED)), 0, OCTET_STRING)
                    found.certificates.append(content(contents, held))
            case 6:
                nested = expect(children(contents, value), 0, SEQUENCE)
                _gather(encode(SEQUENCE, content(contents, nested)), found, depth - 1)
            case _:
                pass  # revocation lists and secrets are no part of a bundle
        if len(found.keys) > MAX_KEYS or len(found.certificates) > MAX_CERTIFICATES:
            raise Malformed
