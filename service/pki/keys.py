"""Private keys: read, described, and given out in one place only."""

from __future__ import annotations

from typing import NoReturn

from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

from service.pki.codes import finding
from service.pki.der import Malformed
from service.pki.envelope import (
    EC,
    ED25519,
    MAX_ITERATIONS,
    MAX_KEY_BYTES,
    OTHER_ALGORITHMS,
    RSA,
    algorithm_of,
    opens_at_bounded_cost,
)
from service.pki.finding import Finding
from service.pki.pem import Block

MIN_RSA_BITS = 2048
"""NIST SP 800-57 part 1 §5.6.1: 112 bits of security; CA/Browser Forum BR §6.1.5."""
MAX_RSA_BITS = 8192
"""Go's TLS (Docker, Kubernetes, Traefik) and BoringSSL (Envoy, browsers) refuse larger ones."""
MIN_RSA_EXPONENT = 65537
"""NIST SP 800-56B §6.2: 2^16 < e; CA/Browser Forum BR §6.1.6."""
MAX_RSA_EXPONENT = 2**31 - 1
"""Go's `crypto/rsa` refuses larger ones."""
RSA_PRIME_SLACK_BITS = 8
"""How much shorter than half the modulus a prime may be (NIST SP 800-56B §6.2.1 allows one bit)."""
CURVES = {"secp256r1": 256, "secp384r1": 384, "secp521r1": 521}
"""The NIST curves that TLS stacks serve certificates on (RFC 8422 §5.1.1), and their sizes in bits."""

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
SigningKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
_SUPPORTED = (rsa.RSAPrivateKey, ec.EllipticCurvePrivateKey, ed25519.Ed25519PrivateKey)


class PrivateKey:
    """A private key that shows nothing of itself. `pem()` is the one way its material leaves.

    Attributes:
        algorithm: `RSA`, `EC` or `Ed25519`.
        size_bits: of the modulus or the curve.
        spki_sha256: hex SHA-256 of the public key's SubjectPublicKeyInfo in DER (RFC 7469 §2.4).
    """

    __slots__ = ("_key", "algorithm", "size_bits", "spki_sha256")

    def __init__(self, key: SigningKey) -> None:
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


def read_private_key(block: Block, passphrase: str | None) -> PrivateKey | Finding:
    """Read one block: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017 §A.1.2) or SEC1 (RFC 5915), encrypted or not.

    1. The block's label and structure: a form and an algorithm that are used here, affordable to open.
    2. Open it with the library. RSA's primality tests are left out: 30 ms for an honest key, hours for a crafted one.
    3. Instead, once the size is known to be bounded, RSA's numbers must belong together, and a signature must verify
       (the pair-wise consistency test of NIST SP 800-56B §6.4.1.1). EC keys are checked by the library.

    Returns:
        The key, or the finding that says why it cannot be used. No finding quotes any of the input.
    """
    refused = _refused_form(block) or _refused_content(block)
    if refused is not None:
        return refused
    key = _open(block, passphrase or "")
    return key if isinstance(key, Finding) else _checked(key)


_ALGORITHMS = "Use RSA of 2048 bits or more, ECDSA P-256, P-384 or P-521, or Ed25519."
_PKCS8 = {"PRIVATE KEY", "ENCRYPTED PRIVATE KEY"}
_TRADITIONAL = {"RSA PRIVATE KEY", "EC PRIVATE KEY"}


def _refused_form(block: Block) -> Finding | None:
    """What the label and the size tell."""
    if block.label == "DSA PRIVATE KEY":
        return _finding("key.algorithm", "The key is a DSA key, which TLS servers do not use.", _ALGORITHMS)
    if block.label not in _PKCS8 | _TRADITIONAL:
        hint = "Convert it to PKCS#8: `openssl pkey`, or `ssh-keygen -p -m PKCS8` for a key of OpenSSH."
        return _finding("key.format", f"A block of the kind {block.label} is not read here.", hint)
    if len(block.der) > MAX_KEY_BYTES:
        message = f"The private key has more than {MAX_KEY_BYTES} bytes; an RSA key of {MAX_RSA_BITS} bits has fewer."
        return _finding("input.too-large", message, "Paste the key alone, or make a new one.")
    return None


