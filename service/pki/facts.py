"""What a certificate says: read once, kept as plain values."""

from __future__ import annotations

import ipaddress
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any, TypeVar

from cryptography import x509
from cryptography.exceptions import InternalError, InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import PSS, PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, SignatureAlgorithmOID

from service.pki.codes import shown
from service.pki.der import TAGGED, children, whole
from service.pki.keys import describe_public_key, spki_sha256

FACTS_KEPT = 512
"""Facts are a pure function of the DER. Intermediates and CAs are the same in most bundles of an instance, so keeping
the last ones halves the time to read ten thousand bundles, and their memory."""

MAX_VERIFIED_RSA_BITS, MAX_VERIFIED_EXPONENT_BITS = 16384, 64
"""OpenSSL verifies no signature beyond them (`OPENSSL_RSA_MAX_MODULUS_BITS`, `OPENSSL_RSA_MAX_PUBEXP_BITS`)."""

_AROUND_SEPARATORS = re.compile(r" ?([,=+]) ?")
_USAGES = {ExtendedKeyUsageOID.SERVER_AUTH: "serverAuth", ExtendedKeyUsageOID.CLIENT_AUTH: "clientAuth"}
ANY_USAGE = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string
"""anyExtendedKeyUsage (RFC 5280 §4.2.1.12)."""


_WITHOUT_HASH = {SignatureAlgorithmOID.ED25519: "Ed25519", SignatureAlgorithmOID.ED448: "Ed448"}


