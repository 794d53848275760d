"""What CAs lay down for those below them: name constraints, path length, key usage; and paths among several."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from service.pki.bundle import accepts_client, check_bundle
from tests.material import BOTH, CLIENT, NOW, SERVER, Issued, ec_key


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def certify(
    common_name: str,
    issuer: Issued | None,
    *extensions: tuple[x509.ExtensionType, bool],
    key: ec.EllipticCurvePrivateKey | None = None,
    days: float = 300,
    issuer_name: x509.Name | None = None,
) -> Issued:
    key = key or ec_key()
    above = issuer_name or (issuer.certificate.subject if issuer else name(common_name))
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(common_name))
        .issuer_name(above)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - timedelta(days=400))
        .not_valid_after(NOW + timedelta(days=days))
    )
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical=critical)
    signer = issuer.key if issuer else key
    return Issued(builder.sign(signer, hashes.SHA256()), key, issuer)  # type: ignore[arg-type]


def ca(path_length: int | None = None) -> tuple[x509.ExtensionType, bool]:
    return x509.BasicConstraints(ca=True, path_length=path_length), True


def leaf(issuer: Issued, *names: x509.GeneralName, usages: Sequence[x509.ObjectIdentifier] = SERVER) -> Issued:
    san = x509.SubjectAlternativeName(names or [x509.DNSName("relay.example.com")])
    return certify("relay", issuer, (san, False), (x509.ExtendedKeyUsage(usages), False))


def codes(one: Issued, *others: str) -> list[str]:
    checked = check_bundle(private_key=one.key_pem, certificate=one.chain + "".join(others), now=NOW)
    return [finding.code for finding in checked.findings]


def of_the_chain(one: Issued) -> list[str]:
    return [code for code in codes(one) if code.startswith("chain.")]


def constraints(
    permitted: Sequence[x509.GeneralName] = (), excluded: Sequence[x509.GeneralName] = ()
) -> x509.ExtensionType:
    return x509.NameConstraints(list(permitted) or None, list(excluded) or None)


DNS, IP, MAIL, URI = x509.DNSName, x509.IPAddress, x509.RFC822Name, x509.UniformResourceIdentifier


def network(text: str) -> x509.IPAddress:
    return IP(ipaddress.ip_network(text))


def address(text: str) -> x509.IPAddress:
    return IP(ipaddress.ip_address(text))


@pytest.mark.parametrize(
    ("bound", "inside", "outside"),
    [
        (DNS("example.com"), DNS("a.example.com"), DNS("a.example.org")),
        (DNS("example.com"), DNS("example.com"), DNS("notexample.com")),
        (DNS(".example.com"), DNS("a.example.com"), DNS("example.com")),
        (network("192.0.2.0/24"), address("192.0.2.9"), address("198.51.100.1")),
        (network("2001:db8::/32"), address("2001:db8::1"), address("2001:db9::1")),
        (MAIL("example.com"), MAIL("ops@example.com"), MAIL("ops@mail.example.com")),
        (MAIL(".example.com"), MAIL("ops@mail.example.com"), MAIL("ops@example.com")),
        (MAIL("ops@example.com"), MAIL("ops@example.com"), MAIL("dev@example.com")),
        (URI("example.com"), URI("spiffe://example.com/relay"), URI("spiffe://a.example.com/relay")),
        (URI(".example.com"), URI("https://a.example.com:8443/"), URI("https://example.com/")),
        (x509.DirectoryName(name("relay")), x509.DirectoryName(name("RELAY")), x509.DirectoryName(name("other"))),
    ],
)
def test_names_keep_within_what_a_ca_may_issue_for(bound, inside, outside):
    top = certify("Root", None, ca())
    permitting = certify("Permits", top, ca(), (constraints(permitted=[bound]), True))
    assert of_the_chain(leaf(permitting, inside)) == []
    assert of_the_chain(leaf(permitting, outside)) == ["chain.name-constraints"]
    excluding = certify("Excludes", top, ca(), (constraints(excluded=[bound]), True))
    assert of_the_chain(leaf(excluding, inside)) == ["chain.name-constraints"]
    if not isinstance(bound, x509.DirectoryName):  # the leaf's own subject lies in the subtree
        assert of_the_chain(leaf(excluding, outside)) == []


def test_constraints_of_other_forms_do_not_concern_a_name():
    top = certify("Root", None, ca())
    mails_only = certify("Mails", top, ca(), (constraints(permitted=[MAIL("example.com")]), True))
    assert codes(leaf(mails_only, DNS("anything.example.org"))) == []


def test_constraints_of_a_root_hold_too():
    top = certify("Root", None, ca(), (constraints(permitted=[DNS("example.org")]), True))
    middle = certify("Middle", top, ca())
    one = leaf(middle)
    assert "chain.name-constraints" in codes(one, top.pem)


def test_a_path_may_be_as_long_as_its_cas_allow():
    top = certify("Root", None, ca())
    short = certify("Short", top, ca(0))
    assert codes(leaf(short)) == []
    below = certify("Below", short, ca())
    assert codes(leaf(below)) == ["chain.path-length"]


def test_a_ca_must_be_allowed_to_sign_certificates():
    top = certify("Root", None, ca())
    usage = x509.KeyUsage(True, False, False, False, False, False, True, False, False)
    assert codes(leaf(certify("Signs lists only", top, ca(), (usage, True)))) == ["chain.key-usage"]


def test_an_unknown_critical_extension_is_refused():
    top = certify("Root", None, ca())
    unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00")
    assert codes(leaf(certify("Odd", top, ca(), (unknown, True)))) == ["chain.critical-extension"]
    assert codes(leaf(certify("Odd but fine", top, ca(), (unknown, False)))) == []


def test_of_two_cross_certificates_the_one_that_is_valid_is_taken():
    top, other = certify("Root", None, ca()), certify("Other root", None, ca())
    key = ec_key()
    lasting = certify("Cross", top, ca(), (constraints(permitted=[DNS("example.org")]), True), key=key, days=900)
    valid = certify("Cross", other, ca(), key=key, days=200)
    one = leaf(lasting)
    for text in (lasting.pem + valid.pem, valid.pem + lasting.pem):
        checked = check_bundle(private_key=one.key_pem, certificate=one.pem + text, now=NOW)
        assert checked.certificate == one.pem + valid.pem
        assert not checked.blocked


def test_of_two_cross_certificates_the_one_that_has_not_expired_is_taken():
    top, other = certify("Root", None, ca()), certify("Other root", None, ca())
    key = ec_key()
    current = certify("Cross", top, ca(), key=key, days=100)
    expired = certify("Cross", other, ca(), key=key, days=-10)
    one = leaf(current)
    assert sorted(codes(one, expired.pem)) == ["chain.alternative-dropped", "chain.expires-first"]


def test_names_that_agree_without_being_equal_are_followed_and_warned_of():
    top = certify("Root", None, ca())
    middle = certify("Middle CA", top, ca())
    san = x509.SubjectAlternativeName([DNS("relay.example.com")])
    one = certify("relay", middle, (san, False), issuer_name=name("middle  ca"))
    assert codes(one) == ["chain.name-form"]


def test_a_client_below_a_constrained_ca_is_told_why_it_is_refused():
    top = certify("Clients", None, ca(), (constraints(permitted=[DNS("clients.example.com")]), True))
    good = leaf(top, DNS("a.clients.example.com"), usages=CLIENT)
    bad = leaf(top, DNS("a.example.com"), usages=BOTH)
    assert accepts_client(good.pem, top.pem, NOW) == ()
    assert [one.code for one in accepts_client(bad.pem, top.pem, NOW)] == ["client.path"]


def test_a_thousand_constraints_against_a_thousand_names_are_refused_at_once():
    many = [DNS(f"a{number}.example.com") for number in range(1000)]
    top = certify("Root", None, ca())
    middle = certify("Many", top, ca(), (constraints(permitted=many), True))
    assert codes(leaf(middle, *many)) == ["chain.name-constraints"]


def test_a_private_certificate_without_alternative_names_is_no_error():
    assert codes(certify("plain", certify("Middle", certify("Root", None, ca()), ca()))) == ["certificate.no-names"]
