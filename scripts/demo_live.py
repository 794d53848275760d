"""The second act of `make demo`: five relays serve, a WebSocket held open in each, while their certificate is rotated.

Two reference relays (TLS, mTLS), nginx, HAProxy and Envoy. Whoever drops a session or fails a handshake ends the story.
"""

from __future__ import annotations

import signal
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from scripts.story import KEYSTEAD, ROOT, NotTrue, Story, tell
from tests import proxies
from tests.material import CLIENT, Issued, Paste, issue, paste, root
from tests.sessions import Watch, echoing, watched

NAME = "live"
MODES = {"live-tls": "tls", "live-mtls": "mtls", "live-nginx": "tls", "live-haproxy": "tls", "live-envoy": "tls"}
SERVE_LIMIT_S = 20.0
IN_SYNC_LIMIT_S = 20.0


def tell_story(story: Story) -> None:
    """From five relays that serve version 1 to five that serve version 2."""
    folder = story.folder / "live"
    folder.mkdir()
    clients = root("Clients of the live relays", now=datetime.now(UTC))
    first = generated(clients)
    second = renewed(first)
    body = {"private_key": first.key, "certificate": first.certificate, "ca": first.ca}
    story.made("POST", "/certificates", {"name": NAME, **body})
    with ExitStack() as stack:
        upstream = stack.enter_context(echoing())
        ports = {name: proxies.free_port() for name in MODES}
        for name, mode in MODES.items():
            relay = {"name": name, "host": "localhost", "port": ports[name], "tls_mode": mode, "certificate": NAME}
            story.made("POST", "/relays", relay)
        for name in ("live-tls", "live-mtls"):
            stack.enter_context(reference_relay(story, name, ports[name]))
        for kind in ("nginx", "haproxy", "envoy"):
            stack.enter_context(proxy(story, folder, kind, ports[f"live-{kind}"], upstream))
        before = in_sync(story, 1)
        tell(f"five relays serve version 1: {', '.join(one['consumer'] for one in before['consumers'])}")
        watches = [
            Watch(name, port, trust_of(first, clients, folder), paired=name in {"live-tls", "live-mtls"})
            for name, port in ports.items()
        ]
        with watched(watches):
            rotate(story, second)
        for watch in watches:
            said = f"{watch.exchanged} messages by the held WebSocket, {watch.handshakes} new connections"
            tell(
                f"{watch.name}: {said}, none lost", not watch.faults and watch.handshakes > 0, because=watch.faults[:3]
            )
        tested(story)


def generated(clients: Issued) -> Paste:
    """A pair for every live relay, with the CA of their clients."""
    made = paste("localhost", "127.0.0.1", now=datetime.now(UTC))
    return Paste(made.key, made.certificate, clients.pem, made.leaf, made.root)


def renewed(former: Paste) -> Paste:
    """Another key and leaf of the same issuer."""
    hosts = ("localhost", "127.0.0.1")
    leaf = issue("localhost", issuer=former.leaf.issuer, hosts=hosts, now=datetime.now(UTC))
    return Paste(leaf.key_pem, leaf.chain, former.ca, leaf, former.root)


def trust_of(first: Paste, clients: Issued, folder: Path) -> ssl.SSLContext:
    """A client that trusts the issuer, and shows a certificate where one is asked for."""
    context = ssl.create_default_context(cadata=first.root.pem)
    client = issue("a client", issuer=clients, usages=CLIENT, now=datetime.now(UTC))
    file = folder / "client.pem"
    file.touch(0o600)
    file.write_text(client.pem + client.key_pem)
    context.load_cert_chain(file)
    return context


@contextmanager
def process(*command: str, log: Path) -> Iterator[None]:
    """A command that runs meanwhile, and ends with 0 when it is told to."""
    with log.open("wb") as said:
        started = subprocess.Popen(command, cwd=ROOT, stdout=said, stderr=said)
    try:
        yield
        started.send_signal(signal.SIGTERM)
        code = started.wait(timeout=20)
        if code != 0:
            raise NotTrue(f"{command[-1]} ended with {code}: {log.read_text()[-500:]}")
    finally:
        started.kill()
        started.wait()


