"""A PKI for the demonstration: a root, an intermediate, and leaves that look like those of a platform.

The root's key is thrown away once the intermediate is signed. The intermediate's stays in `DIR/demo/` (0600), so that a
seeding that was cut short goes on under the same root.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Literal

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from service.embedded.data_dir import write_file

Purpose = Literal["server", "client", "both"]
_USAGES = {
    "server": [ExtendedKeyUsageOID.SERVER_AUTH],
    "client": [ExtendedKeyUsageOID.CLIENT_AUTH],
    "both": [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH],
}
_AUTHORITY_LIFETIME = timedelta(days=3650)
_BACKDATE = timedelta(hours=1)


class Issued:
    """A leaf's KEY, CERT (leaf first, then the intermediate) and CA, as PEM texts. Its repr shows none of them."""

    __slots__ = ("ca", "certificate", "private_key")

    def __init__(self, private_key: str, certificate: str, ca: str) -> None:
        self.private_key = private_key
        self.certificate = certificate
        self.ca = ca

    def write(self, folder: Path) -> None:
        """Write `key.pem`, `cert.pem` and `ca.pem`, for a person to paste."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, text in (("key", self.private_key), ("cert", self.certificate), ("ca", self.ca)):
            write_file(folder / f"{name}.pem", text.encode())


class DemoPki:
    """The intermediate and its root, kept in `folder`."""

    def __init__(self, folder: Path, now: datetime) -> None:
        self._now = now
        self._file = folder / "intermediate.pem"
        if not self._file.exists():
            self._make()
        content = self._file.read_bytes()
        key = serialization.load_pem_private_key(content, password=None)
        if not isinstance(key, ec.EllipticCurvePrivateKey):
            raise ValueError(f"{self._file} does not hold the demonstration's key")  # noqa: TRY004 - a damaged file
        self._key = key
        self._intermediate, self._root = x509.load_pem_x509_certificates(content)

    @property
    def root_pem(self) -> str:
        """What a client of the demonstration's relays trusts."""
        return _pem(self._root)

    def issue(self, name: str, hosts: Sequence[str], *, purpose: Purpose, lifetime: timedelta) -> Issued:
        """A leaf with a new P-256 key for these DNS names and addresses."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = _begin(name, self._intermediate.subject, key.public_key(), self._now, lifetime)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName([_host(host) for host in hosts]), False)
        leaf = (
            builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_USAGES[purpose]), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        return Issued(_key_pem(key), _pem(leaf) + _pem(self._intermediate), self.root_pem)

    def _make(self) -> None:
        root_key, key = ec.generate_private_key(ec.SECP384R1()), ec.generate_private_key(ec.SECP256R1())
        root_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keystead demonstration root")])
        root = _authority(root_name, root_name, root_key, root_key, self._now, path_length=1)
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keystead demonstration intermediate")])
        intermediate = _authority(name, root_name, key, root_key, self._now, path_length=0)
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(self._file, (_key_pem(key) + _pem(intermediate) + _pem(root)).encode())


def _authority(
    name: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    signer: ec.EllipticCurvePrivateKey,
    now: datetime,
    *,
    path_length: int,
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        _begin(name, issuer, key.public_key(), now, _AUTHORITY_LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .sign(signer, hashes.SHA256())
    )


def _begin(
    name: str | x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime, lifetime: timedelta
) -> x509.CertificateBuilder:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) if isinstance(name, str) else name
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATE)
        .not_valid_after(now + lifetime)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _key_pem(key: ec.EllipticCurvePrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")
