"""What the form says of a paste: blocks, chain, order, what is offered; without script and with files."""

from __future__ import annotations

from datetime import UTC, datetime
from io import BytesIO

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates
from werkzeug.test import TestResponse

from tests.material import Paste, intermediate, issue, request_pem, root
from tests.web.conftest import Api
from tests.web.pages.conftest import Visitor, pasted, words
from tests.web.pages.test_certificate_pages import NAMES

pytestmark = pytest.mark.live

PASSPHRASE = "open-sesame"


def section(answer: TestResponse, title: str) -> str:
    """What stands in one section of the panel."""
    return answer.text.split(f'aria-labelledby="{title}-title"')[1].split("</section>")[0]


def mail(given: Paste) -> str:
    """All of it in one text, in the wrong order, quoted, with a stranger, a request and the root in it."""
    stranger = pasted("stranger.example.com").leaf
    _, middle = given.certificate.split("-----END CERTIFICATE-----\n", 1)
    parts = [middle, stranger.pem, request_pem(given.leaf.key), given.key, given.leaf.pem, given.root.pem]
    return "".join(f"> {line}\r\n" for line in "\nand\n".join(parts).splitlines())


def pkcs12(given: Paste) -> bytes:
    """Key and chain in one file."""
    middle = [given.leaf.issuer.certificate] if given.leaf.issuer else []
    encryption = BestAvailableEncryption(PASSPHRASE.encode())
    return serialize_key_and_certificates(b"relay", given.leaf.key, given.leaf.certificate, middle, encryption)


def test_each_block_is_told_in_words_and_both_orders_stand_side_by_side(admin: Visitor) -> None:
    given = pasted("mail.example.com")
    answer = admin.post("/check/certificate", {"certificate": mail(given)}, HX_Request="true")
    blocks, order = section(answer, "blocks"), section(answer, "order")
    for word in ("Intermediate CA", "Certificate request", "Private key, EC 256", "Root CA", "moved to KEY"):
        assert word in blocks
    assert blocks.count("left out") == 3
    before, after = order.split("As stored")
    assert (before.count("<li>"), before.count("<del>")) == (4, 2)
    assert after.index("mail.example.com") < after.index("Test Intermediate")
    assert "Can be used" in words(answer)


def test_a_chain_in_order_has_no_second_order(admin: Visitor) -> None:
    given = pasted("order.example.com")
    fields = {"private_key": given.key, "certificate": given.certificate}
    assert "Put in order" not in words(admin.post("/check/certificate", fields, HX_Request="true"))


def test_the_chain_is_drawn_with_who_issued_it_until_when_and_what_is_missing(admin: Visitor) -> None:
    given = pasted("drawn.example.com", days=20)
    answer = admin.post("/check/certificate", {"certificate": given.leaf.pem}, HX_Request="true")
    chain = section(answer, "chain")
    assert "Server certificate" in chain
    assert "issued by Test Intermediate" in chain
    assert "% of the validity used" in chain
    assert 'class="missing"' in chain
    whole = section(admin.post("/check/certificate", {"certificate": given.certificate}, HX_Request="true"), "chain")
    assert 'class="absent"' in whole


def test_an_expired_link_is_drawn_broken(admin: Visitor) -> None:
    now = datetime.now(UTC)
    old = intermediate(root(now=now), "Ended CA", now=now, days=-2)
    leaf = issue("a.example.com", issuer=old, hosts=["a.example.com"], now=now)
    chain = section(admin.post("/check/certificate", {"certificate": leaf.chain}, HX_Request="true"), "chain")
    assert 'class="broken"' in chain
    assert "expired" in chain


def test_the_missing_intermediate_is_offered_and_added_without_script(admin: Visitor, api: Api) -> None:
    now, name = datetime.now(UTC), next(NAMES)
    issuing = intermediate(root(now=now), f"Issuing CA of {name}", now=now)
    held = issue("held.example.com", issuer=issuing, hosts=["held.example.com"], now=now)
    body = {"name": name, "private_key": held.key_pem, "certificate": held.chain}
    assert api("POST", "/certificates", body).status_code == 201
    leaf = issue("bare.example.com", issuer=issuing, hosts=["bare.example.com"], now=now)
    fields = {"private_key": leaf.key_pem, "certificate": leaf.pem}
    offered = admin.post("/check/certificate", fields)
    assert f"Issuing CA of {name} is stored with {name}" in words(offered)
    completed = admin.post("/check/certificate", fields | {"complete": "yes"})
    assert issuing.pem.splitlines()[1] in completed.text.split('id="certificate"')[1].split("</textarea>")[0]
    assert "is missing" not in words(completed)
    rotated = admin.post(f"/certificates/{name}/rotate", fields | {"complete": "yes", "expect_version": "1"})
    assert issuing.pem.splitlines()[1] in rotated.text.split('id="certificate"')[1].split("</textarea>")[0]
    assert api("GET", f"/certificates/{name}").json["version"] == 1