@contextmanager
def reference_relay(story: Story, name: str, port: int) -> Iterator[None]:
    """`keystead relay serve`."""
    config = story.enrol(f"relay-{name}", f"/relays/{name}")
    options = ["--url", story.machine.urls["delivery"], "--ca", str(story.machine.data / "ca.pem")]
    state = ["--state-dir", str(config.parent / "state"), "--listen", f"127.0.0.1:{port}"]
    with process(*KEYSTEAD, "relay", "serve", *options, *state, log=config.parent / "log"):
        yield


@contextmanager
def proxy(story: Story, folder: Path, kind: str, port: int, upstream: int) -> Iterator[None]:
    """A proxy with an agent beside it."""
    home = folder / kind
    home.mkdir()
    made = proxies.ALL[kind](home, port, upstream)
    config = story.enrol(f"relay-live-{kind}", f"/relays/live-{kind}")
    head = config.read_text().partition("[[targets]]")[0]
    config.write_text(head + made.files_only())
    story.must(config, "--once")
    with made.running():
        config.write_text(head + made.target())
        with process(*KEYSTEAD, "agent", "--config", str(config), log=config.parent / "log"):
            yield


def rotate(story: Story, second: Paste) -> None:
    """One rotation, looked at until everybody serves it."""
    body = {"private_key": second.key, "certificate": second.certificate, "ca": second.ca}
    version = story.made("PUT", f"/certificates/{NAME}", body, version=1)["version"]
    tell(f"{NAME} is rotated: version {version}", version == 2)
    show(in_sync(story, 2))


def in_sync(story: Story, version: int) -> dict[str, Any]:
    """The rollout, when everybody serves that version."""
    ends = time.monotonic() + IN_SYNC_LIMIT_S
    while True:
        found: dict[str, Any] = story.made("GET", f"/certificates/{NAME}/rollout")
        if found["state"] == "in-sync" and found["version"] == version:
            return found
        if time.monotonic() > ends:
            reasons = [f"{one['consumer']}: {one['state']} {one['reason']}" for one in found["consumers"]]
            raise NotTrue(f"everybody serves version {version} ({'; '.join(reasons)})")
        time.sleep(0.1)


def show(found: dict[str, Any]) -> None:
    """The rollout as a table."""
    stages = ("told", "fetched", "installed", "serving")
    print(f"  {'consumer':<20}" + "".join(f"{stage:>11}" for stage in stages))
    for one in found["consumers"]:
        times = [stage_word(one[stage]) for stage in stages]
        print(f"  {one['consumer']:<20}" + "".join(f"{word:>11}" for word in times))
    good = found["serving"] == found["wanted"] == len(MODES)
    tell(f"in sync: {found['serving']} of {found['wanted']} seen serving version 2 after {found['took_s']:.2f} s", good)


def stage_word(step: dict[str, Any] | None) -> str:
    """When a stage was reached. What is served may be seen before its report has come: then it is of version 1."""
    if step is None:
        return "-"
    return f"{step['after_s']:.3f} s" if step["after_s"] is not None else f"version {step['version']}"


def tested(story: Story) -> None:
    """The test of the mTLS relay: it refuses the worker, which has no certificate, and that is as it should be."""
    job = story.made("POST", "/relays/live-mtls/test")
    ends = time.monotonic() + SERVE_LIMIT_S
    while job["state"] != "done" and time.monotonic() < ends:
        time.sleep(0.1)
        job = story.made("GET", f"/jobs/{job['id']}")
    said = "; ".join(one["message"] for one in job["findings"])
    tell(f"the relay test says: {said}", job["outcome"] == "passed", because=job)
