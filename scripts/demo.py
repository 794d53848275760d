"""`make demo`: the main job as a story that checks itself. Exit 0 only if every line of it was true.

A Keystead of its own in a temporary folder on free ports: register, bind, fetch as each consumer, rotate, fetch again,
and prove that nobody else can read a key. Everything is stopped and removed at the end.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import requests

from tests.material import BOTH, SERVER, Paste, paste

ROOT = Path(__file__).resolve().parent.parent
READY_LIMIT_S = 120
FOLLOW_LIMIT_S = 10
"""The delivery plane notices a rotation within 250 ms; each round of an agent starts a process."""
KEYSTEAD = [sys.executable, "-m", "service.cli"]


class NotTrue(Exception):
    """A sentence of the story that does not hold."""


def tell(sentence: str, true: bool = True, *, because: object = "") -> None:
    """One sentence of the story. The first that is not true ends it."""
    print(f"{'✓' if true else '✗'} {sentence}", flush=True)
    if not true:
        raise NotTrue(f"{sentence} ({because})")


class Machine:
    """`keystead up`, started for the story."""

    def __init__(self, folder: Path, password: str) -> None:
        self.data = folder / "data"
        ports = ["--web-port", "0", "--delivery-port", "0", "--vault-port", "0"]
        environment = {**os.environ, "KEYSTEAD_ADMIN_PASSWORD": password}
        self.process = subprocess.Popen(
            [*KEYSTEAD, "up", "--data-dir", str(self.data), *ports],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.urls = self._ready()

    def _ready(self) -> dict[str, str]:
        """The addresses of the `ready` line: console, delivery, vault."""
        timer = threading.Timer(READY_LIMIT_S, self.process.kill)
        timer.start()
        assert self.process.stdout is not None
        try:
            for line in self.process.stdout:
                if line.startswith("ready"):
                    words = line.split()
                    return {name: words[words.index(name) + 1] for name in ("console", "delivery", "vault")}
        finally:
            timer.cancel()
        raise NotTrue("keystead up became ready")

    def stop(self) -> int:
        """Stop it as Ctrl-C does, and return its exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=60)


