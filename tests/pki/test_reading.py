"""Whatever a paste went through on its way, the same bundle is read; and what cannot be read is called by its name."""

from __future__ import annotations

import base64
import html
import json
import quopri
import textwrap
from collections.abc import Callable

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    pkcs7,
    pkcs12,
)
from hypothesis import given, settings
from hypothesis import strategies as some

from service.pki.bundle import Checked, check_bundle
from service.pki.der import INTEGER, OCTET_STRING, OID, SEQUENCE, TAGGED, encode
from tests.material import NOW, Paste, intermediate, issue, key_pem, paste, request_pem, root, rsa_key

GOOD = paste("relay.example.com", client_ca=True)
OTHER = paste("other.example.com")


def check(
    key: str | bytes | None, certificate: str | bytes | None = None, ca: str | bytes | None = None, **more: object
) -> Checked:
    return check_bundle(private_key=key, certificate=certificate, ca=ca, now=NOW, **more)  # type: ignore[arg-type]


def codes(checked: Checked) -> list[str]:
    return [finding.code for finding in checked.findings]


def is_good(checked: Checked, of: Paste = GOOD) -> bool:
    return (
        checked.private_key is not None
        and checked.private_key.pem() == of.key
        and checked.certificate == of.certificate
        and not checked.blocked
    )


def quoted_printable(text: str) -> str:
    return quopri.encodestring(text.encode()).decode()


DECORATIONS: dict[str, Callable[[str], str]] = {
    "Windows line ends": lambda text: text.replace("\n", "\r\n"),
    "old Mac line ends": lambda text: text.replace("\n", "\r"),
    "a byte order mark": lambda text: "\ufeff" + text,
    "indentation": lambda text: textwrap.indent(text, "      "),
    "tabs": lambda text: textwrap.indent(text, "\t\t"),
    "trailing white space": lambda text: text.replace("\n", "   \n"),
    "blank lines": lambda text: text.replace("\n", "\n\n"),
    "non-breaking spaces": lambda text: text.replace("\n", "\u00a0\n"),
    "zero-width spaces": lambda text: text.replace("\n", "\u200b\n"),
    "en dashes": lambda text: text.replace("-----", "\u2013\u2013\u2013\u2013\u2013"),
    "Word's dashes": lambda text: text.replace("-----", "\u2014\u2013-"),
    "lower-case marks": lambda text: text.replace("BEGIN", "Begin").replace("END", "End"),
    "one line": lambda text: text.replace("\n", " "),
    "lines of 20": lambda text: "\n".join(
        piece for line in text.split("\n") for piece in ([line] if "-" in line else textwrap.wrap(line, 20))
    ),
    "escaped line ends": lambda text: text.replace("\n", "\\n"),
    "escaped Windows line ends": lambda text: text.replace("\n", "\\r\\n"),
    "twice escaped line ends": lambda text: text.replace("\n", "\\\\n"),
    "a JSON string": json.dumps,
    "JSON with escaped slashes": lambda text: json.dumps(text).replace("/", "\\/"),
    "a JSON member": lambda text: json.dumps({"data": {"tls.pem": text}}),
    "a YAML block": lambda text: "data:\n  tls.pem: |\n" + textwrap.indent(text, "    "),
    "a list of lines": lambda text: "[\n" + "".join(f'  "{line}",\n' for line in text.split("\n")) + "]",
    "HTML escapes": lambda text: html.escape(text).replace("+", "&#43;").replace("=", "&#x3D;").replace("/", "&#47;"),
    "HTML lines": lambda text: "<pre>" + text.replace("\n", "<br>\n") + "</pre>",
    "HTML paragraphs": lambda text: "".join(f"<p>{line}&nbsp;</p>" for line in text.split("\n")),
    "quoted-printable": quoted_printable,
    "percent encoding": lambda text: text.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
    "quoted mail": lambda text: textwrap.indent(text, "> ", lambda _: True),
    "a shell variable": lambda text: f"export TLS='{text}'",
    "shell continuation": lambda text: text.replace("\n", "\\\n"),
    "a terminal's colours": lambda text: text.replace("-----BEGIN", "\x1b[32m-----BEGIN").replace("\n", "\x1b[0m\n"),
    "a Kubernetes Secret": lambda text: f"data:\n  tls.crt: {base64.b64encode(text.encode()).decode()}\n",
    "wrapped base64": lambda text: base64.encodebytes(text.encode()).decode(),
    "text around": lambda text: f"Dear colleague,\nhere it is:\n\n{text}\n-- \nYour CA team\n",
    "text between": lambda text: text.replace("-----END", "-----END").replace(
        "\n-----BEGIN", "\nsubject=CN = x\nissuer=CN = y\n-----BEGIN"
    ),
    "openssl's text": lambda text: f"Bag Attributes\n    localKeyID: AA BB\n    friendlyName: relay\n{text}",
}


