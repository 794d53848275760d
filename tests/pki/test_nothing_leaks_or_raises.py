"""Anything at all in any field gives findings: no exception, no echo of key material."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.pki.bundle import Checked, accepts_client, check_bundle
from service.pki.keys import PrivateKey, read_private_key
from service.pki.pem import read_blocks
from tests.material import NOW, key_pem, paste

GOOD = paste("relay.example.com", client_ca=True)
LINES = [*GOOD.key.splitlines(), *GOOD.certificate.splitlines(), *GOOD.ca.splitlines()]
LABELS = ["PRIVATE KEY", "RSA PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "CERTIFICATE", "PKCS7", "X" * 40]
MARKS = [f"-----{mark} {label}-----" for mark in ("BEGIN", "END") for label in LABELS]
anything = st.one_of(
    st.text(max_size=400),
    st.lists(st.sampled_from([*LINES, *MARKS, "", "Proc-Type: 4,ENCRYPTED"]), max_size=60).map("\n".join),
    st.binary(max_size=400).map(lambda raw: raw.decode("latin-1")),
)
WITHIN_CI = settings(max_examples=150, deadline=None, derandomize=True)


def secrets_of(pem: str) -> list[str]:
    return [line for line in pem.splitlines() if len(line) > 20 and not line.startswith("-----")]


def said(checked: Checked) -> str:
    return repr(checked.findings) + str([finding.as_json() for finding in checked.findings])


@WITHIN_CI
@given(key=anything, certificate=anything, ca=anything, passphrase=st.one_of(st.none(), st.text(max_size=20)))
def test_anything_gives_findings_and_no_echo(key, certificate, ca, passphrase):
    checked = check_bundle(private_key=key, certificate=certificate, ca=ca, passphrase=passphrase, now=NOW)
    assert checked.blocked or checked.facts is not None
    assert not any(line in said(checked) for line in secrets_of(GOOD.key))
    accepts_client(certificate, ca, NOW)


@WITHIN_CI
@given(order=st.permutations(GOOD.certificate.split("-----END CERTIFICATE-----\n")[:-1]), crlf=st.booleans())
def test_any_order_of_a_valid_paste_gives_the_same_bundle(order, crlf):
    pasted = "".join(f"{part}-----END CERTIFICATE-----\n" for part in order)
    pasted = pasted.replace("\n", "\r\n") if crlf else pasted
    checked = check_bundle(private_key=GOOD.key, certificate=pasted, ca=GOOD.ca, now=NOW)
    assert not checked.blocked
    assert (checked.certificate, checked.ca) == (GOOD.certificate, GOOD.ca)


def test_a_private_key_shows_nothing_of_itself():
    key = read_private_key(read_blocks(GOOD.key, "private_key")[0][0], None)
    assert isinstance(key, PrivateKey)
    shown = repr(key) + str(key) + f"{key}" + repr([key]) + repr({"key": key})
    assert not any(line in shown for line in secrets_of(GOOD.key))
    for copier in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            copier(key)


def test_a_key_in_the_wrong_field_is_not_echoed():
    checked = check_bundle(private_key=GOOD.key[:-40], certificate=GOOD.key, ca=GOOD.key, now=NOW)
    assert checked.blocked
    assert not any(line in said(checked) + repr(checked) for line in secrets_of(GOOD.key))


def test_a_wrong_passphrase_is_not_echoed():
    encrypted = key_pem(GOOD.leaf.key, passphrase="correct horse")
    checked = check_bundle(private_key=encrypted, certificate=GOOD.certificate, passphrase="canary", now=NOW)
    assert "canary" not in said(checked)


def test_an_error_on_the_way_has_no_key_in_its_traceback():
    try:
        check_bundle(private_key=GOOD.key, certificate=GOOD.certificate, now=None)  # type: ignore[arg-type]
    except TypeError:
        shown = traceback.format_exc()
    assert not any(line in shown for line in secrets_of(GOOD.key))