def _refused_content(block: Block) -> Finding | None:
    """What PKCS#8 says in clear. PKCS#1 and SEC1 hold one kind of key, and cost one round of MD5 (RFC 1421)."""
    if block.label not in _PKCS8:
        return None
    try:
        if block.kind == "encrypted-key":
            if opens_at_bounded_cost(block.der):
                return None
            message = f"Opening the key would take too long: more than {MAX_ITERATIONS} iterations, or as much scrypt."
            return _finding("key.encryption-cost", message, "Encrypt it again with fewer, or paste it decrypted.")
        algorithm = algorithm_of(block.der)
    except Malformed:
        return _unreadable()
    if algorithm in {RSA, EC, ED25519}:
        return None
    name = OTHER_ALGORITHMS.get(algorithm, "of an algorithm that is not known here")
    return _finding("key.algorithm", f"The key is {name}, which TLS servers do not use.", _ALGORITHMS)


def _open(block: Block, passphrase: str) -> SigningKey | Finding:
    encrypted = block.kind == "encrypted-key"
    if encrypted and not passphrase:
        return _finding("key.encrypted", "The key is encrypted.", "Enter its passphrase; it is not stored.")
    try:
        key = serialization.load_pem_private_key(
            block.pem, passphrase.encode() if encrypted else None, unsafe_skip_rsa_key_validation=True
        )
    except UnsupportedAlgorithm:
        return _finding("key.algorithm", "The key's algorithm or encryption is not supported.", _ALGORITHMS)
    except (ValueError, TypeError, InternalError):
        if encrypted:
            return _finding("key.passphrase", "The passphrase does not open the key.", "Check the passphrase.")
        return _unreadable()
    if not isinstance(key, _SUPPORTED):
        return _finding("key.algorithm", "The key's algorithm is not one that TLS servers use.", _ALGORITHMS)
    return key


def _checked(key: SigningKey) -> PrivateKey | Finding:
    if isinstance(key, rsa.RSAPrivateKey):
        if not MIN_RSA_BITS <= key.key_size <= MAX_RSA_BITS:
            message = f"The RSA key has {key.key_size} bits; {MIN_RSA_BITS} to {MAX_RSA_BITS} are accepted."
            return _finding("key.weak", message, "Make a new key, and a certificate for it.")
        exponent = key.public_key().public_numbers().e
        if not MIN_RSA_EXPONENT <= exponent <= MAX_RSA_EXPONENT or exponent % 2 == 0:
            message = f"The RSA key's public exponent must be odd, and {MIN_RSA_EXPONENT} to {MAX_RSA_EXPONENT}."
            return _finding("key.exponent", message, "Make a new key, and a certificate for it.")
        if not _is_consistent(key):
            message = "The RSA key is damaged: its numbers do not belong together."
            return _finding("key.inconsistent", message, "Copy it again from its file, or make a new one.")
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in CURVES:
        return _finding("key.algorithm", f"The key is on the curve {key.curve.name}.", _ALGORITHMS)
    return PrivateKey(key)


def _is_consistent(key: rsa.RSAPrivateKey) -> bool:
    """Whether RSA's numbers fit each other (RFC 8017 §3.2), and the key verifies what it signs."""
    numbers = key.private_numbers()
    p, q, d = numbers.p, numbers.q, numbers.d
    n, e = numbers.public_numbers.n, numbers.public_numbers.e
    fit = (
        p * q == n
        and p != q
        and min(p, q).bit_length() * 2 >= n.bit_length() - 2 * RSA_PRIME_SLACK_BITS
        and n % 2 == 1
        and 1 < d < n
        and d * e % (p - 1) == 1
        and d * e % (q - 1) == 1
        and numbers.dmp1 == d % (p - 1)
        and numbers.dmq1 == d % (q - 1)
        and 0 < numbers.iqmp < p
        and numbers.iqmp * q % p == 1
    )
    if not fit:
        return False
    try:
        signature = key.sign(b"pair-wise consistency", padding.PKCS1v15(), hashes.SHA256())
        key.public_key().verify(signature, b"pair-wise consistency", padding.PKCS1v15(), hashes.SHA256())
    except (ValueError, InvalidSignature, InternalError):
        return False
    return True


def _unreadable() -> Finding:
    message = "The block is marked as a private key, but its content is not one."
    return _finding("key.unreadable", message, "Copy the whole file again, from BEGIN to END.")


def _finding(code: str, message: str, hint: str) -> Finding:
    return finding(code, message, hint, "private_key")
