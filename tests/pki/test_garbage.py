"""As much of nothing as fits a field, in every field: each is answered, none is worked on over and over."""

from __future__ import annotations

import random

import pytest

from service.pki.bundle import check_bundle
from service.pki.codes import SEVERITIES
from service.pki.finding import Severity
from service.pki.pem import MAX_FIELD_BYTES
from tests.material import NOW

PIECES = [
    "x",
    "-",
    "-----BEGIN ",
    "-----BEGIN A-----",
    "--\n\n\n\nBEGIN",
    "-----END CERTIFICATE-----",
    "&#45;",
    "&",
    "<a",
    "\\",
    "\\n",
    "\\u00",
    "=\n",
    "=3D",
    "MI",
    "LS0tLS1CRUdJTi",
    "%2B",
    "\u2014",
    "\x1b[",
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED \n",
    b"0\x80",
    b"0\x00",
    b"\x30\x83\x03\xf0\x00",
    b"\x30\x80\x24\x80",
]


@pytest.mark.parametrize("piece", PIECES, ids=repr)
def test_a_field_full_of_one_thing_is_refused(piece):
    text = piece * ((MAX_FIELD_BYTES - 100) // len(piece.encode() if isinstance(piece, str) else piece))
    checked = check_bundle(private_key=text, certificate=text, ca=text, passphrase="x", now=NOW)
    assert checked.blocked
    assert all(SEVERITIES[one.code] is one.severity for one in checked.findings)


def test_random_bytes_are_refused():
    random_bytes = random.Random(3).randbytes(MAX_FIELD_BYTES)
    checked = check_bundle(private_key=random_bytes, certificate=random_bytes, ca=b"0" + random_bytes[1:], now=NOW)
    assert {one.code for one in checked.findings} == {"input.binary"}
    assert all(one.severity is Severity.ERROR for one in checked.findings)


def test_what_is_too_large_is_not_looked_at():
    checked = check_bundle(private_key="x" * 1_000_000, certificate=b"0" * 1_000_000, ca=["x" * 200_000] * 2, now=NOW)
    assert [one.code for one in checked.findings] == ["input.too-large"] * 3
