"""KEY, CERT and CA as people paste them, and what the checks say."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PrivateFormat, PublicFormat

from service.endpoint.diagnosis import SEVERITIES as LIVE
from service.pki.bundle import Checked, accepts_client, check_bundle
from service.pki.codes import SEVERITIES
from service.pki.facts import Unreadable, read_facts
from tests.material import (
    BOTH,
    CLIENT,
    NOW,
    Paste,
    ec_key,
    intermediate,
    issue,
    key_pem,
    paste,
    request_pem,
    root,
    rsa_key,
)


@pytest.fixture(scope="module")
def good() -> Paste:
    return paste("relay.example.com", "*.eu.example.com", "192.0.2.7", client_ca=True)


def codes(checked: Checked) -> list[str]:
    return [finding.code for finding in checked.findings]


def check(key: str | None, certificate: str | None, **more: object) -> Checked:
    return check_bundle(private_key=key, certificate=certificate, now=NOW, **more)  # type: ignore[arg-type]


def test_a_sound_bundle_has_no_finding(good: Paste):
    checked = check(good.key, good.certificate, ca=good.ca, hosts=["relay.example.com"], purpose="server")
    assert codes(checked) == []
    assert checked.facts is not None
    assert checked.facts.chain_complete
    assert checked.certificate == good.certificate
    assert [one.common_name for one in checked.facts.chain] == ["relay.example.com", "Test Intermediate"]
    assert [one.common_name for one in checked.facts.ca] == ["Clients CA"]


@pytest.mark.parametrize(
    ("make", "algorithm", "bits"),
    [
        (lambda: rsa_key(2048), "RSA", 2048),
        (lambda: ec_key(ec.SECP256R1()), "EC", 256),
        (lambda: ec_key(ec.SECP384R1()), "EC", 384),
        (lambda: ec_key(ec.SECP521R1()), "EC", 521),
        (ed25519.Ed25519PrivateKey.generate, "Ed25519", 256),
    ],
)
def test_every_kind_of_key_is_read_in_every_form(make, algorithm, bits):
    key = make()
    pasted = paste(key=key)
    forms = [key_pem(key), key_pem(key, passphrase="correct horse")]
    if not isinstance(key, ed25519.Ed25519PrivateKey):
        forms.append(key_pem(key, PrivateFormat.TraditionalOpenSSL))
        forms.append(key_pem(key, PrivateFormat.TraditionalOpenSSL, passphrase="correct horse"))
    for form in forms:
        checked = check(form, pasted.certificate, passphrase="correct horse")
        assert not checked.blocked, codes(checked)
        assert checked.private_key is not None
        assert (checked.private_key.algorithm, checked.private_key.size_bits) == (algorithm, bits)
        assert checked.private_key.pem() == key_pem(key)


@pytest.mark.parametrize(
    "decorate",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: "\ufeff" + text,
        lambda text: "".join(f"   {line}\n" for line in text.splitlines()),
        lambda text: text.replace("\n", "\n\n"),
        lambda text: f"\n\n{text}\n\n",
        lambda text: text.replace("\n", "\r"),
    ],
)
def test_how_it_was_copied_does_not_matter(good: Paste, decorate):
    checked = check(decorate(good.key), decorate(good.certificate), ca=decorate(good.ca))
    assert (codes(checked), checked.certificate, checked.ca) == ([], good.certificate, good.ca)


def test_text_around_the_blocks_is_left_out_and_said(good: Paste):
    checked = check(good.key, f"Bag Attributes\n  friendlyName: relay\n{good.certificate}")
    assert codes(checked) == ["pem.text-around"]
    assert checked.certificate == good.certificate


def test_ec_parameters_before_a_key_are_fine():
    key = ec_key()
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    checked = check(parameters + key_pem(key, PrivateFormat.TraditionalOpenSSL), paste(key=key).certificate)
    assert codes(checked) == []


def damaged(text: str) -> str:
    return text[:100] + "!" + text[101:]


@pytest.mark.parametrize(
    ("key", "certificate", "expected"),
    [
        ("", "", ["key.missing", "certificate.missing"]),
        ("hello", "{good.certificate}", ["pem.none"]),
        ("{good.key}", "just text", ["pem.none"]),
        ("{good.certificate}", "{good.key}", ["certificate.in-key-field"] * 2 + ["key.in-other-field"]),
        ("{good.key}{other.key}", "{good.certificate}", ["key.others-left-out"]),
        ("{other.key}{third.key}", "{good.certificate}", ["key.several"]),
        ("{other.key}", "{good.certificate}", ["key.mismatch"]),
        ("{good.key}", "{good.certificate}{other.leaf.pem}", ["chain.unrelated"]),
        ("{good.key}", "{good.leaf.pem}", ["chain.incomplete"]),
    ],
)
def test_what_is_pasted_wrong_has_its_finding(good: Paste, key, certificate, expected):
    words = {"good": good, "other": paste("other.example.com"), "third": paste("third.example.com")}
    checked = check(key.format(**words), certificate.format(**words))
    assert codes(checked) == expected


def test_a_block_that_is_not_intact_is_named_by_its_place(good: Paste):
    blocks = good.certificate.split("-----END CERTIFICATE-----\n")
    checked = check(good.key, f"{good.leaf.pem}{damaged(blocks[1])}-----END CERTIFICATE-----\n")
    assert [(finding.code, finding.position) for finding in checked.findings if finding.code.startswith("pem")] == [
        ("pem.base64", 2)
    ]


def test_missing_begin_and_end_lines_are_told_apart(good: Paste):
    lines = good.leaf.pem.splitlines()
    assert "pem.no-end" in codes(check(good.key, "\n".join(lines[:-1])))
    assert "pem.no-begin" in codes(check(good.key, "\n".join(lines[1:])))
    assert "pem.mismatched-end" in codes(check(good.key, good.leaf.pem.replace("END CERT", "END X509 CERT")))


def test_a_request_a_public_key_and_a_foreign_block_are_called_by_their_names(good: Paste):
    public = good.leaf.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    assert "pem.public-key" in codes(check(public, good.certificate))
    assert codes(check(good.key + public, good.certificate)) == ["pem.left-out"]
    request = request_pem(good.leaf.key)
    assert codes(check(good.key, request)) == ["pem.csr"]
    assert codes(check(good.key, request + good.certificate)) == ["pem.left-out"]
    foreign = good.leaf.pem.replace("CERTIFICATE", "ATTRIBUTE CERTIFICATE").replace("MII", "BII")
    assert codes(check(good.key, good.certificate + foreign)) == ["pem.unexpected-block"]


def test_limits_are_said(good: Paste):
    assert codes(check("x" * 300_000, good.certificate)) == ["input.too-large"]
    assert codes(check(good.key, "\x00\x01" + "\x02" * 50)) == ["input.binary"]
    assert "pem.too-many-blocks" in codes(check(good.key, good.leaf.pem * 130))


def test_an_encrypted_key_asks_for_its_passphrase(good: Paste):
    encrypted = key_pem(good.leaf.key, passphrase="correct horse")
    assert codes(check(encrypted, good.certificate)) == ["key.encrypted"]
    assert codes(check(encrypted, good.certificate, passphrase="wrong")) == ["key.passphrase"]
    assert codes(check(good.key, good.certificate, passphrase="not needed")) == ["key.passphrase-unused"]


def test_a_label_that_lies_is_unreadable(good: Paste):
    fake = "-----BEGIN {0}-----\nMAMCAQU=\n-----END {0}-----\n"
    assert "key.unreadable" in codes(check(fake.format("PRIVATE KEY"), good.certificate))
    assert codes(check(good.key, fake.format("CERTIFICATE"))) == ["certificate.unreadable"]


def test_weak_and_foreign_keys_are_refused():
    small = rsa_key(1024)
    assert codes(check(key_pem(small), paste(key=small).certificate)) == ["key.weak", "certificate.weak-key"]
    low = rsa.generate_private_key(3, 2048)
    assert codes(check(key_pem(low), paste(key=low).certificate)) == ["key.exponent"]
    koblitz = ec_key(ec.SECP256K1())
    found = codes(check(key_pem(koblitz), paste(key=koblitz).certificate))
    assert found == ["key.algorithm", "certificate.weak-key"]


def test_any_order_gives_the_same_chain(good: Paste):
    blocks = [
        f"{part}-----END CERTIFICATE-----\n" for part in good.certificate.split("-----END CERTIFICATE-----\n")[:-1]
    ]
    checked = check(good.key, "".join(reversed(blocks)))
    assert codes(checked) == ["chain.reordered"]
    assert checked.certificate == good.certificate


def test_the_root_and_duplicates_are_left_out_and_said(good: Paste):
    checked = check(good.key, good.certificate + good.root.pem + good.leaf.pem)
    assert sorted(codes(checked)) == ["chain.duplicate-dropped", "chain.root-dropped"]
    assert checked.certificate == good.certificate


def test_a_lone_self_signed_certificate_is_complete():
    one = issue("relay.local", hosts=["relay.local"])
    assert codes(check(one.key_pem, one.pem)) == ["chain.self-signed"]


def test_an_issuer_that_is_no_ca_is_refused():
    top = root()
    wrong = issue("not a CA", issuer=top)
    leaf = issue("x.example.com", issuer=wrong, hosts=["x.example.com"])
    assert codes(check(leaf.key_pem, leaf.pem + wrong.pem)) == ["chain.not-a-ca"]


def test_a_chain_with_a_name_but_not_the_signature_is_not_followed():
    leaf = issue("x.example.com", issuer=intermediate(root()), hosts=["x.example.com"])
    impostor = intermediate(root())
    assert codes(check(leaf.key_pem, leaf.pem + impostor.pem)) == ["chain.signature", "chain.incomplete"]


@pytest.mark.parametrize(
    ("days", "expected"),
    [(-1, "certificate.expired"), (10, "certificate.expires-soon"), (200, None)],
)
def test_the_end_of_a_certificate_is_watched(days, expected):
    pasted = paste(days=days)
    assert codes(check(pasted.key, pasted.certificate)) == ([expected] if expected else [])


def test_dates_of_the_intermediate_count_too():
    top = root()
    for days, expected in ((-1, "chain.expired"), (30, "chain.expires-first")):
        leaf = issue("x.example.com", issuer=intermediate(top, days=days), hosts=["x.example.com"])
        assert codes(check(leaf.key_pem, leaf.chain)) == [expected]


def test_sha1_is_refused():
    signed = (Path(__file__).parent / "cases/signed-with-sha1.pem").read_text()
    after = read_facts(signed).leaf.not_before + timedelta(days=1)
    kept = read_facts(signed).leaf.spki_sha256
    checked = check_bundle(private_key=None, certificate=signed, kept_key_spki_sha256=kept, now=after)
    assert codes(checked) == ["chain.incomplete", "certificate.weak-signature"]


def test_the_ca_field_holds_authorities_only(good: Paste):
    assert codes(check(good.key, good.certificate, ca=good.leaf.pem)) == ["ca.not-a-ca"]
    assert codes(check(good.key, good.certificate, ca=root(days=-5).pem)) == ["ca.expired"]
    assert codes(check(good.key, good.certificate, ca=good.ca * 2)) == ["ca.duplicate-dropped"]


def test_a_kept_key_must_fit_the_new_certificate(good: Paste):
    kept = read_facts(good.certificate).leaf.spki_sha256
    assert codes(check(None, good.certificate, kept_key_spki_sha256=kept)) == []
    assert codes(check(None, paste().certificate, kept_key_spki_sha256=kept)) == ["key.mismatch"]


def test_extended_key_usage_is_held_against_the_purpose():
    client = paste(usages=CLIENT)
    assert codes(check(client.key, client.certificate, purpose="server")) == ["purpose.server-auth"]
    assert codes(check(client.key, client.certificate, purpose="client")) == []
    server = paste()
    assert codes(check(server.key, server.certificate, purpose="client")) == ["purpose.client-auth"]
    both = paste(usages=BOTH)
    assert codes(check(both.key, both.certificate, purpose="client")) == []


def test_a_client_is_accepted_only_from_a_ca_in_the_field():
    ours, other = root("Clients CA"), root("Other CA")
    client = issue("client-1", issuer=ours, usages=CLIENT)
    assert accepts_client(client.pem, ours.pem, NOW) == ()
    assert [finding.code for finding in accepts_client(client.pem, other.pem, NOW)] == ["client.not-issued-by-ca"]
    below = issue("client-2", issuer=intermediate(ours), usages=CLIENT)
    assert accepts_client(below.chain, ours.pem, NOW) == ()
    assert [finding.code for finding in accepts_client(below.pem, ours.pem, NOW)] == ["client.not-issued-by-ca"]
    server = issue("client-3", issuer=ours, days=-2)
    assert [finding.code for finding in accepts_client(server.pem, ours.pem, NOW)] == [
        "client.purpose",
        "client.expired",
    ]
    assert [finding.code for finding in accepts_client("nothing", ours.pem, NOW)] == ["client.unreadable"]


def test_stored_material_that_is_damaged_is_unreadable():
    with pytest.raises(Unreadable):
        read_facts("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")


def test_every_code_has_its_row_and_every_row_its_code():
    page = (Path(__file__).parents[2] / "docs/findings.md").read_text()
    rows = dict(re.findall(r"^\| `([a-z0-9.-]+)`(?: ◆)? \| (error|warning|info) \|", page, re.MULTILINE))
    assert rows == {code: str(severity) for code, severity in {**SEVERITIES, **LIVE}.items()}