class Story:
    """The people, consumers and certificates of the story."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine, self.folder = machine, folder
        self.http = requests.Session()
        self.http.trust_env = False
        self.http.verify = str(machine.data / "ca.pem")
        self.token = ""

    def api(self, method: str, path: str, body: object = None, version: int | None = None) -> requests.Response:
        """One call of the admin API."""
        headers = {"X-Vault-Token": self.token} if self.token else {}
        if version is not None:
            headers["If-Match"] = f'"{version}"'
        url = f"{self.machine.urls['console']}/api/v1{path}"
        return self.http.request(method, url, json=body, headers=headers, timeout=30)

    def made(self, method: str, path: str, body: object = None, version: int | None = None) -> Any:
        """A call that has to succeed."""
        answer = self.api(method, path, body, version)
        if not answer.ok:
            raise NotTrue(f"{method} {path} answered {answer.status_code}: {answer.text[:500]}")
        return answer.json() if answer.content else None

    def sign_in(self, password: str) -> None:
        """As the administrator."""
        body = {"method": "userpass", "username": "admin", "password": password}
        self.token = self.made("POST", "/session", body)["token"]

    def enrol(self, consumer: str, path: str) -> Path:
        """An agent for a consumer; returns its configuration file."""
        issued = self.made("POST", f"{path}/enrollment")
        home = self.folder / consumer
        home.mkdir()
        config = home / "agent.toml"
        config.write_text(
            f'url = "{self.machine.urls["delivery"]}"\nca = "{self.machine.data / "ca.pem"}"\n'
            f'state_dir = "{home / "state"}"\n'
            f'[[targets]]\nkind = "files"\ndirectory = "{home / "tls"}"\n'
        )
        token = home / "wrapping-token"
        token.touch(0o600)
        token.write_text(issued["wrapping_token"])
        self.must(config, "enroll", "--role-id", issued["role_id"], "--wrapping-token-file", str(token))
        again = self.agent(
            config, "enroll", "--replace", "--role-id", issued["role_id"], "--wrapping-token-file", str(token)
        )
        tell(f"{consumer}: its wrapping token opens once only", again.returncode == 1, because=again.stderr)
        return config

    def fetch(self, config: Path) -> Path:
        """One round of the agent; returns the folder with the installed files."""
        self.must(config, "--once")
        return config.parent / "tls" / "live"

    def must(self, config: Path, *arguments: str) -> None:
        """A call of the agent that has to succeed."""
        done = self.agent(config, *arguments)
        if done.returncode != 0:
            raise NotTrue(f"agent {arguments[0]} ended with {done.returncode}: {done.stderr}")

    def agent(self, config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
        """The agent's command line."""
        command = [*KEYSTEAD, "agent", "--config", str(config), *arguments]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    def vault(self, method: str, path: str, **headers: str) -> requests.Response:
        """A request to Vault itself, with the administrator's token."""
        named = {"X-Vault-Token": self.token, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.http.request(method, f"{self.machine.urls['vault']}/v1/{path}", headers=named, timeout=30)


def installed_is(folder: Path, pasted: Paste) -> bool:
    """Whether exactly this bundle is installed: key, chain and CA of one version."""
    return (
        (folder / "key.pem").read_text() == pasted.key
        and (folder / "cert.pem").read_text() == pasted.certificate
        and ((folder / "ca.pem").read_text() if pasted.ca else "") == pasted.ca
    )


def reads_of(names: list[str]) -> list[tuple[str, str, dict[str, str]]]:
    """Every way that Vault knows to read a bundle."""
    ways: list[tuple[str, str, dict[str, str]]] = []
    for name in names:
        ways += [
            ("GET", f"keystead/{engine}/bundles/{name}{version}", {})
            for engine in ("data", "subkeys", "metadata")
            for version in ("", "?version=1", "?version=2")
        ]
        ways.append(("GET", f"keystead/data/bundles/{name}", {"X_Vault_Wrap_TTL": "60s"}))
        ways.append(("LIST", f"keystead/detailed-metadata/bundles/{name}", {}))
    return ways


def certificate(name: str, pasted: Paste) -> dict[str, str]:
    """What is pasted into the form."""
    return {"name": name, "private_key": pasted.key, "certificate": pasted.certificate, "ca": pasted.ca}


def tell_story(folder: Path) -> None:
    """From nothing to a rotation that everybody followed."""
    password = secrets.token_urlsafe(18)
    machine = Machine(folder, password)
    try:
        tell(f"OpenBao, console, delivery and worker run: {machine.urls['console']}")
        story = Story(machine, folder)
        wrong = story.api("POST", "/session", {"username": "admin", "password": "wrong"})
        tell("a wrong password is refused", wrong.status_code == 401, because=wrong.text)
        story.sign_in(password)
        tell("the administrator signs in")
        first = register(story)
        agents = enrol_and_fetch(story, first)
        refuse_harm(story)
        second = rotate(story, first)
        follow(story, agents, second)
        prove_that_nobody_else_reads(story, [*first.values(), *second.values()])
        unbind(story, agents["relay-eu"])
    finally:
        code = machine.stop()
    tell("everything stops cleanly", code == 0, because=code)


CONSUMERS = {"relay-eu": "relays", "relay-us": "relays", "provider-swarm-paris": "swarm-client"}
"""Who uses which certificate."""
PATHS = {
    "relay-eu": "/relays/eu",
    "relay-us": "/relays/us",
    "provider-swarm-paris": "/providers/swarm/clusters/paris",
}


def generated() -> dict[str, Paste]:
    """New material for both certificates."""
    now = datetime.now(UTC)
    hosts = ("eu.relay.example.com", "us.relay.example.com")
    return {
        "relays": paste(*hosts, now=now, usages=SERVER, client_ca=True),
        "swarm-client": paste("platform.example.com", now=now, usages=BOTH),
    }


def register(story: Story) -> dict[str, Paste]:
    """Certificates, relays, a provider; and who uses what."""
    first = generated()
    for name, pasted in first.items():
        story.made("POST", "/certificates", certificate(name, pasted))
    tell("two certificates are registered, each a generated root → intermediate → leaf")
    for name, mode in (("eu", "tls"), ("us", "mtls")):
        body = {"name": name, "host": f"{name}.relay.example.com", "port": 443, "tls_mode": mode}
        story.made("POST", "/relays", body)
    cluster = {"name": "paris", "url": "https://swarm.example.com:2376", "cert_auth": True}
    made = story.made("POST", "/providers", {"name": "swarm", "kind": "swarm", "clusters": [cluster]})
    tell("a new container provider is disabled", made["enabled"] is False)
    for consumer, name in CONSUMERS.items():
        story.made("PUT", f"{PATHS[consumer]}/certificate", {"certificate": name})
    tell("two relays (TLS and mTLS) and one cluster are bound")
    return first


def enrol_and_fetch(story: Story, first: dict[str, Paste]) -> dict[str, Path]:
    """An agent for each consumer, and its first bundle."""
    agents = {}
    for consumer, name in CONSUMERS.items():
        agents[consumer] = story.enrol(consumer, PATHS[consumer])
        live = story.fetch(agents[consumer])
        tell(f"{consumer} fetched and installed its own bundle, whole", installed_is(live, first[name]))
    return agents


def refuse_harm(story: Story) -> None:
    """What would cut somebody off is refused before it is written."""
    refused = story.api("DELETE", "/certificates/relays")
    named = refused.json().get("conflicts", [])
    tell("deleting a certificate in use is refused", refused.status_code == 409, because=refused.text)
    tell(f"… and says by whom it is used: {', '.join(named)}", {"relay-eu", "relay-us"} <= set(named))
    narrow = paste("eu.relay.example.com", now=datetime.now(UTC))
    body = {"private_key": narrow.key, "certificate": narrow.certificate}
    harm = story.api("PUT", "/certificates/relays", body, version=1)
    tell("a rotation that would cut a relay off is refused beforehand", harm.status_code == 422, because=harm.text)
    tell("… and names that relay", "us" in json.dumps(harm.json()["findings"]))


def rotate(story: Story, first: dict[str, Paste]) -> dict[str, Paste]:
    """Both certificates anew, under their names."""
    second = generated()
    for name, pasted in second.items():
        body = {"private_key": pasted.key, "certificate": pasted.certificate, "ca": pasted.ca}
        if first[name].ca:
            body["accept"] = ["ca.dropped"]  # the clients' CA is a new one too
        version = story.made("PUT", f"/certificates/{name}", body, version=1)["version"]
        tell(f"{name} is rotated: version {version}", version == 2)
        stale = story.api("PUT", f"/certificates/{name}", body, version=1)
        tell("… a second administrator who saw version 1 gets a conflict", stale.status_code == 412, because=stale.text)
    return second


def follow(story: Story, agents: dict[str, Path], second: dict[str, Paste]) -> None:
    """Each consumer has the new version, soon."""
    rotated_at = time.monotonic()
    for consumer, name in CONSUMERS.items():
        live = story.fetch(agents[consumer])
        while not installed_is(live, second[name]) and time.monotonic() - rotated_at < FOLLOW_LIMIT_S:
            live = story.fetch(agents[consumer])
        tell(f"{consumer} has version 2, whole", installed_is(live, second[name]))


def unbind(story: Story, agent: Path) -> None:
    """Vault gives it no bundle from its next read on; that nothing is new it may hear for a moment longer."""
    story.made("PUT", "/relays/eu/certificate", {"certificate": None})
    unbound_at = time.monotonic()
    gone = story.agent(agent, "--once")
    while gone.returncode == 0 and time.monotonic() - unbound_at < FOLLOW_LIMIT_S:
        gone = story.agent(agent, "--once")
    tell("an unbound relay is refused its bundle", gone.returncode != 0, because=gone.stdout)


def prove_that_nobody_else_reads(story: Story, material: list[Paste]) -> None:
    """The administrator's own token, at Vault itself."""
    lines = [pasted.key.splitlines()[1] for pasted in material]
    ways = reads_of(["relays", "swarm-client"])
    answers = [story.vault(method, path, **headers) for method, path, headers in ways]
    clean = not any(line in answer.text for answer in answers for line in lines)
    tell(f"the administrator's own token gets no key out of Vault: {len(ways)} ways tried", clean)
    data = {answer.status_code for (_, path, _), answer in zip(ways, answers, strict=True) if "/data/" in path}
    tell("… and each read of a bundle is refused by Vault itself", data == {403}, because=data)


def main() -> int:
    with tempfile.TemporaryDirectory(prefix="keystead-demo-") as folder:
        try:
            tell_story(Path(folder))
        except NotTrue as fault:
            print(f"\nThe story does not hold: {fault}", file=sys.stderr)
            return 1
    print("\nAll of it was true.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
