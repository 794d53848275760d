"""A real HAProxy is told by its runtime API what the agent has installed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.agent.errors import TargetFailed
from service.agent.targets import haproxy as runtime_api
from service.records import status_path
from tests.agent.test_activation import Nginx, echo, fingerprint, said_back, upgrade
from tests.agent.test_agent_command import Agent, _name
from tests.agent.test_following import enrolled, following, waiting
from tests.delivery.plane import Plane, wait_until
from tests.material import Paste, paste, root

__all__ = ["echo"]
pytestmark = pytest.mark.live

HAPROXY = shutil.which("haproxy") or "/usr/sbin/haproxy"

CONFIGURATION = """
global
  stats socket {folder}/admin.sock mode 600 level admin
  maxconn 64
defaults
  mode tcp
  timeout connect 5s
  timeout client 300s
  timeout server 300s
frontend relay
  bind 127.0.0.1:{port} ssl crt {folder}/tls/live/bundle.pem ca-file {folder}/tls/live/ca.pem verify optional
  default_backend echo
backend echo
  server one 127.0.0.1:{echo}
"""


@dataclass
class Haproxy(Nginx):
    """A real HAProxy with the agent's files."""

    pid: int = 0

    @property
    def control(self) -> Path:
        return self.folder / "admin.sock"

    def target(self, **changed: object) -> str:
        """The target's lines in the agent's configuration."""
        said: dict[str, object] = {
            "combined_file": "bundle.pem",
            "socket": str(self.control),
            "verify": f"127.0.0.1:{self.port}",
            "timeout_s": 5.0,
        } | changed
        return "".join(f"{key} = {json.dumps(value)}\n" for key, value in said.items())

    @contextmanager
    def running(self) -> Iterator[None]:
        command = [HAPROXY, "-W", "-f", str(self.folder / "haproxy.cfg")]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_until(self._answers)
            self.pid = process.pid
            yield
        finally:
            process.terminate()
            process.wait(10)


@pytest.fixture
def haproxy(tmp_path: Path, echo: int) -> Haproxy:
    if not Path(HAPROXY).exists():
        pytest.fail("haproxy is missing: scripts/debian-packages installs it")
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    (tmp_path / "haproxy.cfg").write_text(CONFIGURATION.format(folder=tmp_path, port=port, echo=echo))
    return Haproxy(tmp_path, port)


CLIENTS = root("Clients 1", now=datetime.now(UTC)).pem


def material(plane: Plane, name: str, version: int, ca: str = CLIENTS) -> Paste:
    """One more version."""

    made = paste("relay.example.com", now=datetime.now(UTC))
    return plane.certificate(name, Paste(made.key, made.certificate, ca, made.leaf, made.root), expect_version=version)


@pytest.fixture
def agent(plane: Plane, haproxy: Haproxy, request: pytest.FixtureRequest) -> Agent:
    """An agent with something installed, whose program is to be HAProxy."""
    made = enrolled(plane, haproxy.folder, f"h{zlib.crc32(request.node.name.encode())}")
    material(plane, _name(made), 1)
    plane.caught_up()
    made.configure('combined_file = "bundle.pem"\n')
    assert made.once().returncode == 0
    return made


def test_haproxy_serves_a_rotation_without_a_failed_handshake_or_a_lost_connection(agent: Agent, haproxy: Haproxy):
    plane = agent.plane
    stop, failed, seen = threading.Event(), list[str](), list[str]()

    def shake_hands() -> None:
        while not stop.is_set():
            try:
                seen.append(haproxy.shows())
            except OSError as error:
                failed.append(repr(error))
            time.sleep(0.01)

    with haproxy.running():
        agent.configure(haproxy.target(), kind="haproxy")
        with following(agent), haproxy.connect() as held:
            waiting(plane)
            assert upgrade(held).startswith(b"HTTP/1.1 101")
            thread = threading.Thread(target=shake_hands)
            thread.start()
            new = material(plane, _name(agent), 2)
            document = plane.instance.root.documents
            wait_until(lambda: document.read(status_path(agent.consumer)).data["version"] == 3)
            stop.set()
            thread.join(10)
            assert document.read(status_path(agent.consumer)).data["state"] == "serving"
            assert said_back(held, b"after") == b"after"
        assert failed == []
        after = seen.index(fingerprint(new)) if fingerprint(new) in seen else len(seen)
        assert set(seen[after:]) <= {fingerprint(new)}
        assert haproxy.shows() == fingerprint(new)


def test_what_haproxy_refuses_is_undone(agent: Agent, haproxy: Haproxy):
    plane, name = agent.plane, _name(agent)
    with haproxy.running():
        agent.configure(haproxy.target(), kind="haproxy")
        assert agent.once().returncode == 0
        before, live = haproxy.shows(), agent.live.resolve()
        agent.configure(haproxy.target(verify="127.0.0.1:1", timeout_s=0.5), kind="haproxy")
        material(plane, name, 2)
        plane.caught_up()
        done = agent.once()
        assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "hook.not-served")
        assert agent.live.resolve() == live
        assert haproxy.shows() == before


def test_another_ca_takes_a_reload(agent: Agent, haproxy: Haproxy):
    plane, name = agent.plane, _name(agent)
    with haproxy.running():
        agent.configure(haproxy.target(), kind="haproxy")
        assert agent.once().returncode == 0
        before, live = haproxy.shows(), agent.live.resolve()
        new = material(plane, name, 2, root("Clients 2", now=datetime.now(UTC)).pem)
        plane.caught_up()
        done = agent.once()
        assert done.returncode == 1
        assert "which HAProxy takes by a reload only" in json.loads(done.stdout)["error"]["message"]
        assert (agent.live.resolve(), haproxy.shows()) == (live, before)
        agent.configure(haproxy.target(reload=["kill", "-USR2", str(haproxy.pid)]), kind="haproxy")
        assert agent.once().returncode == 0
        wait_until(lambda: haproxy.shows() == fingerprint(new))


def test_a_pair_that_does_not_match_stays_out(agent: Agent, haproxy: Haproxy):
    bundle = agent.live / "bundle.pem"
    with haproxy.running():
        before, good = haproxy.shows(), bundle.read_text()
        one, two = material(agent.plane, f"{_name(agent)}-a", 0), material(agent.plane, f"{_name(agent)}-b", 0)
        bundle.write_text(one.certificate + two.key)
        with pytest.raises(TargetFailed) as refused:
            runtime_api.replace(haproxy.control, bundle)
        assert refused.value.code == "hook.failed"
        assert two.key.splitlines()[1] not in str(refused.value)
        assert haproxy.shows() == before
        bundle.write_text(good)
        runtime_api.replace(haproxy.control, bundle)


def test_a_haproxy_that_is_not_there_and_a_file_it_does_not_know_are_told(agent: Agent, haproxy: Haproxy):
    bundle = agent.live / "bundle.pem"
    with pytest.raises(TargetFailed, match="cannot be reached"):
        runtime_api.replace(haproxy.control, bundle)
    with pytest.raises(TargetFailed, match="spaces"):
        runtime_api.replace(haproxy.control, Path("/a b"))
    with haproxy.running(), pytest.raises(TargetFailed, match="does not know"):
        runtime_api.replace(haproxy.control, agent.live / "cert.pem")


def test_haproxy_needs_its_socket(agent: Agent, haproxy: Haproxy):
    agent.configure(kind="haproxy")
    done = agent.once()
    assert done.returncode == 2
    assert b"socket is missing" in done.stdout
