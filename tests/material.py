"""Keys and certificates for tests, made on the spot: a root, intermediates, leaves, clients, with any fault wanted."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
"""The moment that tests of pure code speak of. Live tests pass their own."""
SERVER = (ExtendedKeyUsageOID.SERVER_AUTH,)
CLIENT = (ExtendedKeyUsageOID.CLIENT_AUTH,)
BOTH = (*SERVER, *CLIENT)

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


@cache
def rsa_key(bits: int = 2048, number: int = 0) -> rsa.RSAPrivateKey:
    """One RSA key per size and number; making one costs 50 ms and more."""
    del number
    return rsa.generate_private_key(65537, bits)


def rsa_keys_with_a_prime_in_common() -> tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]:
    """Two keys of 2048 bits, as a machine without randomness would make them."""
    first, second = (rsa_key(2048, number).private_numbers() for number in (101, 102))
    return _rsa_of(first.p, first.q), _rsa_of(first.p, second.q)


def _rsa_of(p: int, q: int) -> rsa.RSAPrivateKey:
    d = pow(65537, -1, (p - 1) * (q - 1))
    public = rsa.RSAPublicNumbers(65537, p * q)
    numbers = rsa.RSAPrivateNumbers(
        p, q, d, rsa.rsa_crt_dmp1(d, p), rsa.rsa_crt_dmq1(d, q), rsa.rsa_crt_iqmp(p, q), public
    )
    return numbers.private_key()


def ec_key(curve: ec.EllipticCurve | None = None) -> ec.EllipticCurvePrivateKey:
    """A new key; P-256 unless told."""
    return ec.generate_private_key(curve or ec.SECP256R1())


@dataclass(frozen=True)
class Issued:
    """A certificate with its key and what issued it."""

    certificate: x509.Certificate
    key: Key
    issuer: Issued | None

    @property
    def pem(self) -> str:
        """The certificate alone."""
        return self.certificate.public_bytes(Encoding.PEM).decode()

    @property
    def key_pem(self) -> str:
        """The key, PKCS#8."""
        return key_pem(self.key)

    @property
    def chain(self) -> str:
        """This certificate and its intermediates, without the root."""
        above = self.issuer
        parts = [self.pem]
        while above is not None and above.issuer is not None:
            parts.append(above.pem)
            above = above.issuer
        return "".join(parts)


def key_pem(key: Key, form: PrivateFormat = PrivateFormat.PKCS8, passphrase: str | None = None) -> str:
    """A key as PEM: PKCS8, or TraditionalOpenSSL (PKCS#1, SEC1)."""
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


def request_pem(key: Key, common_name: str = "relay.example.com") -> str:
    """A certificate request."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    return x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def issue(
    common_name: str,
    *,
    issuer: Issued | None = None,
    key: Key | None = None,
    hosts: Sequence[str] = (),
    usages: Sequence[x509.ObjectIdentifier] = SERVER,
    ca: bool = False,
    path_length: int | None = None,
    now: datetime = NOW,
    start: timedelta = timedelta(days=-30),
    days: float = 90,
    algorithm: hashes.HashAlgorithm | None = None,
) -> Issued:
    """Issue a certificate, valid from `now + start` for `days` after `now`. Without `issuer` it is self-signed."""
    key = key or ec_key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.certificate.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + min(start, timedelta(days=days) - timedelta(days=1)))
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length if ca else None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    if hosts:
        names = x509.SubjectAlternativeName([_general_name(host) for host in hosts])
        builder = builder.add_extension(names, critical=False)
    if usages and not ca:
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    digest = None if isinstance(signer, ed25519.Ed25519PrivateKey) else (algorithm or hashes.SHA256())
    return Issued(builder.sign(signer, digest), key, issuer)


def root(name: str = "Test Root", *, days: float = 3650, now: datetime = NOW, key: Key | None = None) -> Issued:
    """A self-signed CA."""
    return issue(name, ca=True, days=days, now=now, key=key)


def intermediate(issuer: Issued, name: str = "Test Intermediate", *, days: float = 1800, now: datetime = NOW) -> Issued:
    """A CA below another."""
    return issue(name, issuer=issuer, ca=True, days=days, now=now)


@dataclass(frozen=True)
class Paste:
    """What a person pastes: KEY, CERT (leaf and intermediate), CA."""

    key: str
    certificate: str
    ca: str
    leaf: Issued
    root: Issued


def paste(
    *hosts: str,
    now: datetime = NOW,
    days: float = 90,
    usages: Sequence[x509.ObjectIdentifier] = SERVER,
    client_ca: bool = False,
    key: Key | None = None,
) -> Paste:
    """A root, an intermediate and a leaf for `hosts`; with `client_ca` a CA field too."""
    hosts = hosts or ("relay.example.com",)
    top = root(now=now)
    leaf = issue(hosts[0], issuer=intermediate(top, now=now), hosts=hosts, now=now, days=days, usages=usages, key=key)
    ca = root("Clients CA", now=now).pem if client_ca else ""
    return Paste(key=leaf.key_pem, certificate=leaf.chain, ca=ca, leaf=leaf, root=top)


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