def test_check_first_shows_the_page_again_with_everything_but_the_key(admin: Visitor) -> None:
    given = pasted("first.example.com")
    fields = {"name": "Kept name", "private_key": given.key, "certificate": given.certificate, "comment": "kept too"}
    answer = admin.post("/check/certificate", fields)
    assert "<html" in answer.text
    said = words(answer)
    assert "Can be used" in said
    assert "never sent back to a page" in said
    for kept in ("Kept name", "kept too", given.certificate.splitlines()[1]):
        assert kept in answer.text
    assert not any(line in answer.text for line in given.key.splitlines()[1:-1])


def test_files_of_a_browser_without_script_are_read_and_stay_as_text(admin: Visitor, api: Api) -> None:
    given = pasted("files.example.com")
    file = pkcs12(given)
    fields: dict[str, object] = {"passphrase": PASSPHRASE, "certificate-file": (BytesIO(file), "all.p12")}
    answer = admin.post("/check/certificate", fields)
    assert "Can be used" in words(answer)
    assert given.leaf.pem.splitlines()[1] in answer.text.split('id="certificate"')[1]
    name = next(NAMES)
    made = admin.post("/new/certificate", fields | {"name": name, "certificate-file": (BytesIO(file), "all.p12")})
    assert made.status_code == 303
    assert api("GET", f"/certificates/{name}").json["facts"]["dns_names"] == ["files.example.com"]
    new = pasted("files.example.com")
    files = {
        "private_key-file": (BytesIO(new.key.encode()), "key.pem"),
        "certificate-file": [
            (BytesIO(one.public_bytes(Encoding.DER)), "one.der")
            for one in (new.leaf.issuer.certificate, new.leaf.certificate)  # type: ignore[union-attr]
        ],
    }
    rotated = admin.post(f"/certificates/{name}/rotate", {"expect_version": "1", **files})
    assert rotated.status_code == 303, words(rotated)
    assert api("GET", f"/certificates/{name}").json["version"] == 2


def test_more_files_than_a_field_takes_do_no_harm(admin: Visitor) -> None:
    given = pasted("many.example.com")
    many = [(BytesIO(given.leaf.pem.encode()), f"{number}.pem") for number in range(30)]
    answer = admin.post("/check/certificate", {"certificate-file": many, "private_key": given.key})
    assert answer.status_code == 200
    assert "many.example.com" in words(answer)


def test_the_rotate_page_tells_the_blocks_and_draws_the_chain(admin: Visitor, api: Api) -> None:
    given, name = pasted("turn.example.com"), next(NAMES)
    body = {"name": name, "private_key": given.key, "certificate": given.certificate}
    assert api("POST", "/certificates", body).status_code == 201
    new = pasted("turn.example.com")
    answer = admin.post(f"/certificates/{name}/rotate/check", {"certificate": mail(new)}, HX_Request="true")
    assert "moved to KEY" in section(answer, "blocks")
    assert "issued by Test Intermediate" in section(answer, "chain")
    assert "a new key" in words(answer)
    authority = {"ca": given.root.pem, "keep_key": "y"}
    only = section(admin.post(f"/certificates/{name}/rotate/check", authority, HX_Request="true"), "blocks")
    assert "CA for clients" in only
    assert "Server certificate" not in only
    shown = admin.post(
        f"/certificates/{name}/rotate", {"certificate": mail(new), "preview": "yes", "expect_version": "1"}
    )
    assert "Put in order" in words(shown)
    assert not any(line in shown.text for line in new.key.splitlines()[1:-1])


@pytest.mark.parametrize("kept", [True, False])
def test_the_offer_to_keep_the_old_authority_checks_again_when_it_is_taken(
    admin: Visitor, api: Api, *, kept: bool
) -> None:
    given, name = pasted("ca.example.com", client_ca=True), next(NAMES)
    body = {"name": name, "private_key": given.key, "certificate": given.certificate, "ca": given.ca}
    assert api("POST", "/certificates", body).status_code == 201
    relay = {"name": name, "host": "ca.example.com", "port": 443, "tls_mode": "mtls", "certificate": name}
    assert api("POST", "/relays", relay).status_code == 201
    fields = {"keep_key": "y", "ca": root("Other Clients", now=datetime.now(UTC)).pem}
    if kept:
        until = str(datetime.now(UTC).date().replace(year=datetime.now(UTC).year + 1, day=1))
        fields |= {"keep_ca": "yes", "keep_ca_until": until}
    answer = admin.post(f"/certificates/{name}/rotate/check", fields, HX_Request="true")
    assert ("will be refused" in words(answer)) is not kept
    assert f'hx-post="/certificates/{name}/rotate/check"' in answer.text
