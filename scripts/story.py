"""What stories are told with: a Keystead, people and agents at it, and sentences that are true or end it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import requests

ROOT = Path(__file__).resolve().parent.parent
READY_LIMIT_S = 120
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