@pytest.mark.parametrize("decoration", DECORATIONS)
@pytest.mark.parametrize("form", ["PKCS#8", "traditional"])
def test_what_programs_do_to_a_paste_is_undone(decoration, form):
    material = paste("relay.example.com", key=rsa_key()) if form == "traditional" else GOOD
    key = key_pem(material.leaf.key, PrivateFormat.TraditionalOpenSSL) if form == "traditional" else material.key
    decorate = DECORATIONS[decoration]
    separate = check(decorate(key), decorate(material.certificate))
    assert is_good(separate, material), codes(separate)
    together = check(None, decorate(key + material.certificate))
    assert is_good(together, material), codes(together)


def test_a_traditional_encrypted_key_survives_one_line():
    encrypted = key_pem(rsa_key(), PrivateFormat.TraditionalOpenSSL, passphrase="correct horse")
    material = paste("relay.example.com", key=rsa_key())
    for form in (
        encrypted,
        encrypted.replace("\n", "\\n"),
        encrypted.replace("\n", " "),
        encrypted.replace("\n", "\r\n"),
    ):
        assert is_good(check(form, material.certificate, passphrase="correct horse"), material)


@settings(max_examples=60, deadline=None)
@given(
    order=some.permutations(range(3)),
    first=some.sampled_from(sorted(DECORATIONS)),
    field=some.sampled_from(["private_key", "certificate"]),
    copies=some.integers(1, 2),
    with_root=some.booleans(),
)
def test_any_order_and_decoration_of_a_valid_paste_gives_the_same_bundle(order, first, field, copies, with_root):
    pieces = [GOOD.key, GOOD.leaf.pem, GOOD.certificate.removeprefix(GOOD.leaf.pem)]
    text = "".join(pieces[place] for place in order) * copies + (GOOD.root.pem if with_root else "")
    text = DECORATIONS[first](text)
    given_fields = {"private_key": None, "certificate": None, field: text}
    checked = check_bundle(**given_fields, now=NOW)  # type: ignore[arg-type]
    assert is_good(checked), codes(checked)


@settings(max_examples=80, deadline=None)
@given(text=some.text(max_size=400), at=some.integers(0, 2000), binary=some.binary(max_size=200))
def test_anything_at_all_gives_findings_and_no_echo(text, at, binary):
    for pasted in (text, GOOD.key[:at] + text + GOOD.key[at:], GOOD.certificate[:at] + text, binary, b"0" + binary):
        checked = check(pasted, pasted, pasted, passphrase=text[:20])
        body = GOOD.key.split("\n")[1]
        assert all(body not in one.message + one.hint for one in checked.findings)
        assert body not in repr(checked.blocks)


# Forms


def der(material: Paste) -> bytes:
    return material.leaf.certificate.public_bytes(Encoding.DER)


def above(material: Paste) -> list[x509.Certificate]:
    return x509.load_pem_x509_certificates(material.certificate.encode())[1:]


def p12(material: Paste, passphrase: str | None = "correct horse") -> bytes:
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    key, leaf = material.leaf.key, material.leaf.certificate
    return pkcs12.serialize_key_and_certificates(b"relay", key, leaf, above(material), encryption)