MALFORMED = (
    ValueError,  # Unreadable too
    TypeError,
    UnsupportedAlgorithm,
    InternalError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
"""What the library raises, at the latest when a field is asked for."""
Argument = TypeVar("Argument")
Result = TypeVar("Result")
Read = tuple[x509.Certificate, "CertificateFacts"]
"""A certificate and its facts."""


class Unreadable(ValueError):
    """A certificate whose content cannot be read. The text quotes none of it."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """One X.509 certificate.

    Attributes:
        subject, issuer: RFC 4514 names.
        serial, fingerprint_sha256, spki_sha256: lower-case hex without colons.
        not_before, not_after: aware UTC.
        dns_names, ip_addresses: from the subject alternative name, as written, lower-case.
        extended_key_usages: `serverAuth`, `clientAuth`, else dotted; empty when there is no such extension.
        is_ca: basicConstraints says CA, and keyUsage, when there, allows signing certificates.
        self_signed: issuer is subject, and its own key verifies the signature.
    """

    subject: str
    common_name: str | None
    issuer: str
    issuer_common_name: str | None
    serial: str
    not_before: datetime
    not_after: datetime
    dns_names: tuple[str, ...]
    ip_addresses: tuple[str, ...]
    extended_key_usages: tuple[str, ...]
    key_algorithm: str
    key_size_bits: int
    signature_algorithm: str
    is_ca: bool
    self_signed: bool
    fingerprint_sha256: str
    spki_sha256: str

    @property
    def title(self) -> str:
        """What a person calls it: its common name, its first host name, or its whole subject; fit to be shown."""
        return shown(self.common_name or next(iter(self.dns_names), "") or self.subject or f"serial {self.serial}")

    @property
    def issuer_title(self) -> str:
        """What a person calls its issuer; fit to be shown."""
        return shown(self.issuer_common_name or self.issuer)

    def as_json(self) -> dict[str, Any]:
        """The shape of the API; times as RFC 3339."""
        return _json(asdict(self))


@dataclass(frozen=True, slots=True)
class BundleFacts:
    """What a stored bundle says without its key.

    Attributes:
        chain: leaf first.
        ca: the authorities whose clients an mTLS relay accepts; may be empty.
        chain_complete: a client that trusts the root can build the path from what the server sends.
    """

    chain: tuple[CertificateFacts, ...]
    ca: tuple[CertificateFacts, ...]
    chain_complete: bool

    @property
    def leaf(self) -> CertificateFacts:
        """The certificate of the host itself."""
        return self.chain[0]

    @property
    def not_after(self) -> datetime:
        """When it stops working: the earliest end in the chain."""
        return min(certificate.not_after for certificate in self.chain)

    def as_json(self) -> dict[str, Any]:
        """The shape of the API (INTERFACE: `facts`): the leaf's facts, and the chain, CA and `ends_at` beside them."""
        return {
            **self.leaf.as_json(),
            "chain": [certificate.as_json() for certificate in self.chain],
            "ca": [certificate.as_json() for certificate in self.ca],
            "chain_complete": self.chain_complete,
            "ends_at": self.not_after.isoformat(),
        }


def read_facts(certificate_pem: str, ca_pem: str = "") -> BundleFacts:
    """The facts of stored, already checked material: the chain leaf first.

    Raises:
        Unreadable: it is not what Keystead stored.
    """
    try:
        chain = despite_warnings(x509.load_pem_x509_certificates, certificate_pem.encode())
        ca = despite_warnings(x509.load_pem_x509_certificates, ca_pem.encode()) if ca_pem.strip() else []
    except MALFORMED:
        raise Unreadable("the stored certificate is not readable PEM") from None
    return bundle_facts([(one, certificate_facts(one)) for one in chain], [(one, certificate_facts(one)) for one in ca])


def bundle_facts(chain: Sequence[Read], ca: Sequence[Read]) -> BundleFacts:
    """The facts of a chain that is in order."""
    return BundleFacts(
        chain=tuple(facts for _, facts in chain),
        ca=tuple(facts for _, facts in ca),
        chain_complete=_is_complete(chain, ca),
    )


def _is_complete(chain: Sequence[Read], ca: Sequence[Read]) -> bool:
    """Whether nothing is missing between the leaf and a root. Servers need not send the root (RFC 8446 §4.4.2).

    A chain with an intermediate ends at a root that its clients have. A lone leaf is complete when it is self-signed,
    or when its issuer is a root that is known here, from the CA field.
    """
    last, facts = chain[-1]
    if len(chain) > 1 or facts.self_signed:
        return True
    issuer = name_key(facts.issuer)
    return any(
        one.self_signed and name_key(one.subject) == issuer and issued_by(last, certificate) for certificate, one in ca
    )


def load_certificate(der: bytes) -> x509.Certificate:
    """One certificate.

    Raises:
        Unreadable: it is none, or not in DER.
    """
    try:
        return despite_warnings(x509.load_der_x509_certificate, der)
    except MALFORMED:
        raise Unreadable("not a certificate") from None


def certificate_facts(certificate: x509.Certificate) -> CertificateFacts:
    """The facts of one certificate.

    Raises:
        Unreadable: an extension, a name or the key in it cannot be read.
    """
    return _facts_of(certificate.public_bytes(Encoding.DER))


@lru_cache(maxsize=FACTS_KEPT)
def _facts_of(der: bytes) -> CertificateFacts:
    try:
        facts = despite_warnings(_facts, load_certificate(der))
        if not _names_one_signature_algorithm(der):
            raise Unreadable("the two signature algorithms in it differ")
    except MALFORMED:
        raise Unreadable("a field of the certificate is malformed") from None
    return facts


def _names_one_signature_algorithm(der: bytes) -> bool:
    """RFC 5280 §4.1.1.2: what is signed names the same algorithm as what stands beside the signature."""
    signed, beside, *_ = children(der, whole(der))
    fields = children(der, signed)
    within = fields[2 if fields[0].tag == TAGGED else 1]
    return der[within.at : within.end] == der[beside.at : beside.end]


def despite_warnings(read: Callable[[Argument], Result], argument: Argument) -> Result:
    """Read the same whether or not warnings are errors: the library warns of what others sign (serial 0, odd names)."""
    try:
        return read(argument)
    except Warning:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read(argument)


def _facts(certificate: x509.Certificate) -> CertificateFacts:
    extensions = certificate.extensions
    dns_names, ip_addresses = _names(extensions)
    public_key = certificate.public_key()
    algorithm, size_bits = describe_public_key(public_key)
    return CertificateFacts(
        subject=certificate.subject.rfc4514_string(),
        common_name=_common_name(certificate.subject),
        issuer=certificate.issuer.rfc4514_string(),
        issuer_common_name=_common_name(certificate.issuer),
        serial=f"{certificate.serial_number:x}",
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
        dns_names=dns_names,
        ip_addresses=ip_addresses,
        extended_key_usages=_usages(extensions),
        key_algorithm=algorithm,
        key_size_bits=size_bits,
        signature_algorithm=_signature_algorithm(certificate),
        is_ca=_is_ca(extensions),
        self_signed=certificate.issuer == certificate.subject and issued_by(certificate, certificate),
        fingerprint_sha256=certificate.fingerprint(hashes.SHA256()).hex(),
        spki_sha256=spki_sha256(public_key),  # type: ignore[arg-type] # any public key has an SPKI
    )


def issued_by(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether `issuer`'s key made the signature on `certificate`, and the names say so too.

    An RSA key with a modulus or an exponent that no client would take has made none: checking it could take minutes.
    """
    try:
        key = issuer.public_key()
        if isinstance(key, RSAPublicKey) and (
            key.key_size > MAX_VERIFIED_RSA_BITS or key.public_numbers().e >> MAX_VERIFIED_EXPONENT_BITS
        ):
            return False
        names = (certificate.issuer.rfc4514_string(), issuer.subject.rfc4514_string())
        if not same_form(certificate, issuer) and len({name_key(name) for name in names}) > 1:
            return False
        _verify(certificate, key)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm, InternalError):
        return False
    return True


def same_form(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    """Whether it names its issuer byte by byte as the issuer names itself."""
    return certificate.issuer.public_bytes() == issuer.subject.public_bytes()


def _verify(certificate: x509.Certificate, key: object) -> None:
    """Verify a signature alone, however weak: `certificate.weak-signature` tells of that, and not that it is wrong.

    Raises:
        InvalidSignature, TypeError.
    """
    signature, signed = certificate.signature, certificate.tbs_certificate_bytes
    parameters, digest = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
    match key:
        case RSAPublicKey() if digest is not None:
            key.verify(signature, signed, parameters if isinstance(parameters, PSS) else PKCS1v15(), digest)
        case EllipticCurvePublicKey() if digest is not None:
            key.verify(signature, signed, ECDSA(digest))
        case Ed25519PublicKey() | Ed448PublicKey():
            key.verify(signature, signed)
        case _:
            raise TypeError("no such signature is verified here")


@lru_cache(maxsize=1024)
def name_key(rfc4514: str) -> str:
    """A name as RFC 5280 §7.1 compares it: without regard to case and to white space that is more than one blank."""
    plain = " ".join(rfc4514.replace("\\ ", " ").split()).casefold()
    return _AROUND_SEPARATORS.sub(r"\1", plain)


def _common_name(name: x509.Name) -> str | None:
    found = name.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(found[0].value) if found else None


def _names(extensions: x509.Extensions) -> tuple[tuple[str, ...], tuple[str, ...]]:
    try:
        alternative = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return (), ()
    dns = tuple(name.lower() for name in alternative.get_values_for_type(x509.DNSName))
    addresses = alternative.get_values_for_type(x509.IPAddress)
    # A network is no name of a host, though the library reads one here (RFC 5280 §4.2.1.6: 4 or 16 octets).
    return dns, tuple(str(one) for one in addresses if isinstance(one, ipaddress.IPv4Address | ipaddress.IPv6Address))


def _usages(extensions: x509.Extensions) -> tuple[str, ...]:
    try:
        usages = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return ()
    return tuple(_USAGES.get(usage, usage.dotted_string) for usage in usages)


def _is_ca(extensions: x509.Extensions) -> bool:
    try:
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except x509.ExtensionNotFound:
        return False
    try:
        return extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    except x509.ExtensionNotFound:
        return True


def _signature_algorithm(certificate: x509.Certificate) -> str:
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return certificate.signature_algorithm_oid.dotted_string
    if algorithm is None:
        oid = certificate.signature_algorithm_oid
        return _WITHOUT_HASH.get(oid, oid.dotted_string)
    name = algorithm.name.upper()
    return name if name.startswith("SHA3-") else name.replace("SHA", "SHA-")


def _json(values: dict[str, Any]) -> dict[str, Any]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
    }
