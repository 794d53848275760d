"""One handshake, and what is wrong with what it showed: the specification's troubleshooting cases, and more."""

from __future__ import annotations

import socket
import ssl
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from service.endpoint.diagnosis import Wanted, diagnose, shown_version, subjects
from service.endpoint.handshake import Seen, is_allowed, look
from service.pki.facts import read_facts
from service.pki.finding import Severity
from tests.delivery.plane import now
from tests.endpoints import context_of, endpoint
from tests.material import Paste, paste, root

CA = root("Clients", now=now())
OTHER_CA = root("Others", now=now())
SHOWN = paste("localhost", now=now())


def wanted(material: Paste = SHOWN, *, mtls: bool = False, ca: str = CA.pem, host: str = "localhost", **more) -> Wanted:
    facts = read_facts(material.certificate, ca)
    return Wanted(host, mtls, "relays", 3, facts, authorities=subjects(ca), **more)


def codes(seen: Seen, of: Wanted) -> list[str]:
    return [one.code for one in diagnose(seen, of, now())]


async def seen_of(context: ssl.SSLContext | None, *, status: bytes = b"200 OK", limit_s: float = 5.0) -> Seen:
    with endpoint(context, status) as one:
        return await look("localhost", one.port, limit_s=limit_s)


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_what_a_good_endpoint_shows_is_seen_whole(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    seen = await seen_of(context_of(SHOWN, tmp_path, newest=newest))
    assert seen.trouble is None
    assert (len(seen.chain), seen.asks_client) == (2, False)
    assert seen.protocol == {"TLSv1_2": "TLSv1.2", "TLSv1_3": "TLSv1.3"}[newest.name]
    assert seen.fingerprint_sha256 == wanted().facts.leaf.fingerprint_sha256
    assert codes(seen, wanted()) == ["endpoint.fine"]
    assert shown_version(seen, wanted()) == 3


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_server_that_refuses_us_still_shows_its_chain(tmp_path: Path, newest: ssl.TLSVersion) -> None:
    seen = await seen_of(context_of(SHOWN, tmp_path, clients_ca=CA.pem, newest=newest))
    assert (len(seen.chain), seen.asks_client, seen.refuses_without, seen.trouble) == (2, True, True, None)
    assert codes(seen, wanted(mtls=True)) == ["endpoint.fine"]


async def test_an_incomplete_chain_is_told(tmp_path: Path) -> None:
    seen = await seen_of(context_of(SHOWN, tmp_path, leaf_alone=True))
    (found,) = diagnose(seen, wanted(), now())
    assert found.code == "endpoint.chain-incomplete"
    assert "Test Intermediate" in found.message


async def test_an_endpoint_that_speaks_no_tls_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(5)
        seen = await _look_at_plain(listener)
    assert codes(seen, wanted()) == ["endpoint.no-handshake"]
    assert "does not speak TLS" in diagnose(seen, wanted(), now())[0].message


async def _look_at_plain(listener: socket.socket) -> Seen:
    import threading

    def answer() -> None:
        connection, _ = listener.accept()
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    thread = threading.Thread(target=answer)
    thread.start()
    try:
        return await look("127.0.0.1", listener.getsockname()[1])
    finally:
        thread.join()


async def test_a_name_that_is_not_covered_is_told(tmp_path: Path) -> None:
    seen = await seen_of(context_of(SHOWN, tmp_path))
    assert codes(seen, wanted(host="relay.example.com")) == ["endpoint.not-covered"]


async def test_an_earlier_version_and_a_stranger_are_told_apart(tmp_path: Path) -> None:
    old, new = paste("localhost", now=now()), paste("localhost", now=now())
    seen = await seen_of(context_of(old, tmp_path))
    versions = {seen.fingerprint_sha256: 2}
    assert codes(seen, wanted(new, versions=versions)) == ["endpoint.former-version"]
    assert shown_version(seen, wanted(new, versions=versions)) == 2
    assert codes(seen, wanted(new)) == ["endpoint.other-certificate"]
    assert shown_version(seen, wanted(new)) == 0


async def test_what_has_expired_is_told(tmp_path: Path) -> None:
    seen = await seen_of(context_of(SHOWN, tmp_path))
    assert "endpoint.expired" in [one.code for one in diagnose(seen, wanted(), now() + timedelta(days=4000))]


async def test_mtls_that_is_not_enforced_is_told(tmp_path: Path) -> None:
    assert codes(await seen_of(context_of(SHOWN, tmp_path)), wanted(mtls=True)) == ["endpoint.client-not-asked"]
    optional = context_of(SHOWN, tmp_path, clients_ca=CA.pem, required=False)
    assert codes(await seen_of(optional), wanted(mtls=True)) == ["endpoint.client-optional"]
    by_http = await seen_of(optional, status=b"400 No required SSL certificate was sent")
    assert codes(by_http, wanted(mtls=True)) == ["endpoint.fine"]
    required = await seen_of(context_of(SHOWN, tmp_path, clients_ca=CA.pem))
    assert codes(required, wanted(mtls=False)) == ["endpoint.client-asked"]


async def test_clients_of_another_authority_are_told() -> None:
    of = wanted(mtls=True)
    seen = Seen(
        address="127.0.0.1",
        chain=tuple(
            ssl.PEM_cert_to_DER_cert(pem + "-----END CERTIFICATE-----\n") for pem in _blocks(SHOWN.certificate)
        ),
        fingerprint_sha256=of.facts.leaf.fingerprint_sha256,
        protocol="TLSv1.3",
        asks_client=True,
        authorities=tuple(subjects(OTHER_CA.pem)),
        refuses_without=True,
    )
    assert codes(seen, of) == ["endpoint.other-ca"]
    assert codes(replace(seen, authorities=tuple(subjects(CA.pem))), of) == ["endpoint.fine"]
    assert codes(replace(seen, refuses_without=None), of) == ["endpoint.other-ca", "endpoint.client-unclear"]


def _blocks(pem: str) -> list[str]:
    return [block for block in pem.split("-----END CERTIFICATE-----\n") if block.strip()]


async def test_a_silent_server_costs_its_time_and_no_more() -> None:
    seen = await seen_of(None, limit_s=0.3)
    assert codes(seen, wanted()) == ["endpoint.no-handshake"]
    assert "no answer within 0.3 s" in diagnose(seen, wanted(), now())[0].message


async def test_what_cannot_be_reached_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    assert codes(await look("127.0.0.1", port), wanted()) == ["endpoint.unreachable"]
    assert codes(await look("no-such-host.invalid", 443), wanted()) == ["endpoint.name-unknown"]


@pytest.mark.parametrize(
    "address", ["169.254.169.254", "fe80::1", "0.0.0.0", "224.0.0.1", "::", "::ffff:169.254.169.254", "240.0.0.1"]
)
async def test_addresses_that_are_nobodys_relay_are_never_connected_to(address: str) -> None:
    assert not is_allowed(address)
    seen = await look(address, 80)
    assert seen.trouble is not None
    assert "never connected to" in seen.trouble.reason


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.1", "192.0.2.1", "2001:db8::1", "::1"])
def test_private_addresses_are_where_relays_live(address: str) -> None:
    assert is_allowed(address)


def test_every_finding_is_an_error_but_the_good_one_and_the_unclear() -> None:
    from service.endpoint.diagnosis import SEVERITIES

    assert {code for code, severity in SEVERITIES.items() if severity is not Severity.ERROR} == {
        "endpoint.fine",
        "endpoint.client-unclear",
    }
