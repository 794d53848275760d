"""`keystead agent` as a process: enrol, one round, what each fault ends with."""

from __future__ import annotations

import json
import os
import signal
import ssl
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.records import slug
from tests.delivery.plane import Plane, wait_until
from tests.delivery.plane import now as utc_now
from tests.material import CLIENT, paste
from tests.material import issue as issue_certificate

pytestmark = pytest.mark.live

COMMAND = (sys.executable, "-P", "-m", "service.cli", "agent")


@dataclass
class Agent:
    """One consumer's machine: a folder with the configuration, the state and the target."""

    plane: Plane
    folder: Path
    consumer: str

    @property
    def config(self) -> Path:
        return self.folder / "agent.toml"

    @property
    def live(self) -> Path:
        return self.folder / "tls" / "live"

    def configure(self, more: str = "", *, url: str | None = None, kind: str = "files") -> None:
        self.config.write_text(
            f'url = "{url or self.plane.url}"\nca = "{self.plane.ca_file}"\nstate_dir = "state"\n'
            f'[[targets]]\nkind = "{kind}"\ndirectory = "tls"\n{more}'
        )

    def run(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        environment = os.environ | {"REQUESTS_CA_BUNDLE": "/nonexistent", "HTTPS_PROXY": "http://127.0.0.1:9"}
        return subprocess.run(
            [*COMMAND, *arguments], input=given, capture_output=True, timeout=60, check=False, env=environment
        )

    def enroll(self) -> None:
        enrollment = self.plane.instance.admin.consumers.enroll(self.consumer, 300)
        done = self.run(
            *("--config", str(self.config), "enroll", "--role-id", enrollment.role_id, "--wrapping-token-file", "-"),
            given=enrollment.wrapping_token.reveal().encode() + b"\n",
        )
        assert (done.returncode, done.stderr) == (0, b"")
        assert self.consumer.encode() in done.stdout

    def once(self) -> subprocess.CompletedProcess[bytes]:
        return self.run("--config", str(self.config), "--once", "--json")


@pytest.fixture
def agent(plane: Plane, tmp_path: Path, request: pytest.FixtureRequest) -> Agent:
    """An agent whose relay and certificate have the test's name."""
    name = slug(request.node.name.removeprefix("test_"))[-50:].strip("-")
    plane.certificate(name)
    consumer = plane.relay(name, name)
    made = Agent(plane, tmp_path, consumer)
    made.configure()
    return made


def _name(agent: Agent) -> str:
    return agent.consumer.removeprefix("relay-")


def test_enrolled_once_the_agent_installs_what_its_relay_is_bound_to(agent: Agent) -> None:
    agent.enroll()
    done = agent.once()
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert (outcome["consumer"], outcome["version"], outcome["changed"]) == (agent.consumer, 1, True)
    assert outcome["report_failed"] == ""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(agent.live / "cert.pem", agent.live / "key.pem")
    for path in [*agent.live.resolve().iterdir(), agent.folder / "state" / "credentials.json"]:
        assert path.stat().st_mode & 0o777 == 0o600
    assert agent.live.resolve().stat().st_mode & 0o777 == 0o700
    assert (agent.folder / "state").stat().st_mode & 0o777 == 0o700
    status = agent.plane.index.rescan_statuses().statuses[agent.consumer]
    assert (status.certificate_version, status.state) == (1, "installed")
    assert status.fingerprint_sha256 == outcome["fingerprint_sha256"]


def test_a_second_round_writes_nothing(agent: Agent) -> None:
    agent.enroll()
    agent.once()
    agent.plane.caught_up()
    before, reads = agent.live.resolve(), agent.plane.reads_of(f"bundles/{_name(agent)}")
    done = agent.once()
    assert (done.returncode, json.loads(done.stdout)["changed"]) == (0, False)
    assert agent.live.resolve() == before
    assert agent.plane.reads_of(f"bundles/{_name(agent)}") == reads


def test_a_rotation_is_installed_and_one_former_version_is_kept(agent: Agent) -> None:
    agent.enroll()
    agent.once()
    for version in (1, 2, 3):
        material = agent.plane.certificate(_name(agent), expect_version=version)
        agent.plane.caught_up()
        assert json.loads(agent.once().stdout)["version"] == version + 1
        assert (agent.live / "cert.pem").read_text() == material.certificate
    kept = sorted(path.name.rsplit("-", 1)[0] for path in (agent.folder / "tls" / ".versions").iterdir())
    assert [name.rsplit("-", 1)[-1] for name in kept] == ["3", "4"]
    assert sorted(path.name for path in (agent.folder / "tls").iterdir()) == [".versions", "live"]


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_a_damaged_file_is_put_right(agent: Agent, damage: str) -> None:
    agent.enroll()
    agent.once()
    good = (agent.live / "key.pem").read_bytes()
    if damage == "removed":
        (agent.live / "key.pem").unlink()
    else:
        (agent.live / "key.pem").write_bytes(b"")
    assert json.loads(agent.once().stdout)["changed"] is True
    assert (agent.live / "key.pem").read_bytes() == good


def test_a_bundle_that_would_not_work_is_not_installed_and_reported(agent: Agent) -> None:
    agent.enroll()
    agent.once()
    before = agent.live.resolve()
    good, other = paste("a.example", now=utc_now()), paste("b.example", now=utc_now())
    broken = type(good)(key=other.key, certificate=good.certificate, ca="", leaf=good.leaf, root=good.root)
    agent.plane.certificate(_name(agent), broken, expect_version=1)
    agent.plane.caught_up()
    done = agent.once()
    assert done.returncode == 1
    error = json.loads(done.stdout)["error"]
    assert error["code"] == "bundle.refused"
    assert "key.mismatch" in error["message"]
    assert agent.live.resolve() == before
    status = agent.plane.index.rescan_statuses().statuses[agent.consumer]
    assert (status.certificate_version, status.state) == (2, "failed")
    assert "key.mismatch" in status.detail
    for secret in (other.key, good.key):
        assert secret.splitlines()[1].encode() not in done.stdout + done.stderr


def test_a_certificate_that_does_not_cover_the_targets_host_is_not_installed(agent: Agent) -> None:
    agent.configure('hosts = ["elsewhere.example.com"]\npurpose = "server"\n')
    agent.enroll()
    done = agent.once()
    assert done.returncode == 1
    assert not agent.live.exists()


def test_a_certificate_for_clients_is_not_installed_where_a_servers_is_needed(agent: Agent) -> None:
    agent.configure('purpose = "server"\n')
    agent.plane.certificate(_name(agent), paste("x.example", now=utc_now(), usages=CLIENT), expect_version=1)
    agent.enroll()
    assert agent.once().returncode == 1
    assert not agent.live.exists()


def test_a_used_wrapping_token_is_reported_as_a_possible_theft(agent: Agent) -> None:
    enrollment = agent.plane.instance.admin.consumers.enroll(agent.consumer, 300)
    token = enrollment.wrapping_token.reveal()
    assert agent.plane.call("POST", "/v1/unwrap", body={"wrapping_token": token}).status == 200
    file = agent.folder / "wrapping-token"
    file.write_text(token)
    done = agent.run(
        "--config", str(agent.config), "enroll", "--role-id", enrollment.role_id, "--wrapping-token-file", str(file)
    )
    assert done.returncode == 1
    assert b"stolen" in done.stderr
    assert token.encode() not in done.stderr + done.stdout
    assert list((agent.folder / "state").iterdir()) == []


def test_credentials_are_not_replaced_by_accident(agent: Agent) -> None:
    agent.enroll()
    before = (agent.folder / "state" / "credentials.json").read_bytes()
    done = agent.run(
        *("--config", str(agent.config), "enroll", "--role-id", "r", "--wrapping-token-file", "-"), given=b"s.token"
    )
    assert done.returncode == 2
    assert (agent.folder / "state" / "credentials.json").read_bytes() == before


def test_an_unwritable_state_directory_costs_no_wrapping_token(agent: Agent) -> None:
    enrollment = agent.plane.instance.admin.consumers.enroll(agent.consumer, 300)
    (agent.folder / "state").write_text("a file is in the way")
    done = agent.run(
        *("--config", str(agent.config), "enroll", "--role-id", enrollment.role_id, "--wrapping-token-file", "-"),
        given=enrollment.wrapping_token.reveal().encode(),
    )
    assert done.returncode == 2
    body = {"wrapping_token": enrollment.wrapping_token.reveal()}
    assert agent.plane.call("POST", "/v1/unwrap", body=body).status == 200


def test_a_delivery_plane_out_of_reach_ends_with_3_and_what_is_installed_stays(agent: Agent) -> None:
    agent.enroll()
    agent.once()
    agent.configure(url="https://127.0.0.1:9")
    done = agent.once()
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (3, "delivery.unreachable")
    assert (agent.live / "key.pem").exists()


def test_another_ca_than_the_configured_one_is_not_trusted(agent: Agent) -> None:
    agent.enroll()
    other = agent.folder / "other-ca.pem"
    other.write_text(issue_certificate("Another CA", ca=True, now=utc_now()).pem)
    text = agent.config.read_text().replace(str(agent.plane.ca_file), str(other))
    agent.config.write_text(text)
    done = agent.once()
    assert done.returncode == 3
    assert b"not trusted" in done.stdout


def test_an_unbound_relay_keeps_what_it_has_and_is_told(agent: Agent) -> None:
    agent.enroll()
    agent.once()
    agent.plane.relay(_name(agent), None, expect_version=1)
    done = agent.once()
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "not-bound")
    assert (agent.live / "key.pem").exists()


