"""A rotation that a thousand waiting consumers follow, and what ten thousand cost while nothing happens.

One OpenBao (raft, TLS, file audit device), one `keystead delivery` process, clients with a TLS connection each,
all on one machine: `python -m benchmarks.waiting`. The peer is Vault alone, asked for as many reads with as many at a
time, in the same run. What the clients do is part of both times: they run on the same cores.
"""

from __future__ import annotations

import asyncio
import json
import os
import socket
import ssl
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvloop

from benchmarks.delivery import openbao, status
from service.agent.source import Delivery
from service.agent.state import State
from service.index import Bell, Index
from service.inventory import Inventory
from service.records import Relay, bundle_path, relay_path
from tests.conftest import Bao
from tests.material import Paste, paste
from vault import bootstrap, login
from vault.session import Server, Token, Vault

CONSUMERS = 1000
ENDPOINTS = 50
"""Of them, so many are reference relays with a port of their own; the others are clients that wait."""
ROTATIONS = 3
SINGLE_ROTATIONS = 20
IDLE = (0, 1000, 5000, 10_000)
IDLE_S = 12.0
AT_ONCE = 24
WAITED_S = 7.0
"""Longer than the delivery plane believes a token for anything but waiting."""
NAME = "relays-eu"
TARGET_LAST_S, TARGET_RATIO, TARGET_SINGLE_MS = 1.5, 1.3, 150.0
TARGET_MB, TARGET_CPU_PERCENT = 400.0, 5.0


def now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Site:
    """What every measurement needs."""

    bao: Bao
    server: Server
    root: Vault
    inventory: Inventory
    url: str
    process: subprocess.Popen[bytes]
    tokens: list[str]

    def rotate(self) -> tuple[int, Paste]:
        """One more version, by the use case behind `PUT /certificates/…`; its number and material."""
        made = material()
        version = self.inventory.certificates.get(NAME).view.version
        profile = self.inventory.certificates.rotate(
            NAME, expect_version=version, private_key=made.key, certificate=made.certificate
        )
        return profile.view.version, made


def material() -> Paste:
    return paste("relay.eu.example.com", "127.0.0.1", now=now())


def consumer(server: Server, root: Vault, number: int) -> str:
    """A relay that is bound and enrolled; its token."""
    name = f"relay-{number:04}"
    relay = Relay(name, name, "relay.eu.example.com", 443, "tls", NAME, None, True, "")
    root.documents.write(relay_path(name), relay.to_data(), expect_version=0)
    root.consumers.ensure(relay.consumer)
    root.consumers.bind(relay.consumer, NAME, {"relay": name})
    enrollment = root.consumers.enroll(relay.consumer, 300)
    secret_id = login.unwrap_secret_id(server, enrollment.wrapping_token)
    signed_in = login.service_login(server, enrollment.role_id, secret_id, server.consumer_mount)
    return signed_in.token.reveal()


@contextmanager
def site() -> Iterator[Site]:
    """A delivery plane that rings with the administrator's process, and its consumers."""
    with openbao() as bao:
        server = Server(url=bao.url, ca_file=bao.ca_file)
        root = Vault(server, Token(bao.root_token))
        bootstrap.apply(root)
        bell = Bell(bao.home / "run")
        index = Index(lambda: root, now, announce=bell.ring)
        inventory = Inventory(root, index, "ada", now)
        index.rescan()
        made = material()
        inventory.certificates.create(name=NAME, private_key=made.key, certificate=made.certificate)
        with ThreadPoolExecutor(8) as pool:
            tokens = list(pool.map(lambda number: consumer(server, root, number), range(CONSUMERS)))
        index.rescan()
        with delivery(bao, root) as (url, process):
            yield Site(bao, server, root, inventory, url, process, tokens)


