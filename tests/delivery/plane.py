"""A delivery plane that really runs: uvicorn with TLS on a port of its own, an index that follows, a real OpenBao."""

from __future__ import annotations

import http.client
import json
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvloop

from service.delivery.app import FRESH_FOR, DeliveryApp, create_app
from service.delivery.serve import REQUEST_LIMIT_S, make_server
from service.index import Index
from service.records import Cluster, Provider, Relay, bundle_path, provider_path, relay_path
from tests.conftest import Instance
from tests.material import Paste, paste
from vault import login
from vault.aio import AsyncVault
from vault.session import Server, Vault

PATIENCE_S = 10.0


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Reply:
    """One answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes = field(repr=False)

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.content)

    @property
    def code(self) -> str:
        return self.json["code"]


@dataclass
class Plane:
    """A running delivery plane, and the administrator's hands beside it."""

    instance: Instance
    index: Index
    port: int
    ca_file: Path
    app: DeliveryApp

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, *, token: str | None = None, body: object = None, **headers: str) -> Reply:
        """One request on a connection of its own; `body` as JSON unless it is bytes."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if token is not None:
            sent.setdefault("X-Vault-Token", token)
        content = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        if content is not None:
            sent.setdefault("Content-Type", "application/json")
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=20, context=self.trust())
        try:
            connection.request(method, path, body=content, headers=sent)
            response = connection.getresponse()
            return Reply(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def bundle(self, token: str, etag: str | None = None) -> Reply:
        return self.call("GET", "/v1/bundle", token=token, **({"If_None_Match": etag} if etag else {}))

    def trust(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=str(self.ca_file))

    # The administrator's hands, as the inventory does it: document, then binding, then journal

    def certificate(self, name: str, material: Paste | None = None, *, expect_version: int = 0) -> Paste:
        """Store a version of a certificate, and tell the journal."""
        material = material or paste("relay.example.com", "127.0.0.1", now=now())
        admin = self.instance.admin
        public = {"certificate": material.certificate, "ca": material.ca}
        version = admin.documents.write(
            bundle_path(name), {"private_key": material.key, **public}, expect_version=expect_version, public=public
        )
        self.tell("certificate", name, "rotate", version)
        return material

    def relay(self, name: str, certificate: str | None, *, tls_mode: str = "tls", expect_version: int = 0) -> str:
        """Store a relay, bind it, tell the journal; returns its consumer."""
        admin = self.instance.admin
        record = Relay(name, name, "127.0.0.1", 9443, tls_mode, certificate, None, True, "")
        version = admin.documents.write(relay_path(name), record.to_data(), expect_version=expect_version)
        admin.consumers.ensure(record.consumer)
        admin.consumers.bind(record.consumer, certificate, {"relay": name})
        self.tell("relay", name, "update", version)
        return record.consumer

    def cluster(self, provider: str, cluster: str, certificate: str | None) -> str:
        """Store a provider with one cluster, bind it, tell the journal; returns its consumer."""
        admin = self.instance.admin
        one = Cluster(cluster, "https://swarm.example:2376", None, True, certificate)
        record = Provider(provider, provider, "swarm", "private", True, "none", "", (one,))
        version = admin.documents.write(provider_path(provider), record.to_data(), expect_version=0)
        consumer = record.consumer(cluster)
        admin.consumers.ensure(consumer)
        admin.consumers.bind(consumer, certificate, {"provider": provider})
        self.tell("provider", provider, "create", version)
        return consumer

    def tell(self, kind: str, name: str, action: str, version: int | None) -> None:
        self.instance.admin.journal.append(kind, name, action, version, by="ada", at=now())

    def credentials(self, consumer: str) -> tuple[str, str]:
        """Enrol it, and spend the wrapping token."""
        enrollment = self.instance.admin.consumers.enroll(consumer, 300)
        secret_id = login.unwrap_secret_id(self.instance.server, enrollment.wrapping_token)
        return enrollment.role_id, secret_id

    def token(self, consumer: str) -> str:
        """A token of the consumer, got through the plane."""
        role_id, secret_id = self.credentials(consumer)
        reply = self.call("POST", "/v1/login", body={"role_id": role_id, "secret_id": secret_id})
        assert reply.status == 200, reply.json
        return str(reply.json["token"])

    def caught_up(self) -> None:
        """Wait until the index has read the whole journal."""
        wanted = self.instance.root.journal.read().sequence
        wait_until(lambda: self.index.snapshot().sequence >= wanted)

    def reads_of(self, path: str) -> int:
        """How often a document's secret half was read, by the audit device."""
        full = f"{self.instance.server.mount}/data/{path}"
        return sum(
            entry["type"] == "request" and entry["request"]["operation"] == "read" and entry["request"]["path"] == full
            for entry in self.instance.bao.audit_entries()
        )

    def requests(self) -> int:
        """How many requests Vault has had, without the index's looks and the notes of who has fetched what."""
        mount = self.instance.server.mount
        left_out = (f"{mount}/data/journal", f"{mount}/data/status/", f"{mount}/detailed-metadata/")
        return sum(
            entry["type"] == "request" and not entry["request"]["path"].startswith(left_out)
            for entry in self.instance.bao.audit_entries()
        )


def wait_until(condition: Any, *, patience_s: float = PATIENCE_S) -> None:
    """Wait for something that is about to be true."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "it did not become true in time"
        time.sleep(0.02)


@contextmanager
def running_plane(
    instance: Instance,
    *,
    server: Server | None = None,
    follow: bool = True,
    fresh_for: timedelta = FRESH_FOR,
    request_limit_s: float = REQUEST_LIMIT_S,
    port: int = 0,
) -> Iterator[Plane]:
    """A delivery plane on a random port of loopback, and its index.

    Args:
        server: where its Vault is; the instance's unless told.
        follow: whether the index keeps following; else it is read once.
        port: where it listens; 0 takes a free one.
    """
    server = server or instance.server
    index = Index(lambda: Vault(instance.server, instance.index.token), now)
    index.refresh()
    stop = threading.Event()
    follower = threading.Thread(target=index.run, args=(stop, 0.05), daemon=True)
    if follow:
        follower.start()
    home = instance.bao.home
    app = create_app(lambda: AsyncVault(server), index, now, fresh_for=fresh_for)
    uvicorn_server = make_server(
        app,
        "127.0.0.1",
        port,
        home / "server.pem",
        home / "server-key.pem",
        request_limit_s=request_limit_s,
    )
    thread = threading.Thread(target=lambda: uvloop.run(uvicorn_server.serve()), daemon=True)
    thread.start()
    try:
        wait_until(lambda: uvicorn_server.started)
        port = uvicorn_server.servers[0].sockets[0].getsockname()[1]
        yield Plane(instance, index, port, instance.bao.ca_file, app)
    finally:
        uvicorn_server.should_exit = True
        thread.join(timeout=10)
        stop.set()
        if follow:
            follower.join(timeout=10)