def test_a_revoked_agent_is_told_to_enrol_again(agent: Agent) -> None:
    agent.enroll()
    agent.plane.instance.admin.consumers.revoke(agent.consumer)
    done = agent.once()
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (1, "login.refused")


def test_credentials_that_others_can_read_are_refused(agent: Agent) -> None:
    agent.enroll()
    (agent.folder / "state" / "credentials.json").chmod(0o644)
    done = agent.once()
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "state.exposed")


def test_an_agent_that_never_enrolled_is_told_so(agent: Agent) -> None:
    done = agent.once()
    assert (done.returncode, json.loads(done.stdout)["error"]["code"]) == (2, "state.not-enrolled")


def test_every_mistake_of_a_configuration_is_named(agent: Agent) -> None:
    agent.config.write_text(
        'ulr = "x"\nstate_dir = "s"\ninterval_s = "fast"\n'
        '[[targets]]\nkind = "ftp"\ndirectory = "d"\nkey_file = "../x"\n'
    )
    done = agent.run("--config", str(agent.config), "--once")
    assert done.returncode == 2
    for word in (b"url is missing", b"ulr is not known", b"interval_s", b"kind", b"key_file"):
        assert word in done.stderr
    assert b"Traceback" not in done.stderr


def test_without_once_the_agent_follows_until_it_is_told_to_stop(agent: Agent) -> None:
    agent.enroll()
    agent.config.write_text("interval_s = 0.1\n" + agent.config.read_text())
    process = subprocess.Popen(
        [*COMMAND, "--config", str(agent.config)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        wait_until(agent.live.exists)
        material = agent.plane.certificate(_name(agent), expect_version=1)
        started = time.monotonic()
        wait_until(lambda: (agent.live / "cert.pem").read_text() == material.certificate)
        assert time.monotonic() - started < 5
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()


def test_the_key_is_in_the_target_and_nowhere_else(agent: Agent, tmp_path: Path) -> None:
    material = agent.plane.certificate(_name(agent), expect_version=1)
    marks = [line.encode() for line in material.key.splitlines() if len(line) > 40 and not line.startswith("-")]
    assert marks
    agent.enroll()
    secret_id = json.loads((agent.folder / "state" / "credentials.json").read_text())["secret_id"].encode()
    done = [agent.once(), agent.run("--config", str(agent.config), "--once")]
    for one in done:
        assert not any(mark in one.stdout + one.stderr for mark in [*marks, secret_id])
    holding = {
        path.name for path in tmp_path.rglob("*") if path.is_file() and any(mark in path.read_bytes() for mark in marks)
    }
    assert holding == {"key.pem"}
