"""Private keys: read, described, and given out in one place only."""

from __future__ import annotations

from typing import NoReturn

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from service.pki.codes import SEVERITIES
from service.pki.finding import Finding

MIN_RSA_BITS = 2048
"""NIST SP 800-57 part 1 §5.6.1: 112 bits of security; CA/Browser Forum BR §6.1.5."""
MAX_RSA_BITS = 16384
"""Larger ones make every handshake a denial of service."""
MIN_RSA_EXPONENT = 65537
"""NIST SP 800-56B §6.2: 2^16 < e; CA/Browser Forum BR §6.1.6."""
CURVES = {"secp256r1": 256, "secp384r1": 384, "secp521r1": 521}
"""The NIST curves that TLS stacks serve certificates on (RFC 8422 §5.1.1), and their sizes in bits."""

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
_SUPPORTED = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)


class PrivateKey:
    """A private key that shows nothing of itself. `pem()` is the one way its material leaves.

    Attributes:
        algorithm: `RSA`, `EC` or `Ed25519`.
        size_bits: of the modulus or the curve.
        spki_sha256: hex SHA-256 of the public key's SubjectPublicKeyInfo in DER (RFC 7469 §2.4).
    """

    __slots__ = ("_key", "algorithm", "size_bits", "spki_sha256")

    def __init__(self, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
        self._key = key
        self.algorithm, self.size_bits = describe_public_key(key.public_key())
        self.spki_sha256 = spki_sha256(key.public_key())

    def __repr__(self) -> str:
        return f"PrivateKey({self.algorithm} {self.size_bits})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled or copied")

    def pem(self) -> str:
        """The key as unencrypted PKCS#8 PEM (RFC 5208, RFC 7468 §10)."""
        return self._key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode("ascii")


def spki_sha256(key: PublicKey) -> str:
    """Hex SHA-256 of the SubjectPublicKeyInfo in DER: two certificates with the same value share a key pair."""
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(der)
    return digest.finalize().hex()


def describe_public_key(key: object) -> tuple[str, int]:
    """Algorithm and size in bits; `("EC secp256k1", 256)` for a curve that TLS stacks do not serve."""
    match key:
        case rsa.RSAPublicKey():
            return "RSA", key.key_size
        case ec.EllipticCurvePublicKey():
            return ("EC" if key.curve.name in CURVES else f"EC {key.curve.name}"), key.key_size
        case ed25519.Ed25519PublicKey():
            return "Ed25519", 256
        case _:
            return type(key).__name__.lstrip("_").removesuffix("PublicKey"), 0


def read_private_key(pem: bytes, passphrase: str | None) -> PrivateKey | Finding:
    """Read one PEM block: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017 §A.1.2) or SEC1 (RFC 5915), encrypted or not.

    Returns:
        The key, or the finding that says why it cannot be used. No finding quotes any of the input.
    """
    encrypted = b"ENCRYPTED" in pem
    if encrypted and not passphrase:
        return _finding("key.encrypted", "The key is encrypted.", "Enter its passphrase; it is not stored.")
    try:
        key = serialization.load_pem_private_key(pem, passphrase.encode() if encrypted and passphrase else None)
    except UnsupportedAlgorithm:
        return _finding("key.algorithm", "The key's algorithm or encryption is not supported.", _ALGORITHMS)
    except (ValueError, TypeError):
        if encrypted:
            return _finding("key.passphrase", "The passphrase does not open the key.", "Check the passphrase.")
        return _finding(
            "key.unreadable",
            "The block is marked as a private key, but its content is not one.",
            "Copy the whole file again, from BEGIN to END.",
        )
    if not isinstance(key, _SUPPORTED):
        return _finding("key.algorithm", "The key's algorithm is not one that TLS servers use.", _ALGORITHMS)
    return _checked(key)


_ALGORITHMS = "Use RSA of 2048 bits or more, ECDSA P-256, P-384 or P-521, or Ed25519."


def _checked(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> PrivateKey | Finding:
    if isinstance(key, rsa.RSAPrivateKey):
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            message = f"The RSA key has {key.key_size} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are accepted."
            return _finding("key.weak", message, "Make a new key, and a certificate for it.")
        exponent = key.public_key().public_numbers().e
        if exponent < MIN_RSA_EXPONENT or exponent % 2 == 0:
            message = f"The RSA key's public exponent is {exponent}; it must be odd and at least {MIN_RSA_EXPONENT}."
            return _finding("key.exponent", message, "Make a new key, and a certificate for it.")
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in CURVES:
        return _finding("key.algorithm", f"The key is on the curve {key.curve.name}.", _ALGORITHMS)
    return PrivateKey(key)


def _finding(code: str, message: str, hint: str) -> Finding:
    return Finding(code=code, severity=SEVERITIES[code], message=message, hint=hint, field="private_key")
