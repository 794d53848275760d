"""`keystead agent` without `--once`: it waits at the delivery plane, and what ends or disturbs its wait."""

from __future__ import annotations

import signal
import subprocess
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from service.records import status_path
from tests.agent.test_agent_command import COMMAND, Agent, _name
from tests.conftest import Instance
from tests.delivery.plane import Plane, running_plane, wait_until
from tests.delivery.plane import now as utc_now
from tests.material import Paste, paste

pytestmark = pytest.mark.live


@pytest.fixture
def agent(plane: Plane, tmp_path: Path, request: pytest.FixtureRequest) -> Agent:
    """An enrolled agent whose relay and certificate have a name of their own."""
    return enrolled(plane, tmp_path, f"f{zlib.crc32(request.node.name.encode())}")


def enrolled(plane: Plane, folder: Path, name: str) -> Agent:
    plane.certificate(name)
    made = Agent(plane, folder, plane.relay(name, name))
    made.configure()
    made.enroll()
    return made


@contextmanager
def following(agent: Agent, *, ends_with: int = 0, live: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """The agent as a service; told to stop at the end, and it does so while it waits."""
    process = subprocess.Popen(
        [*COMMAND, "--config", str(agent.config), "--json"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        wait_until((live or agent.live).exists)
        yield process
        process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        assert process.wait(timeout=10) == ends_with
        assert time.monotonic() - started < 5
    finally:
        process.kill()
        process.communicate()


def installed(agent: Agent, material: Paste) -> bool:
    return (agent.live / "cert.pem").read_text() == material.certificate


def waiting(plane: Plane) -> None:
    wait_until(lambda: plane.app.waiting == 1)


def test_it_waits_costs_vault_nothing_and_follows_at_once(agent: Agent):
    plane, name = agent.plane, _name(agent)
    with following(agent):
        waiting(plane)
        requests = plane.requests()
        time.sleep(1.5)
        assert plane.requests() == requests
        material = plane.certificate(name, expect_version=1)
        wait_until(lambda: installed(agent, material))
        status = plane.instance.root.documents
        wait_until(lambda: status.read(status_path(agent.consumer)).data["version"] == 2)
        waiting(plane)
    wait_until(lambda: plane.app.waiting == 0)


def test_who_is_unbound_waits_to_be_bound_again(agent: Agent):
    plane, name = agent.plane, _name(agent)
    with following(agent):
        waiting(plane)
        plane.relay(name, None, expect_version=1)
        wait_until(lambda: plane.app.waiting == 0)
        waiting(plane)
        other = plane.certificate(f"{name}-other")
        plane.relay(name, f"{name}-other", expect_version=2)
        wait_until(lambda: installed(agent, other))


def test_a_bundle_that_would_not_work_is_left_until_there_is_another(agent: Agent):
    plane, name = agent.plane, _name(agent)
    with following(agent):
        waiting(plane)
        before = (agent.live / "cert.pem").read_text()
        good, bad = paste("relay.example.com", now=utc_now()), paste("relay.example.com", now=utc_now())
        plane.certificate(name, Paste(good.key, bad.certificate, "", bad.leaf, bad.root), expect_version=1)
        status = plane.instance.root.documents
        wait_until(lambda: status.read(status_path(agent.consumer)).data["state"] == "failed")
        waiting(plane)
        reads = plane.reads_of(f"bundles/{name}")
        time.sleep(2.5)
        assert plane.reads_of(f"bundles/{name}") == reads
        assert (agent.live / "cert.pem").read_text() == before
        plane.certificate(name, good, expect_version=2)
        wait_until(lambda: installed(agent, good))


def test_of_two_rotations_at_once_the_last_stays(agent: Agent):
    plane, name = agent.plane, _name(agent)
    with following(agent):
        waiting(plane)
        plane.certificate(name, expect_version=1)
        last = plane.certificate(name, expect_version=2)
        wait_until(lambda: installed(agent, last))
        waiting(plane)
        assert installed(agent, last)


def test_a_revoked_agent_is_told_keeps_what_it_has_and_cannot_come_back(agent: Agent):
    plane = agent.plane
    with following(agent) as process:
        waiting(plane)
        plane.instance.admin.consumers.revoke(agent.consumer)
        plane.tell("consumer", agent.consumer, "revoked", None)
        assert process.stdout is not None
        assert b'"not-bound"' in b"".join(process.stdout.readline() for _ in range(2))
        assert (agent.live / "key.pem").exists()
    done = agent.once()
    assert (done.returncode, b"login.refused" in done.stdout) == (1, True)


def test_a_delivery_plane_that_is_replaced_is_found_again(instance: Instance, tmp_path: Path):
    with running_plane(instance) as first:
        agent, port = enrolled(first, tmp_path, "replaced"), first.port
        process = subprocess.Popen(
            [*COMMAND, "--config", str(agent.config), "--json"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        waiting(first)
    try:
        with running_plane(instance, port=port) as second:
            material = second.certificate("replaced", expect_version=1)
            wait_until(lambda: installed(agent, material), patience_s=30)
            waiting(second)
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=10) == 0
    finally:
        process.kill()
        process.communicate()