@contextmanager
def delivery(bao: Bao, root: Vault) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`keystead delivery` as it runs in production, with the bell of this machine."""
    role_id, secret_id = bootstrap.issue_service_credentials(root, "index")
    credentials = bao.home / "index.json"
    credentials.touch(mode=0o600)
    credentials.write_text(json.dumps({"role_id": role_id, "secret_id": secret_id}))
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    environment = {
        "PATH": os.environ.get("PATH", ""),
        "KEYSTEAD_VAULT_ADDR": bao.url,
        "KEYSTEAD_VAULT_CACERT": str(bao.ca_file),
        "KEYSTEAD_CREDENTIALS_FILE": str(credentials),
        "KEYSTEAD_LISTEN": f"127.0.0.1:{port}",
        "KEYSTEAD_TLS_CERT_FILE": str(bao.home / "server.pem"),
        "KEYSTEAD_TLS_KEY_FILE": str(bao.home / "server-key.pem"),
        "KEYSTEAD_RUN_DIR": str(bao.home / "run"),
    }
    command = [sys.executable, "-m", "service.cli", "delivery"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    url = f"https://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 60
        while status(f"{url}/readyz", bao.ca_file) != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the delivery plane did not get ready")
            time.sleep(0.1)
        yield url, process
    finally:
        process.terminate()
        process.wait(15)


# Clients


class Line:
    """One TLS connection that asks."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    @classmethod
    async def open(cls, url: str, trust: ssl.SSLContext) -> Line:
        parts = urlsplit(url)
        return cls(*await asyncio.open_connection(parts.hostname, parts.port, ssl=trust, limit=128 * 1024))

    async def get(self, path: str, *headers: str) -> tuple[int, bytes]:
        """Status and body."""
        head = "\r\n".join((f"GET {path} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""))
        self._writer.write(head.encode())
        answer = (await self._reader.readuntil(b"\r\n\r\n")).lower()
        code = int(answer[9:12])
        if b"transfer-encoding: chunked" in answer:
            return code, await self._chunks()
        length = answer.partition(b"content-length: ")[2].partition(b"\r\n")[0]
        return code, await self._reader.readexactly(int(length)) if length else b""

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readline(), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readline()
        return body

    def close(self) -> None:
        self._writer.transport.abort()


async def lines(url: str, trust: ssl.SSLContext, count: int) -> list[Line]:
    """Many connections, opened a few at a time."""
    made: list[Line] = []
    while len(made) < count:
        few = min(50, count - len(made))
        made += await asyncio.gather(*(Line.open(url, trust) for _ in range(few)))
    return made


async def followed(site: Site, held: list[Line], relays: Endpoints, version: int) -> list[float]:
    """Seconds from the answer to a rotation until each consumer holds the new bundle; the endpoints serve it."""
    arrived: list[float] = []

    async def follow(line: Line, token: str) -> None:
        etag = f'If-None-Match: "{NAME}:{version}"'
        code, body = await line.get("/v1/bundle", f"X-Vault-Token: {token}", etag, "Prefer: wait=100")
        arrived.append(time.monotonic())
        if code != 200 or f'"version":{version + 1}'.encode() not in body:
            raise SystemExit(f"a consumer got {code}, and not version {version + 1}")

    waiting = [asyncio.create_task(follow(*one)) for one in zip(held, site.tokens[ENDPOINTS:], strict=True)]
    await asyncio.sleep(WAITED_S)
    switched = asyncio.create_task(asyncio.to_thread(relays.switched, version + 1))
    await asyncio.to_thread(site.rotate)
    answered = time.monotonic()
    await asyncio.gather(*waiting)
    return [at - answered for at in (*arrived, *await switched)]


class Endpoints:
    """The process of the reference relays."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def switched(self, version: int) -> list[float]:
        """When each of them began to serve a version, by the machine's monotonic clock."""
        assert self._process.stdout is not None
        at: dict[str, float] = {}
        while len(at) < ENDPOINTS:
            said = json.loads(self._process.stdout.readline())
            if said["version"] == version:
                at[said["consumer"]] = said["at"]
        return list(at.values())


@contextmanager
def endpoints(site: Site, version: int) -> Iterator[Endpoints]:
    """The reference relays, each serving the current version when this begins."""
    folders = []
    for number in range(ENDPOINTS):
        state = State(site.bao.home / "relays" / f"{number:02}")
        enrollment = site.root.consumers.enroll(f"relay-relay-{number:04}", 300)
        _enroll(site, state, enrollment.role_id, enrollment.wrapping_token)
        folders.append(str(state.directory))
    command = [sys.executable, "-m", "benchmarks.relays", site.url, str(site.bao.ca_file), *folders]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        made = Endpoints(process)
        made.switched(version)
        yield made
    finally:
        process.communicate("\n", timeout=30)


async def alone(site: Site, trust: ssl.SSLContext) -> float:
    """Seconds that Vault alone needs for as many reads."""
    held, tokens = await lines(site.bao.url, trust, AT_ONCE), iter(site.tokens)
    path = f"/v1/{site.server.mount}/data/{bundle_path(NAME)}"

    async def read(line: Line) -> None:
        for token in tokens:
            code, _ = await line.get(path, f"X-Vault-Token: {token}")
            if code != 200:
                raise SystemExit(f"Vault answered {code}")

    started = time.monotonic()
    await asyncio.gather(*(read(line) for line in held))
    taken = time.monotonic() - started
    for line in held:
        line.close()
    return taken


async def crowd(site: Site, trust: ssl.SSLContext) -> dict[str, Any]:
    """A thousand consumers, three rotations, Vault alone after each."""
    held = await lines(site.url, trust, CONSUMERS - ENDPOINTS)
    version = site.inventory.certificates.get(NAME).view.version
    runs, peers = list[list[float]](), list[float]()
    with endpoints(site, version) as relays:
        for number in range(ROTATIONS):
            runs.append(await followed(site, held, relays, version + number))
            peers.append(await alone(site, trust))
    for line in held:
        line.close()
    last, peer = max(max(run) for run in runs), statistics.median(peers)
    middle = statistics.median(max(run) for run in runs)
    return {
        "consumers": CONSUMERS,
        "tls_endpoints": ENDPOINTS,
        "p50_s": round(statistics.median(statistics.median(run) for run in runs), 3),
        "p100_s": round(last, 3),
        "p100_target_s": TARGET_LAST_S,
        "vault_alone_s": round(peer, 3),
        "ratio": round(middle / peer, 2),
        "ratio_target": TARGET_RATIO,
    }


async def idle(site: Site, trust: ssl.SSLContext) -> list[dict[str, float]]:
    """Memory, processor time and Vault's requests for more and more who wait."""
    found: list[dict[str, float]] = []
    held: list[Line] = []
    tasks: list[asyncio.Task[tuple[int, bytes]]] = []
    version = site.inventory.certificates.get(NAME).view.version
    etag = f'If-None-Match: "{NAME}:{version}"'
    for count in IDLE:
        more = await lines(site.url, trust, count - len(held))
        for number, line in enumerate(more, start=len(held)):
            token = f"X-Vault-Token: {site.tokens[number % len(site.tokens)]}"
            tasks.append(asyncio.create_task(line.get("/v1/bundle", token, etag, "Prefer: wait=120")))
        held += more
        await asyncio.sleep(6)
        cpu, requests = _cpu_s(site.process.pid), _requests(site.bao)
        await asyncio.sleep(IDLE_S)
        found.append(
            {
                "waiting": count,
                "memory_mb": round(_memory_mb(site.process.pid), 1),
                "cpu_percent": round((_cpu_s(site.process.pid) - cpu) / IDLE_S * 100, 2),
                "vault_requests_per_s": round((_requests(site.bao) - requests) / IDLE_S, 1),
            }
        )
        if any(task.done() for task in tasks):
            raise SystemExit("somebody who should wait was answered")
    for line in held:
        line.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    return found


def single(site: Site) -> dict[str, Any]:
    """One reference relay: from the answer to a rotation until a handshake shows the new certificate."""
    folder = site.bao.home / "relay"
    folder.mkdir()
    state = State(folder / "state")
    enrollment = site.root.consumers.enroll("relay-relay-0000", 300)
    _enroll(site, state, enrollment.role_id, enrollment.wrapping_token)
    options = ["--url", site.url, "--ca", str(site.bao.ca_file), "--state-dir", str(state.directory)]
    command = [sys.executable, "-m", "service.cli", "relay", "serve", *options, "--listen", "127.0.0.1:0", "--json"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    taken: list[float] = []
    try:
        assert process.stdout is not None
        port = int(json.loads(process.stdout.readline())["address"].rsplit(":", 1)[1])
        for _ in range(SINGLE_ROTATIONS):
            time.sleep(0.7)
            _, made = site.rotate()
            answered = time.monotonic()
            process.stdout.readline()  # it has switched: asking it all the while would be most of its work
            wanted = sha256(ssl.PEM_cert_to_DER_cert(made.leaf.pem)).hexdigest()
            while _served(port) != wanted:
                time.sleep(0.005)
            taken.append((time.monotonic() - answered) * 1000)
    finally:
        process.terminate()
        process.wait(15)
    taken.sort()
    return {
        "rotations": SINGLE_ROTATIONS,
        "p50_ms": round(statistics.median(taken), 1),
        "p95_ms": round(taken[int(len(taken) * 0.95) - 1], 1),
        "p95_target_ms": TARGET_SINGLE_MS,
    }


def _enroll(site: Site, state: State, role_id: str, wrapping_token: Token) -> None:
    from service.agent.enrollment import enroll  # noqa: PLC0415 - used once

    delivery_plane = Delivery(site.url, site.bao.ca_file)
    enroll(delivery_plane, state, role_id=role_id, wrapping_token=wrapping_token)
    delivery_plane.close()


def _served(port: int) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain) as secure,
    ):
        return sha256(secure.getpeercert(binary_form=True) or b"").hexdigest()


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory_mb(pid: int) -> float:
    line = next(one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def _requests(bao: Bao) -> int:
    return sum(entry["type"] == "request" for entry in bao.audit_entries())


def run() -> dict[str, Any]:
    """Measure everything; the shape goes into `benchmarks/results.json`."""
    with site() as made:
        trust = ssl.create_default_context(cafile=str(made.bao.ca_file))
        found: dict[str, Any] = {"single": single(made)}
        found["crowd"] = uvloop.run(crowd(made, trust))
        found["idle"] = uvloop.run(idle(made, trust))
    return found | {"memory_target_mb": TARGET_MB, "cpu_target_percent": TARGET_CPU_PERCENT}


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
