"""What goes wrong around an agent, and what it must not cost: a complete, matching set of files is always live."""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from service.agent.errors import AgentError
from service.agent.round import Round
from service.agent.session import ConsumerSession
from service.agent.source import Delivery
from service.agent.state import State
from service.records import status_path
from tests.agent.test_activation import fingerprint
from tests.agent.test_agent_command import COMMAND, Agent, _name
from tests.agent.test_following import enrolled, following, installed, waiting
from tests.conftest import Instance
from tests.delivery.plane import Plane, now, running_plane, wait_until
from tests.material import Paste
from vault.wire import Wire

pytestmark = pytest.mark.live


@pytest.fixture
def agent(plane: Plane, tmp_path: Path, request: pytest.FixtureRequest) -> Agent:
    made = enrolled(plane, tmp_path, f"x{zlib.crc32(request.node.name.encode())}")
    assert made.once().returncode == 0
    return made


def matches(live: Path) -> bool:
    """Whether what is live is a key and its certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(live / "cert.pem", live / "key.pem")
    except ssl.SSLError:
        return False
    return True


def reported(agent: Agent) -> dict[str, object]:
    return agent.plane.instance.root.documents.read(status_path(agent.consumer)).data


def outcome(done: subprocess.CompletedProcess[bytes]) -> dict[str, object]:
    return json.loads(done.stdout.splitlines()[-1])


# Servers


def test_a_vault_that_is_killed_and_started_again_costs_a_while_and_no_rotation(
    instance: Instance, tmp_path: Path
) -> None:
    with running_plane(instance) as plane:
        agent = enrolled(plane, tmp_path, "vault-killed")
        with following(agent):
            waiting(plane)
            instance.bao.stop()
            try:
                time.sleep(1.0)
                assert matches(agent.live)
            finally:
                instance.bao.start()
            material = plane.certificate(_name(agent), expect_version=1)
            wait_until(lambda: installed(agent, material), patience_s=30)


def test_with_the_delivery_plane_gone_the_bundle_comes_from_vault_itself(agent: Agent) -> None:
    material = agent.plane.certificate(_name(agent), expect_version=1)
    server = agent.plane.instance.server
    vault = f'[vault]\nurl = "{server.url}"\nca = "{server.ca_file}"\n'
    vault += f'mount = "{server.mount}"\nauth_mount = "{server.consumer_mount}"\n'
    with closed_port() as port:
        agent.configure(vault, url=f"https://127.0.0.1:{port}")
        done = agent.once()
        assert (done.returncode, outcome(done)["version"]) == (0, 2)
        assert installed(agent, material)
        again = agent.once()
        assert (again.returncode, outcome(again)["changed"]) == (0, False)
        agent.plane.relay(_name(agent), None, expect_version=1)
        unbound = agent.once()
        assert (unbound.returncode, outcome(unbound)["error"]["code"]) == (1, "not-bound")
    assert matches(agent.live)


def test_a_clusters_agent_finds_its_bundle_in_vault_itself_too(plane: Plane, tmp_path: Path) -> None:
    material = plane.certificate("direct-cluster")
    agent = Agent(plane, tmp_path, plane.cluster("swarm-eu", "paris-1", "direct-cluster"))
    agent.configure()
    agent.enroll()
    server = plane.instance.server
    vault = f'[vault]\nurl = "{server.url}"\nca = "{server.ca_file}"\n'
    vault += f'mount = "{server.mount}"\nauth_mount = "{server.consumer_mount}"\n'
    with closed_port() as port:
        agent.configure(vault, url=f"https://127.0.0.1:{port}")
        assert agent.once().returncode == 0
    assert installed(agent, material)


def test_with_nothing_reachable_it_starts_and_says_what_is_in_use_since_when(agent: Agent) -> None:
    manifest = agent.live / "keystead.json"
    three_days_ago = time.time() - 3 * 86_400
    os.utime(manifest, (three_days_ago, three_days_ago))
    with closed_port() as port, closed_port() as other:
        agent.configure(f'[vault]\nurl = "https://127.0.0.1:{other}"\n', url=f"https://127.0.0.1:{port}")
        done = agent.once()
    assert done.returncode == 3
    said = str(outcome(done)["error"]["message"])
    assert f"{_name(agent)} version 1, installed 3 days ago, stays in use" in said
    assert "Vault cannot be reached either" in said
    assert matches(agent.live)


@contextmanager
def closed_port() -> Iterator[int]:
    """A port that refuses connections while the block lasts."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_token_is_renewed_before_it_ends(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    plane, ahead = agent.plane, [0.0]
    real = time.monotonic
    monkeypatch.setattr(time, "monotonic", lambda: real() + ahead[0])

    def calls(path: str) -> int:
        entries = plane.instance.bao.audit_entries()
        return sum(one["type"] == "request" and one["request"]["path"].endswith(path) for one in entries)

    with closing(Delivery(plane.url, plane.ca_file)) as delivery:
        session = ConsumerSession(delivery, State(agent.folder / "state"))
        assert session.fetch() is not None
        logins, renewals = calls("/login"), calls("renew-self")
        session.fetch()
        assert (calls("/login"), calls("renew-self")) == (logins, renewals)
        ahead[0] = 13 * 60  # of the 20 minutes that a token lasts
        assert session.fetch() is not None
        assert (calls("/login"), calls("renew-self")) == (logins, renewals + 1)


def test_a_token_that_is_no_more_is_not_renewed(plane: Plane) -> None:
    refused = plane.call("POST", "/v1/renew", token="s.nothing")
    assert (refused.status, refused.code) == (401, "token.invalid")


# The wrapping token


