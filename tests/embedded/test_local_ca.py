"""The local CA: certificates that verify, and that are issued again exactly when they have to be."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from service.embedded.data_dir import DataDir, open_data_dir
from service.embedded.local_ca import SERVERS, ensure_certificates, server_names

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
NAMES = ("127.0.0.1", "::1", "localhost")


@pytest.fixture
def data(tmp_path: Path) -> Iterator[DataDir]:
    with closing(open_data_dir(tmp_path)) as data:
        yield data


def certificate(data: DataDir, server: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((data.tls / f"{server}.pem").read_bytes())


def test_every_server_gets_a_certificate_that_verifies_for_its_names(data: DataDir):
    assert ensure_certificates(data, NAMES, NOW) == SERVERS
    store = Store([x509.load_pem_x509_certificate(data.ca_file.read_bytes())])
    for server in SERVERS:
        verifier = PolicyBuilder().store(store).time(NOW).build_server_verifier(x509.DNSName("localhost"))
        assert len(verifier.verify(certificate(data, server), [])) == 2


def test_every_key_is_private_and_each_server_has_its_own(data: DataDir):
    ensure_certificates(data, NAMES, NOW)
    keys = list(data.tls.glob("*-key.pem"))
    assert len({key.read_bytes() for key in keys}) == len(SERVERS) + 1
    assert {stat.S_IMODE(key.stat().st_mode) for key in keys} == {0o600}


def test_a_second_start_issues_nothing(data: DataDir):
    ensure_certificates(data, NAMES, NOW)
    assert ensure_certificates(data, NAMES, NOW + timedelta(days=300)) == ()


def test_a_certificate_near_its_end_is_issued_again_under_the_same_ca(data: DataDir):
    ensure_certificates(data, NAMES, NOW)
    ca = data.ca_file.read_bytes()
    assert ensure_certificates(data, NAMES, NOW + timedelta(days=310)) == SERVERS
    assert data.ca_file.read_bytes() == ca


def test_a_ca_near_its_end_is_replaced_with_all_it_issued(data: DataDir):
    ensure_certificates(data, NAMES, NOW)
    ca = data.ca_file.read_bytes()
    assert ensure_certificates(data, NAMES, NOW + timedelta(days=3400)) == SERVERS
    assert data.ca_file.read_bytes() != ca


def test_another_host_is_added_to_every_certificate(data: DataDir):
    ensure_certificates(data, NAMES, NOW)
    assert ensure_certificates(data, (*NAMES, "10.1.2.3"), NOW) == SERVERS
    assert ensure_certificates(data, NAMES, NOW) == ()


def test_a_crash_between_key_and_certificate_is_put_right(data: DataDir):
    ensure_certificates(data, NAMES, NOW)
    (data.tls / "web-key.pem").write_bytes((data.tls / "vault-key.pem").read_bytes())
    (data.tls / "delivery.pem").write_text("half")
    assert ensure_certificates(data, NAMES, NOW) == ("web", "delivery")


def test_a_crash_between_the_cas_key_and_its_certificate_is_put_right(data: DataDir):
    ensure_certificates(data, NAMES, NOW)
    (data.tls / "ca-key.pem").write_bytes((data.tls / "vault-key.pem").read_bytes())
    assert ensure_certificates(data, NAMES, NOW) == SERVERS


def test_a_wildcard_host_is_not_taken_for_a_name():
    names = server_names("0.0.0.0")
    assert "0.0.0.0" not in names
    assert {"localhost", "127.0.0.1", "::1"} <= set(names)
    assert "10.9.8.7" in server_names("10.9.8.7")
