"""`--demo`: certificates, relays and a container provider to look at, made through the admin API as a person would.

Nothing that exists is touched: it may be seeded again at each start, and after a start that was cut short.
"""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from service.embedded.data_dir import DataDir, remove_file, write_file
from service.embedded.demo_pki import DemoPki, Issued, Purpose
from service.embedded.http import Origin, Unanswered
from service.embedded.ports import Addresses, free_port
from service.embedded.programs import KEYSTEAD, basic_environment
from service.embedded.setup_state import ADMIN
from service.embedded.supervisor import Program

API = "/api/v1"
HOST = "localhost"
"""Where the live relays are reached, by a name every machine resolves."""
_LISTEN = "127.0.0.1"
_WRITE_LIMIT_S = 15.0


@dataclass(frozen=True, slots=True)
class _Certificate:
    name: str
    common_name: str
    hosts: tuple[str, ...]
    purpose: Purpose
    days: int
    comment: str
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class LiveRelay:
    """A relay of the demonstration. Its port is a wish: another is taken when that one is in use."""

    name: str
    certificate: str
    tls_mode: str
    port: int
    comment: str


CERTIFICATES = (
    _Certificate(
        "relays-eu",
        "relay.eu.example.com",
        ("relay.eu.example.com", "*.relay.eu.example.com", HOST, "127.0.0.1"),
        "server",
        90,
        "Every relay in Europe.",
        {"region": "eu", "team": "edge"},
    ),
    _Certificate(
        "relays-us",
        "relay.us.example.com",
        ("relay.us.example.com", HOST, "127.0.0.1"),
        "both",
        12,
        "Ends soon: rotate it.",
        {"region": "us", "team": "edge"},
    ),
    _Certificate(
        "swarm-client",
        "keystead platform",
        (),
        "client",
        365,
        "Proves the platform to its clusters.",
        {"team": "build"},
    ),
)
RELAYS = (
    LiveRelay("eu-west", "relays-eu", "tls", 9443, "Live, on this machine."),
    LiveRelay("us-east", "relays-us", "mtls", 9444, "Live, on this machine; asks its clients for a certificate."),
)
PROVIDER = {
    "name": "swarm-berlin",
    "kind": "swarm",
    "visibility": "private",
    "enabled": True,
    "multi_cluster": "none",
    "comment": "Not live: there is no Swarm behind it.",
    "clusters": [
        {
            "name": "primary",
            "url": "https://swarm.berlin.example.com:2376",
            "cert_auth": True,
            "certificate": "swarm-client",
        }
    ],
}


class AdminApi:
    """The admin API, signed in as the first administrator."""

    def __init__(self, console: Origin, password: str) -> None:
        """Sign in.

        Raises:
            Unanswered: the password is another by now, or nothing answers.
        """
        self._console = console
        body = {"method": "userpass", "username": ADMIN, "password": password}
        self._token = str(console.json("POST", f"{API}/session", body, timeout_s=_WRITE_LIMIT_S)["token"])

    def get(self, path: str) -> dict[str, Any] | None:
        """A document, or None when there is none."""
        try:
            return self._console.json("GET", f"{API}{path}", token=self._token)
        except Unanswered as error:
            if error.status == 404:
                return None
            raise

    def send(self, method: str, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """Carry out a change."""
        return self._console.json(method, f"{API}{path}", dict(body), token=self._token, timeout_s=_WRITE_LIMIT_S)

    def close(self) -> None:
        """Sign out."""
        self._console.json("DELETE", f"{API}/session", token=self._token)


def seed(data: DataDir, api: AdminApi, now: datetime) -> None:
    """Make what is missing: certificates, relays, the provider; and `DIR/demo/next/`, to rotate `relays-eu` with.

    A relay that had been deleted is a new consumer: what the former had for credentials is thrown away.

    Raises:
        Unanswered: the API refused or did not answer. What was made so far stays.
    """
    folder = data.root / "demo"
    pki = DemoPki(folder, now)
    write_file(folder / "root.pem", pki.root_pem.encode(), mode=0o644)
    for each in CERTIFICATES:
        if api.get(f"/certificates/{each.name}") is None:
            issued = _issue(pki, each)
            body: dict[str, object] = {"name": each.name, "comment": each.comment, "labels": dict(each.labels)}
            body |= {"private_key": issued.private_key, "certificate": issued.certificate, "ca": issued.ca}
            api.send("POST", "/certificates", body)
    for relay in RELAYS:
        if api.get(f"/relays/{relay.name}") is None:
            remove_file(_state_dir(data, relay) / "credentials.json")
            body = {"name": relay.name, "host": HOST, "port": free_port(relay.port), "tls_mode": relay.tls_mode}
            body |= {"certificate": relay.certificate, "enabled": True, "comment": relay.comment}
            api.send("POST", "/relays", body)
    if api.get(f"/providers/{PROVIDER['name']}") is None:
        api.send("POST", "/providers", PROVIDER)
    if not (folder / "next").exists():
        _issue(pki, CERTIFICATES[0]).write(folder / "next")


def live_relays(data: DataDir, api: AdminApi, addresses: Addresses, environment: Mapping[str, str]) -> list[Program]:
    """The programs of the live relays, each enrolled as a person would do it: once.

    Raises:
        Unanswered: the API refused, or a relay could not be enrolled.
    """
    programs = []
    for relay in RELAYS:
        record = api.get(f"/relays/{relay.name}")
        if record is None or not record["enabled"]:
            continue
        state_dir = _state_dir(data, relay)
        common = ("--url", addresses.url("delivery"), "--ca", str(data.ca_file), "--state-dir", str(state_dir))
        if not (state_dir / "credentials.json").exists():
            enrollment = api.send("POST", f"/relays/{relay.name}/enrollment", {})
            enroll = (*KEYSTEAD, "agent", "enroll", *common, "--role-id", str(enrollment["role_id"]))
            _enroll(
                (*enroll, "--wrapping-token-file", "-"),
                str(enrollment["wrapping_token"]),
                basic_environment(data, environment),
                data.root,
            )
        port = int(record["port"])
        programs.append(
            Program(
                name=f"relay-{relay.name}",
                command=(*KEYSTEAD, "relay", "serve", *common, "--listen", f"{_LISTEN}:{port}"),
                environment=basic_environment(data, environment),
                folder=data.root,
                log=data.logs / f"relay-{relay.name}.log",
                ready=lambda port=port: _accepts(port),  # type: ignore[misc] # mypy cannot infer the default's type
            )
        )
    return programs


def _enroll(command: tuple[str, ...], wrapping_token: str, environment: Mapping[str, str], folder: Path) -> None:
    """Run `keystead agent enroll`; the token goes through standard input, which nobody else can read."""
    try:
        ended = subprocess.run(
            command,
            input=wrapping_token.encode(),
            env=dict(environment),
            cwd=folder,
            capture_output=True,
            timeout=_WRITE_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Unanswered("a live relay was not enrolled in time") from None
    if ended.returncode:
        raise Unanswered(f"a live relay was not enrolled: {ended.stderr.decode('utf-8', 'replace').strip()}")


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((_LISTEN, port), timeout=1.0).close()
    except OSError:
        return False
    return True


def _state_dir(data: DataDir, relay: LiveRelay) -> Path:
    return data.root / "demo" / f"relay-{relay.name}"


def _issue(pki: DemoPki, certificate: _Certificate) -> Issued:
    lifetime = timedelta(days=certificate.days)
    return pki.issue(certificate.common_name, certificate.hosts, purpose=certificate.purpose, lifetime=lifetime)
