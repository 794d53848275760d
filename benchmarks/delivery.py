"""A consumer's fetch through the delivery plane, beside the same read asked of Vault directly.

One OpenBao (raft, TLS, file audit device) and one `keystead delivery` process, both loaded by `wrk` over TLS in turns,
in one run: `python -m benchmarks.delivery`. Targets: conditional fetches at least 5 times Vault's reads a second, whole
fetches at least 0.6 times, with 16 connections.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from service.records import Relay, bundle_path, relay_path
from tests.conftest import Bao
from tests.material import paste
from vault import bootstrap, login
from vault.session import Server, Token, Vault

CONNECTIONS = 16
ROUNDS = 5
SECONDS = 3
TARGET_NOT_MODIFIED = 5.0
TARGET_FETCH = 0.6
NAME = "relays-eu"


@dataclass(frozen=True)
class Load:
    """What `wrk` measured once."""

    requests_per_s: float
    p50_ms: float
    p99_ms: float


def load(url: str, headers: dict[str, str]) -> Load:
    """Load one address. Any answer but 2xx and 304 ends the benchmark: it would measure something else."""
    options = [option for name, value in headers.items() for option in ("-H", f"{name}: {value}")]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", *options, url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=SECONDS + 30).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise SystemExit(f"{url} did not answer as it should:\n{said}")
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    if rate is None:
        raise SystemExit(f"wrk said something new:\n{said}")
    return Load(float(rate[1]), _latency_ms(said, "50%"), _latency_ms(said, "99%"))


def _latency_ms(said: str, which: str) -> float:
    found = re.search(rf"{which}\s+([\d.]+)(us|ms|s)\b", said)
    if found is None:
        raise SystemExit(f"wrk said something new:\n{said}")
    return float(found[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[found[2]]


@contextmanager
def openbao() -> Iterator[Bao]:
    """An OpenBao with Keystead set up in it."""
    home = Path(tempfile.mkdtemp(prefix="keystead-bench-"))
    bao = Bao(home)
    try:
        bao.start()
        yield bao
    finally:
        bao.stop()
        shutil.rmtree(home, ignore_errors=True)


def bound_consumer(server: Server, root: Vault) -> str:
    """Store a bundle and a relay that is bound to it; returns a token of the relay."""
    now = datetime.now(UTC)
    material = paste("relay.eu.example.com", now=now, client_ca=True)
    public = {"certificate": material.certificate, "ca": material.ca}
    data = {"private_key": material.key, **public}
    root.documents.write(bundle_path(NAME), data, expect_version=0, public=public)
    relay = Relay("eu", "eu", "relay.eu.example.com", 443, "tls", NAME, None, True, "")
    root.documents.write(relay_path("eu"), relay.to_data(), expect_version=0)
    root.consumers.ensure(relay.consumer)
    root.consumers.bind(relay.consumer, NAME, {"relay": "eu"})
    enrollment = root.consumers.enroll(relay.consumer, 300)
    secret_id = login.unwrap_secret_id(server, enrollment.wrapping_token)
    signed_in = login.service_login(server, enrollment.role_id, secret_id, server.consumer_mount)
    return signed_in.token.reveal()


@contextmanager
def delivery_process(bao: Bao, root: Vault) -> Iterator[str]:
    """`keystead delivery` as it runs in production; yields its URL."""
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
    }
    process = subprocess.Popen(
        [sys.executable, "-m", "service.cli", "delivery"], env=environment, stderr=subprocess.DEVNULL
    )
    url = f"https://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + 30
        while status(f"{url}/readyz", bao.ca_file) != 200:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("the delivery plane did not get ready")
            time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(15)


def status(url: str, ca_file: Path, headers: dict[str, str] | None = None) -> int | None:
    """The status of one GET; None when nothing answers."""
    trust = ssl.create_default_context(cafile=str(ca_file))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(urllib.request.Request(url, headers=headers or {}), timeout=5) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None


def run() -> dict[str, Any]:
    """Measure everything; the shape goes into `benchmarks/results.json`."""
    with openbao() as bao:
        server = Server(url=bao.url, ca_file=bao.ca_file)
        root = Vault(server, Token(bao.root_token))
        bootstrap.apply(root)
        token = bound_consumer(server, root)
        with delivery_process(bao, root) as url:
            mine = {"X-Vault-Token": token}
            unchanged = mine | {"If-None-Match": f'"{NAME}:1"'}
            cases = {
                "vault": (f"{bao.url}/v1/{server.mount}/data/{bundle_path(NAME)}", mine, 200),
                "fetch": (f"{url}/v1/bundle", mine, 200),
                "not_modified": (f"{url}/v1/bundle", unchanged, 304),
            }
            for name, (address, headers, expected) in cases.items():
                if (found := status(address, bao.ca_file, headers)) != expected:
                    raise SystemExit(f"{name} answered {found}, not {expected}")
            measured: dict[str, list[Load]] = {name: [] for name in cases}
            for _ in range(ROUNDS):
                for name, (address, headers, _) in cases.items():
                    measured[name].append(load(address, headers))
    middle = {
        name: Load(
            statistics.median(one.requests_per_s for one in loads),
            statistics.median(one.p50_ms for one in loads),
            statistics.median(one.p99_ms for one in loads),
        )
        for name, loads in measured.items()
    }

    def ratio(name: str) -> float:
        """The median of the rounds' ratios: each compares what was measured within seconds."""
        pairs = zip(measured[name], measured["vault"], strict=True)
        return round(statistics.median(one.requests_per_s / direct.requests_per_s for one, direct in pairs), 2)

    return {
        "connections": CONNECTIONS,
        "rounds": ROUNDS,
        **{
            name: {"requests_per_s": one.requests_per_s, "p50_ms": one.p50_ms, "p99_ms": one.p99_ms}
            for name, one in middle.items()
        },
        "not_modified_ratio": ratio("not_modified"),
        "not_modified_target": TARGET_NOT_MODIFIED,
        "fetch_ratio": ratio("fetch"),
        "fetch_target": TARGET_FETCH,
    }


def main() -> int:
    """Print the table; 1 when a target is missed."""
    result = run()
    rows = (
        ("Vault, KV read", "vault", 1.0, None),
        ("delivery, 304", "not_modified", result["not_modified_ratio"], TARGET_NOT_MODIFIED),
        ("delivery, whole bundle", "fetch", result["fetch_ratio"], TARGET_FETCH),
    )
    print(f"{CONNECTIONS} connections, TLS, median of {ROUNDS} rounds of {SECONDS} s")
    print(f"{'':24}{'requests/s':>12}{'p50 ms':>9}{'p99 ms':>9}{'ratio':>8}{'target':>8}")
    for title, name, ratio, target in rows:
        one = result[name]
        aim = f"≥ {target:g}" if target else ""
        print(f"{title:24}{one['requests_per_s']:12.0f}{one['p50_ms']:9.2f}{one['p99_ms']:9.2f}{ratio:8.2f}{aim:>8}")
    return 0 if all(target is None or ratio >= target for _, _, ratio, target in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
