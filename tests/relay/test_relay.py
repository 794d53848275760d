"""The reference relay as a process, with real handshakes: what it serves, and who gets in."""

from __future__ import annotations

import hashlib
import http.client
import json
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.agent.enrollment import enroll
from service.agent.source import Delivery
from service.agent.state import State
from tests.delivery.plane import Plane, now, wait_until
from tests.material import CLIENT, Issued, Paste, issue, paste, root

pytestmark = pytest.mark.live

COMMAND = (sys.executable, "-P", "-m", "service.cli", "relay", "serve")


@dataclass
class Running:
    """A relay process. `said` holds each of its lines."""

    port: int
    said: list[dict[str, object]]
    process: subprocess.Popen[str]

    def fingerprint(self, context: ssl.SSLContext) -> str:
        """The leaf that a new handshake gets."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        try:
            connection.connect()
            return hashlib.sha256(connection.sock.getpeercert(binary_form=True)).hexdigest()
        finally:
            connection.close()

    def health(self, context: ssl.SSLContext) -> dict[str, object]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=10, context=context)
        try:
            connection.request("GET", "/healthz")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()


@contextmanager
def running_relay(plane: Plane, consumer: str, folder: Path, *more: str) -> Iterator[Running]:
    """A relay of this consumer, serving."""
    enrollment = plane.instance.admin.consumers.enroll(consumer, 300)
    state = State(folder / "state")
    with closing(Delivery(plane.url, plane.ca_file)) as delivery:
        enroll(delivery, state, role_id=enrollment.role_id, wrapping_token=enrollment.wrapping_token)
    options = ["--url", plane.url, "--ca", str(plane.ca_file), "--state-dir", str(state.directory)]
    process = subprocess.Popen(
        [*COMMAND, *options, "--listen", "127.0.0.1:0", "--json", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONUNBUFFERED": "1", "TMPDIR": str(folder)},
        cwd=folder,
    )
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        yield Running(int(str(first["address"]).rsplit(":", 1)[1]), [first], process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()


def _client(material: Paste, certificate: Issued | None, folder: Path) -> ssl.SSLContext:
    """A client that trusts the root and shows a certificate, if one."""
    context = ssl.create_default_context(cadata=material.root.pem)
    if certificate is not None:
        file = folder / f"{certificate.certificate.serial_number}.pem"
        file.write_text(certificate.pem + certificate.key_pem)
        context.load_cert_chain(file)
    return context


def reported(plane: Plane, consumer: str, field: str) -> object:
    """What the relay's status says; None while there is none."""
    return getattr(plane.index.rescan_statuses().statuses.get(consumer), field, None)


def _sha256(material: Paste) -> str:
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(material.leaf.pem)).hexdigest()


def test_a_relay_serves_its_bundle_and_follows_a_rotation(plane: Plane, tmp_path: Path) -> None:
    old = plane.certificate("turn")
    consumer = plane.relay("turn", "turn")
    with running_relay(plane, consumer, tmp_path) as relay:
        assert relay.fingerprint(_client(old, None, tmp_path)) == _sha256(old)
        assert relay.health(_client(old, None, tmp_path))["relay"] == consumer
        wait_until(lambda: reported(plane, consumer, "state") == "serving")
        new = plane.certificate("turn", expect_version=1)
        line = json.loads(relay.process.stdout.readline())
        assert (line["version"], line["fingerprint_sha256"]) == (2, _sha256(new))
        assert relay.fingerprint(_client(new, None, tmp_path)) == _sha256(new)
        assert relay.health(_client(new, None, tmp_path))["version"] == 2
        wait_until(lambda: reported(plane, consumer, "certificate_version") == 2)
        assert plane.index.snapshot().statuses[consumer].fingerprint_sha256 == _sha256(new)


def test_a_pair_that_does_not_match_is_never_served(plane: Plane, tmp_path: Path) -> None:
    old = plane.certificate("pair")
    with running_relay(plane, plane.relay("pair", "pair"), tmp_path) as relay:
        one, other = paste("127.0.0.1", now=now()), paste("127.0.0.1", now=now())
        broken = Paste(key=other.key, certificate=one.certificate, ca="", leaf=one.leaf, root=one.root)
        plane.certificate("pair", broken, expect_version=1)
        reads = plane.reads_of("bundles/pair")
        wait_until(lambda: plane.reads_of("bundles/pair") > reads)
        for _ in range(20):
            assert relay.fingerprint(_client(old, None, tmp_path)) == _sha256(old)


def test_with_mtls_only_clients_of_its_ca_get_in(plane: Plane, tmp_path: Path) -> None:
    clients_ca = root("Clients", now=now())
    material = paste("127.0.0.1", now=now())
    material = Paste(material.key, material.certificate, clients_ca.pem, material.leaf, material.root)
    plane.certificate("mutual", material)
    friend = issue("friend", issuer=clients_ca, usages=CLIENT, now=now())
    stranger = issue("stranger", issuer=root("Strangers", now=now()), usages=CLIENT, now=now())
    with running_relay(plane, plane.relay("mutual", "mutual", tls_mode="mtls"), tmp_path) as relay:
        assert relay.health(_client(material, friend, tmp_path))["tls_mode"] == "mtls"
        for certificate in (stranger, None):
            with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
                relay.health(_client(material, certificate, tmp_path))


def test_a_relay_changes_between_tls_and_mtls_without_a_new_certificate(plane: Plane, tmp_path: Path) -> None:
    clients_ca = root("Clients", now=now())
    material = paste("127.0.0.1", now=now())
    material = Paste(material.key, material.certificate, clients_ca.pem, material.leaf, material.root)
    plane.certificate("modes", material)
    friend = issue("friend", issuer=clients_ca, usages=CLIENT, now=now())
    anybody, known = _client(material, None, tmp_path), _client(material, friend, tmp_path)
    with running_relay(plane, plane.relay("modes", "modes"), tmp_path) as relay:
        assert relay.health(anybody)["tls_mode"] == "tls"
        plane.relay("modes", "modes", tls_mode="mtls", expect_version=1)
        assert json.loads(relay.process.stdout.readline())["tls_mode"] == "mtls"
        for _ in range(10):
            with pytest.raises((ssl.SSLError, OSError, http.client.HTTPException)):
                relay.health(anybody)
        assert relay.health(known)["tls_mode"] == "mtls"
        plane.relay("modes", "modes", tls_mode="tls", expect_version=2)
        assert json.loads(relay.process.stdout.readline())["tls_mode"] == "tls"
        assert relay.health(anybody)["tls_mode"] == "tls"


def test_the_relays_key_is_on_no_disk(plane: Plane, tmp_path: Path) -> None:
    material = plane.certificate("diskless")
    with running_relay(plane, plane.relay("diskless", "diskless"), tmp_path):
        mark = material.key.splitlines()[1].encode()
        files = [path for path in tmp_path.rglob("*") if path.is_file()]
        assert [path.name for path in files] == ["credentials.json"]
        assert mark not in files[0].read_bytes()