def test_der_is_read_from_bytes_and_from_base64():
    key = GOOD.leaf.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    chain = [der(GOOD), above(GOOD)[0].public_bytes(Encoding.DER)]
    assert is_good(check_bundle(private_key=key, certificate=chain, now=NOW))
    assert is_good(check(key, b"".join(chain)))
    encoded = [base64.b64encode(one).decode() for one in (key, *chain)]
    assert is_good(check(base64.encodebytes(key).decode(), json.dumps({"chain": encoded[1:]})))
    assert is_good(check(None, json.dumps(encoded)))


def test_pkcs7_is_opened():
    certificates = [*above(GOOD), GOOD.leaf.certificate, GOOD.root.certificate]
    for form in (Encoding.PEM, Encoding.DER):
        made = pkcs7.serialize_certificates(certificates, form)
        checked = check(GOOD.key, made)
        assert is_good(checked)
        assert {block.source for block in checked.blocks if block.field == "certificate"} == {"PKCS#7"}
    mislabelled = pkcs7.serialize_certificates(certificates, Encoding.PEM).decode().replace("PKCS7", "CERTIFICATE")
    assert "pem.relabelled" in codes(check(GOOD.key, mislabelled))
    assert is_good(check(GOOD.key, mislabelled))


@pytest.mark.parametrize("field", ["private_key", "certificate"])
def test_pkcs12_is_opened_with_its_passphrase(field):
    fields = {"private_key": None, "certificate": None, field: p12(GOOD)}
    assert is_good(check_bundle(**fields, passphrase="correct horse", now=NOW))  # type: ignore[arg-type]
    assert codes(check_bundle(**fields, now=NOW)) == ["key.encrypted"]  # type: ignore[arg-type]
    assert codes(check_bundle(**fields, passphrase="wrong", now=NOW)) == ["key.passphrase"]  # type: ignore[arg-type]
    open_file = {"private_key": None, "certificate": None, field: base64.b64encode(p12(GOOD, None)).decode()}
    assert is_good(check_bundle(**open_file, now=NOW))  # type: ignore[arg-type]


def test_of_several_keys_the_one_with_a_certificate_is_taken():
    checked = check([p12(GOOD), OTHER.key], None, passphrase="correct horse")  # type: ignore[arg-type]
    assert is_good(checked)
    assert "key.others-left-out" in codes(checked)
    both = check([p12(GOOD), p12(OTHER)], None, passphrase="correct horse")  # type: ignore[arg-type]
    assert "key.several" in codes(both)


def test_a_pkcs12_file_that_would_take_minutes_is_refused():
    data = encode(OID, bytes.fromhex("2a864886f70d010701"))
    safe = encode(SEQUENCE, data + encode(TAGGED, encode(OCTET_STRING, encode(SEQUENCE, b""))))
    digest = encode(
        SEQUENCE, encode(SEQUENCE, encode(OID, bytes.fromhex("608648016503040201"))) + encode(4, b"\0" * 32)
    )
    mac = encode(SEQUENCE, digest + encode(OCTET_STRING, b"salt") + encode(INTEGER, b"\x7f\xff\xff\xff"))
    crafted = encode(SEQUENCE, encode(INTEGER, b"\x03") + safe + mac)
    assert codes(check(crafted, passphrase="correct horse")) == ["key.encryption-cost"]


def test_the_files_of_a_field_share_the_work_that_opening_them_may_cost():
    slow = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(150_000).build(b"correct horse")
    key, leaf = GOOD.leaf.key, GOOD.leaf.certificate
    file = pkcs12.serialize_key_and_certificates(b"relay", key, leaf, above(GOOD), slow)
    alone = check(file, passphrase="correct horse")
    assert "key.encryption-cost" not in codes(alone)
    assert alone.facts is not None
    many = check_bundle(private_key=None, certificate=[file] * 40, passphrase="correct horse", now=NOW)
    assert codes(many).count("key.encryption-cost") >= 15  # 4,000,000 iterations are enough for 24 of them


