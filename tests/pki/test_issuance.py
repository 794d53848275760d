"""Keys that can be broken, public limits, purposes that end, and authorities that fit no client."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import gcd, prod

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from service.pki.bundle import check_bundle
from service.pki.weak_keys import shared_prime, weakness
from tests.material import BOTH, NOW, SERVER, Issued, intermediate, issue, paste, root, rsa_key


def codes(key: str | None, certificate: str, **more: object) -> list[str]:
    found = check_bundle(private_key=key, certificate=certificate, **{"now": NOW, **more})  # type: ignore[arg-type]
    return [finding.code for finding in found.findings]


# Broken keys


def test_keys_of_a_good_generator_are_not_suspected():
    for number in range(8):
        numbers = rsa_key(2048, number).public_key().public_numbers()
        assert weakness(numbers.n, numbers.e) is None


def test_roca_is_recognised():
    primes = [n for n in range(2, 168) if all(n % d for d in range(2, n))]
    multiple = prod(primes)
    modulus = pow(65537, 1234, multiple) + multiple * (1 << 1800)
    while any(modulus % n == 0 for n in range(3, 2000, 2)):
        modulus += multiple
    assert weakness(modulus, 65537) == "roca"


def test_primes_that_lie_close_together_are_found():
    first = rsa_key(2048, 0).private_numbers().p
    second = first + 2
    while not _is_prime(second):
        second += 2
    assert weakness(first * second, 65537) == "close-primes"


def test_small_factors_and_exponents_that_are_none_are_found():
    numbers = rsa_key(2048, 0).private_numbers()
    assert weakness(numbers.p * 1999, 65537) == "small-factor"
    assert weakness(numbers.public_numbers.n, 65536) == "exponent"
    assert weakness(numbers.public_numbers.n, 1) == "exponent"


def test_a_prime_in_common_is_found_and_equal_keys_are_no_case_of_it():
    one, other, third = (rsa_key(2048, number).private_numbers() for number in range(3))
    modulus = one.p * one.q
    assert shared_prime(modulus, one.p * other.q * third.p * third.q)
    assert not shared_prime(modulus, other.p * other.q * third.p * third.q)
    assert not shared_prime(modulus, modulus * 5)
    assert gcd(modulus, other.p * other.q) == 1


def test_a_broken_key_in_the_chain_is_an_error():
    numbers = rsa_key(2048, 0).private_numbers()
    weak = _with_modulus(issue("w.example.com", hosts=["w.example.com"], key=rsa_key(2048, 0)), numbers.p * 1999)
    assert "key.small-factor" in codes(None, weak)


def _with_modulus(issued: Issued, modulus: int) -> str:
    """The certificate with another modulus of the same length in it; its signature no longer fits."""
    der = issued.certificate.public_bytes(Encoding.DER)
    old = issued.certificate.public_key().public_numbers().n.to_bytes(256, "big")  # type: ignore[union-attr]
    padded = modulus * (1 << (2048 - modulus.bit_length())) + 1
    while padded % 1999:
        padded += 2
    return (
        x509.load_der_x509_certificate(der.replace(old, padded.to_bytes(256, "big")))
        .public_bytes(Encoding.PEM)
        .decode()
    )


def _is_prime(number: int) -> bool:
    return all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7))


# Issuance


def public(
    issued_at: datetime, days: float, usages: tuple[x509.ObjectIdentifier, ...] = SERVER
) -> tuple[str, str, str]:
    """Key, chain and intermediate of a certificate that says it was issued by the public rules."""
    top = root(now=issued_at)
    middle = intermediate(top, now=issued_at)
    leaf = issue("p.example.com", issuer=middle, hosts=["p.example.com"], usages=usages, now=issued_at)
    policy = x509.PolicyInformation(x509.ObjectIdentifier("2.23.140.1.2.1"), None)
    builder = (
        x509.CertificateBuilder()
        .subject_name(leaf.certificate.subject)
        .issuer_name(middle.certificate.subject)
        .public_key(leaf.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(issued_at)
        .not_valid_after(issued_at + timedelta(days=days))
        .add_extension(x509.CertificatePolicies([policy]), critical=False)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("p.example.com")]), critical=False)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
    )
    made = builder.sign(middle.key, hashes.SHA256())  # type: ignore[arg-type]
    return leaf.key_pem, made.public_bytes(Encoding.PEM).decode() + middle.pem, middle.pem


@pytest.mark.parametrize(
    ("issued_on", "limit"),
    [((2019, 6, 1), 825), ((2021, 6, 1), 398), ((2026, 4, 1), 200), ((2027, 4, 1), 100), ((2029, 4, 1), 47)],
)
def test_a_public_certificate_may_last_as_long_as_its_day_of_issuance_allows(issued_on, limit):
    at = datetime(*issued_on, tzinfo=UTC)
    key, chain, _ = public(at, limit)
    assert codes(key, chain, now=at + timedelta(days=1)) == []
    key, chain, _ = public(at, limit + 1)
    assert codes(key, chain, now=at + timedelta(days=1)) == ["certificate.too-long"]


def test_a_private_certificate_may_last_for_years():
    long = paste("relay.example.com", days=1700)
    assert codes(long.key, long.certificate) == []


def test_the_end_of_client_authentication_by_public_issuers_is_told_ahead():
    key, chain, _ = public(NOW - timedelta(days=1), 90, BOTH)
    assert codes(key, chain, purpose="client") == ["purpose.client-auth-ending"]
    assert codes(key, chain, purpose="server") == []


def test_a_public_ca_for_clients_is_warned_of():
    key, chain, middle = public(NOW - timedelta(days=1), 90)
    found = codes(key, chain, ca=middle)
    assert "ca.public" in found


def test_a_ca_that_issues_no_clients_and_one_that_ends_too_soon_are_told():
    good = paste("relay.example.com", days=300)
    constrained = _ca_for_servers()
    assert codes(good.key, good.certificate, ca=constrained) == ["ca.irrelevant"]
    assert codes(good.key, good.certificate, ca=root("Clients", days=100).pem) == ["ca.expires-first"]


def _ca_for_servers() -> str:
    top = root("Servers only")
    builder = (
        x509.CertificateBuilder()
        .subject_name(top.certificate.subject)
        .issuer_name(top.certificate.subject)
        .public_key(top.key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=900))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )
    return builder.sign(top.key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()  # type: ignore[arg-type]