def test_a_wrapping_token_that_has_expired_is_told_as_a_possible_theft(plane: Plane, tmp_path: Path) -> None:
    plane.certificate("expired-token")
    agent = Agent(plane, tmp_path, plane.relay("expired-token", "expired-token"))
    agent.configure()
    instance = plane.instance
    role = f"auth/{instance.server.consumer_mount}/role/{instance.server.prefixed(agent.consumer)}"
    wire = Wire(instance.server, instance.root.token)
    role_id = wire.call("GET", f"{role}/role-id", "look")["data"]["role_id"]
    wrapped = wire.call("POST", f"{role}/secret-id", "wrap", body={}, wrap_ttl_s=1)["wrap_info"]["token"]
    time.sleep(1.5)
    options = ["--config", str(agent.config), "enroll", "--role-id", role_id, "--wrapping-token-file", "-"]
    done = agent.run(*options, given=wrapped.encode())
    assert done.returncode == 1
    assert b"stolen" in done.stderr
    assert wrapped.encode() not in done.stderr


# The machine


def test_a_clock_that_is_wrong_installs_nothing_and_says_why(agent: Agent) -> None:
    plane = agent.plane
    plane.certificate(_name(agent), expect_version=1)
    plane.caught_up()
    from service.agent.config import read_config

    config = read_config(agent.config)
    state = State(config.state_dir)
    with closing(Delivery(config.url, config.ca_file)) as delivery:
        one_round = Round(ConsumerSession(delivery, state), state, config.targets)
        for skewed in (now() + timedelta(days=4000), now() - timedelta(days=4000)):
            with pytest.raises(AgentError, match=r"expired|valid"):
                one_round.run(skewed)
        assert (agent.live / "keystead.json").read_text().count('"version": 1')
        assert reported(agent)["state"] == "failed"
        assert one_round.run(now()).version == 2


@contextmanager
def mounted(folder: Path, options: str) -> Iterator[None]:
    """A small file system of its own; only where this user may mount."""
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=False, capture_output=True
    )
    if done.returncode != 0:
        pytest.skip("this user may not mount a file system, so a full disk cannot be had here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def free_bytes(folder: Path) -> int:
    seen = os.statvfs(folder)
    return seen.f_bavail * seen.f_frsize


def test_a_full_disk_changes_nothing(agent: Agent) -> None:
    small = agent.folder / "small"
    small.mkdir()
    with mounted(small, "size=64k"):
        agent.configure()
        agent.config.write_text(agent.config.read_text().replace('directory = "tls"', 'directory = "small"'))
        assert agent.once().returncode == 0
        fill = small / "fill"
        fill.write_bytes(b"0" * free_bytes(small))
        agent.plane.certificate(_name(agent), expect_version=1)
        agent.plane.caught_up()
        done = agent.once()
        assert (done.returncode, outcome(done)["error"]["code"]) == (1, "target.unwritable")
        assert "No space left" in str(outcome(done)["error"]["message"])
        assert matches(small / "live")
        assert reported(agent)["state"] == "failed"
        fill.unlink()
        assert agent.once().returncode == 0
        assert matches(small / "live")


def test_a_read_only_directory_changes_nothing(agent: Agent) -> None:
    small = agent.folder / "small"
    small.mkdir()
    with mounted(small, "size=1m"):
        agent.config.write_text(agent.config.read_text().replace('directory = "tls"', 'directory = "small"'))
        assert agent.once().returncode == 0
        subprocess.run(["mount", "-o", "remount,ro", str(small)], check=True)
        agent.plane.certificate(_name(agent), expect_version=1)
        agent.plane.caught_up()
        done = agent.once()
        assert (done.returncode, outcome(done)["error"]["code"]) == (1, "target.unwritable")
        assert "Read-only" in str(outcome(done)["error"]["message"])
        assert matches(small / "live")


def test_killed_at_every_step_something_whole_is_live_and_the_next_round_ends_it(agent: Agent, tmp_path: Path) -> None:
    name, plane = _name(agent), agent.plane
    marker = tmp_path / "reloaded"
    agent.configure(f'reload = ["touch", "{marker}"]\ncombined_file = "bundle.pem"\n')
    assert agent.once().returncode == 0
    steps = 0
    version = 1
    material: Paste | None = None
    while True:
        if material is None or (agent.live / "cert.pem").read_text() == material.certificate:
            material = plane.certificate(name, expect_version=version)
            version += 1
            plane.caught_up()
        steps += 1
        command = [sys.executable, "-P", str(Path(__file__).with_name("die_at.py")), str(steps), "agent"]
        environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
        done = subprocess.run(
            [*command, "--config", str(agent.config), "--once", "--json"],
            env=environment,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert matches(agent.live), f"after step {steps}"
        if done.returncode == 0:
            break
        assert done.returncode == 77, done.stderr
    assert steps > 15, "it did not die at the steps of an installation"
    assert agent.once().returncode == 0
    assert installed(agent, material)
    assert reported(agent)["version"] == version
    kept = [one for one in (agent.folder / "tls" / ".versions").iterdir() if one.is_dir()]
    assert len(kept) <= 2
    assert not list((agent.folder / "tls").glob(".*-*-*"))


def test_a_killed_agent_goes_on_where_it_was(agent: Agent) -> None:
    process = subprocess.Popen([*COMMAND, "--config", str(agent.config), "--json"], stdout=subprocess.DEVNULL)
    waiting(agent.plane)
    process.kill()
    process.wait()
    wait_until(lambda: agent.plane.app.waiting == 0)
    material = agent.plane.certificate(_name(agent), expect_version=1)
    with following(agent):
        wait_until(lambda: installed(agent, material))
    assert fingerprint(material) == reported(agent)["fingerprint_sha256"]