def test_trusted_certificates_and_parameters_are_read():
    trusted = base64.encodebytes(der(GOOD) + bytes.fromhex("300c300a06082b06010505070301")).decode()
    block = f"-----BEGIN TRUSTED CERTIFICATE-----\n{trusted}-----END TRUSTED CERTIFICATE-----\n"
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    rest = GOOD.certificate.removeprefix(GOOD.leaf.pem)
    assert is_good(check(parameters + GOOD.key, block + rest))


def test_fields_that_were_swapped_are_put_right_and_it_is_said():
    swapped = check(GOOD.certificate, GOOD.key, GOOD.ca)
    assert is_good(swapped)
    assert swapped.ca == GOOD.ca
    assert codes(swapped) == ["certificate.in-key-field", "certificate.in-key-field", "key.in-other-field"]
    crossed = check(GOOD.key, GOOD.ca, GOOD.certificate)
    assert is_good(crossed)
    assert crossed.ca == GOOD.ca
    assert {"certificate.in-ca-field", "ca.in-certificate-field"} <= set(codes(crossed))


def test_the_missing_intermediate_is_taken_from_the_ca_field():
    checked = check(GOOD.key, GOOD.leaf.pem, GOOD.certificate.removeprefix(GOOD.leaf.pem))
    assert is_good(checked)
    assert "chain.completed-from-ca" in codes(checked)


def test_each_block_is_told_in_words():
    text = GOOD.root.pem + request_pem(GOOD.leaf.key) + GOOD.certificate + GOOD.leaf.pem
    checked = check(text, GOOD.key, GOOD.ca)
    told = [(one.field, one.what, one.whose, one.outcome, one.place) for one in checked.blocks]
    assert told == [
        ("private_key", "Root CA", "Test Root", "left-out", None),
        ("private_key", "Certificate request", "relay.example.com", "left-out", None),
        ("private_key", "Server certificate", "relay.example.com", "moved", 0),
        ("private_key", "Intermediate CA", "Test Intermediate", "moved", 1),
        ("private_key", "Server certificate", "relay.example.com", "left-out", None),
        ("certificate", "Private key, EC 256", "", "moved", None),
        ("ca", "CA for clients", "Clients CA", "kept", None),
    ]


@pytest.mark.parametrize(
    ("pasted", "code"),
    [
        (b"\xfe\xed\xfe\xed\x00\x00\x00\x02", "input.foreign"),
        ("PuTTY-User-Key-File-3: ssh-rsa", "input.foreign"),
        ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI me@host", "input.foreign"),
        (b"PK\x03\x04", "input.foreign"),
        (b"\x00\x01" * 90, "input.binary"),
        ("nothing of the kind", "pem.none"),
    ],
)
def test_what_is_not_read_is_called_by_its_name(pasted, code):
    assert code in codes(check(GOOD.key, pasted))


def test_a_block_that_was_cut_off_says_how_much_is_missing():
    lines = GOOD.leaf.pem.split("\n")
    cut = "\n".join([*lines[:5], *lines[-2:]])
    finding = next(one for one in check(GOOD.key, cut).findings if one.code == "pem.cut-off")
    assert "bytes of it are missing" in finding.message


def test_a_public_key_of_the_pair_is_said_to_be_one():
    public = GOOD.leaf.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert codes(check(public, GOOD.certificate)) == ["pem.public-key"]


def test_a_chain_of_ten_in_any_order_comes_out_in_order():
    issuer = root()
    for number in range(8):
        issuer = intermediate(issuer, f"Intermediate {number}")
    leaf = issue("relay.example.com", issuer=issuer, hosts=["relay.example.com"])
    blocks = leaf.chain.split("-----END CERTIFICATE-----\n")[:-1]
    backwards = "".join(f"{block}-----END CERTIFICATE-----\n" for block in reversed(blocks))
    checked = check(leaf.key_pem, backwards)
    assert checked.certificate == leaf.chain
    assert "chain.reordered" in codes(checked)
