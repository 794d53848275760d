"""A CA for one machine, and the certificates of its three servers.

Every server has a key of its own. A certificate is issued again when it nears its end, when a name is missing, or when
file and key do not belong together (a crash between the two writes).
"""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Protocol

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from service.embedded.data_dir import write_file

SERVERS = ("vault", "web", "delivery")
CA_LIFETIME = timedelta(days=3650)
SERVER_LIFETIME = timedelta(days=365)
"""Under the 398 days that browsers accept."""
RENEW_BEFORE = timedelta(days=60)
_BACKDATE = timedelta(minutes=5)
"""For clients whose clock is behind."""
_WILDCARDS = {"0.0.0.0", "::", ""}  # noqa: S104 - compared with, not bound to


class Place(Protocol):
    """Where the CA and the certificates are kept: a data directory, for example."""

    @property
    def ca_file(self) -> Path:
        """The CA's certificate."""

    @property
    def tls(self) -> Path:
        """The folder of everything else."""


def server_names(host: str) -> tuple[str, ...]:
    """The names and addresses a server that listens on `host` is reached by, sorted."""
    names = {"localhost", "127.0.0.1", "::1", socket.gethostname()}
    if host in _WILDCARDS:
        names |= _outward_addresses()
    else:
        names.add(host)
    return tuple(sorted(name for name in names if name.isascii() and name))


def _outward_addresses() -> set[str]:
    """The addresses this machine would speak to the world from. Connecting a datagram socket sends nothing."""
    found = set()
    for family, target in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with contextlib.suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((target, 9))
            found.add(str(probe.getsockname()[0]))
    return found


def ensure_certificates(place: Place, names: Sequence[str], now: datetime) -> tuple[str, ...]:
    """Issue what is missing or due: the CA in `ca.pem`, each server's `tls/<server>.pem` and `tls/<server>-key.pem`.

    Returns:
        The servers whose certificate is new.
    """
    ca, ca_key = _ensure_ca(place, now)
    renewed = []
    for server in SERVERS:
        certificate_file, key_file = place.tls / f"{server}.pem", place.tls / f"{server}-key.pem"
        if _holds(certificate_file, key_file, ca, names, now):
            continue
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = _server_certificate(key, ca, ca_key, names, now)
        write_file(key_file, _key_pem(key))
        write_file(certificate_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
        renewed.append(server)
    return tuple(renewed)


def _ensure_ca(place: Place, now: datetime) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key_file = place.tls / "ca-key.pem"
    with contextlib.suppress(OSError, ValueError):
        key, certificate = _read_key(key_file), x509.load_pem_x509_certificate(place.ca_file.read_bytes())
        lasts = certificate.not_valid_after_utc - now > SERVER_LIFETIME
        if lasts and certificate.public_key() == key.public_key():
            return certificate, key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Keystead local CA, {now:%Y-%m-%d}")])
    certificate = (
        _builder(name, name, key, now, CA_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(ca=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    write_file(key_file, _key_pem(key))
    write_file(place.ca_file, certificate.public_bytes(serialization.Encoding.PEM), mode=0o644)
    return certificate, key


def _holds(certificate_file: Path, key_file: Path, ca: x509.Certificate, names: Sequence[str], now: datetime) -> bool:
    """Whether a server's files belong together, carry every name, come from this CA and last long enough."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
        certificate.verify_directly_issued_by(ca)
        alternative = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key = _read_key(key_file)
    except (OSError, ValueError, TypeError, InvalidSignature, x509.ExtensionNotFound):
        return False
    return (
        certificate.public_key() == key.public_key()
        and {_general_name(name) for name in names} <= set(alternative)
        and certificate.not_valid_after_utc - now > RENEW_BEFORE
    )


def _server_certificate(
    key: ec.EllipticCurvePrivateKey,
    ca: x509.Certificate,
    ca_key: ec.EllipticCurvePrivateKey,
    names: Sequence[str],
    now: datetime,
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keystead on this machine")])
    return (
        _builder(subject, ca.subject, key, now, SERVER_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(ca=False), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )


def _usage(*, ca: bool) -> x509.KeyUsage:
    """RFC 5280 §4.2.1.3: a CA signs certificates and CRLs, a server signs handshakes."""
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=ca,
        crl_sign=ca,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _read_key(file: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(file.read_bytes(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("not a key of ours")  # noqa: TRY004 - an unusable file, like any other damage
    return key


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
