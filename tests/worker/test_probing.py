"""The worker's looks at relays, and the rollout that comes of them: real handshakes, a real OpenBao."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from service.endpoint.handshake import Seen, Trouble, look
from service.index import Index
from service.inventory import Inventory
from service.inventory.rollout import Rollout
from service.records import Probe, probe_path
from service.worker.jobs import JobRunner
from service.worker.probing import AT_ONCE, SILENT_AT_ONCE, Prober
from tests.conftest import Instance
from tests.delivery.plane import now, wait_until
from tests.endpoints import Endpoint, context_of, endpoint
from tests.inventory.conftest import Desk, desk, name
from tests.material import Paste, paste
from vault.aio import AsyncVault

__all__ = ["desk", "name"]
pytestmark = pytest.mark.live


@contextmanager
def working(instance: Instance, handshake: Callable[[str, int], Awaitable[Seen]] = look) -> Iterator[None]:
    """A worker's prober and job runner, with an index of their own."""
    stop = threading.Event()
    index = Index(lambda: instance.worker, now, reports=False)
    index.refresh()
    prober = Prober(
        index,
        lambda: instance.worker,
        lambda: AsyncVault(instance.server),
        lambda: None,
        clock=now,
        handshake=handshake,
    )
    jobs = JobRunner(index, lambda: instance.worker, lambda: None, now)
    work = [lambda: index.run(stop, 0.05), lambda: prober.run(stop), lambda: jobs.run(stop)]
    threads = [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)
            assert not thread.is_alive()


def registered(inventory: Inventory, name: str, material: Paste, *relays: Endpoint, mode: str = "tls") -> None:
    """A certificate, and relays at these endpoints bound to it."""
    inventory.certificates.create(name=name, private_key=material.key, certificate=material.certificate, ca=material.ca)
    for number, one in enumerate(relays, start=1):
        inventory.relays.create(
            name=f"{name}-{number}", host="localhost", port=one.port, certificate=name, tls_mode=mode
        )


def rotated(inventory: Inventory, name: str, material: Paste) -> None:
    version = inventory.certificates.get(name).view.version
    inventory.certificates.rotate(
        name,
        private_key=material.key,
        certificate=material.certificate,
        ca=material.ca,
        expect_version=version,
        accept=["ca.dropped"],
    )


def rollout_when(desk: Desk, name: str, state: str) -> Rollout:
    wait_until(lambda: desk.inventory.certificates.rollout(name).state == state)
    return desk.inventory.certificates.rollout(name)


def test_a_rotation_is_followed_to_what_is_served(instance: Instance, desk: Desk, name: str, tmp_path: Path) -> None:
    first, second = paste("localhost", now=now()), paste("localhost", now=now())
    with (
        endpoint(context_of(first, tmp_path)) as one,
        endpoint(context_of(first, tmp_path)) as other,
        working(instance),
    ):
        registered(desk.inventory, name, first, one, other)
        found = rollout_when(desk, name, "in-sync")
        assert (found.serving, found.stragglers) == (2, ())
        rotated(desk.inventory, name, second)
        pending = desk.inventory.certificates.rollout(name)
        assert (pending.state, pending.serving) == ("in-progress", 0)
        assert [one.serving.version for one in pending.consumers if one.serving] == [1, 1]
        one.context = context_of(second, tmp_path)
        wait_until(lambda: desk.inventory.certificates.rollout(name).serving == 1)
        half = desk.inventory.certificates.rollout(name)
        assert (half.state, [straggler.consumer for straggler in half.stragglers]) == (
            "in-progress",
            [f"relay-{name}-2"],
        )
        switched = now()
        other.context = context_of(second, tmp_path)
        done = rollout_when(desk, name, "in-sync")
        assert done.version == 2
        assert done.took_s is not None
        seen_at = max(one.serving.at for one in done.consumers if one.serving)
        assert abs((seen_at - switched).total_seconds()) < 2


def test_a_straggler_is_named_with_the_reason(instance: Instance, desk: Desk, name: str, tmp_path: Path) -> None:
    first, second = paste("localhost", now=now()), paste("localhost", now=now())
    with endpoint(context_of(first, tmp_path)) as one, working(instance):
        registered(desk.inventory, name, first, one)
        rollout_when(desk, name, "in-sync")
        rotated(desk.inventory, name, second)
        consumer = f"relay-{name}-1"
        wait_until(lambda: desk.index.rescan_statuses().probes[consumer].code == "endpoint.former-version")
        probe = desk.index.snapshot().probes[consumer]
        assert (probe.certificate_version, probe.shown.version) == (1, 1)
        later = Inventory(instance.admin, desk.index, "ada", lambda: now() + timedelta(minutes=1))
        found = later.certificates.rollout(name)
        assert (found.state, found.consumers[0].state) == ("behind", "behind")
        assert "version 1" in found.consumers[0].reason


def test_only_what_changed_is_written(instance: Instance, desk: Desk, name: str, tmp_path: Path) -> None:
    material = paste("localhost", now=now())
    with endpoint(context_of(material, tmp_path)) as one, working(instance):
        registered(desk.inventory, name, material, one)
        rollout_when(desk, name, "in-sync")
        path = probe_path(f"relay-{name}-1")
        version = instance.root.documents.read(path).version
        desk.inventory.relays.update(f"{name}-1", comment="the same endpoint")
        before = one.handshakes
        time.sleep(0.5)
        assert one.handshakes - before <= 1, "a relay that is well is looked at once a minute"
        assert instance.root.documents.read(path).version == version


def test_disabled_unbound_and_removed_relays_are_not_looked_at(
    instance: Instance, desk: Desk, name: str, tmp_path: Path
) -> None:
    material = paste("localhost", now=now())
    with endpoint(context_of(material, tmp_path)) as one, endpoint(context_of(material, tmp_path)) as two:
        registered(desk.inventory, name, material, one, two)
        desk.inventory.relays.update(f"{name}-1", enabled=False)
        with working(instance):
            wait_until(lambda: desk.inventory.certificates.rollout(name).state == "in-sync")
            found = desk.inventory.certificates.rollout(name)
            assert [one.state for one in found.consumers] == ["serving", "disabled"]
            assert one.handshakes == 0
            desk.inventory.relays.delete(f"{name}-2")
            assert desk.inventory.certificates.rollout(name).state == "unused"
        assert f"relay-{name}-2" not in instance.root.documents.list("probes")


def test_what_is_written_by_hand_is_replaced(instance: Instance, desk: Desk, name: str, tmp_path: Path) -> None:
    material = paste("localhost", now=now())
    consumer = f"relay-{name}-1"
    instance.root.documents.write(probe_path(consumer), {"version": "seven"}, expect_version=0)
    with endpoint(context_of(material, tmp_path)) as one, working(instance):
        registered(desk.inventory, name, material, one)
        rollout_when(desk, name, "in-sync")
        document = instance.root.documents.read(probe_path(consumer))
        assert Probe.from_data(consumer, document.data, document.version, document.created_at).code == ""


def test_a_relay_test_is_a_job_with_findings(instance: Instance, desk: Desk, name: str, tmp_path: Path) -> None:
    material = paste("localhost", now=now())
    with endpoint(context_of(material, tmp_path, leaf_alone=True)) as one, working(instance):
        registered(desk.inventory, name, material, one)
        job = desk.inventory.jobs.test_relay(f"{name}-1")
        assert (job.state, job.outcome) == ("queued", "")
        wait_until(lambda: desk.inventory.jobs.get(job.id).state == "done")
        bad = desk.inventory.jobs.get(job.id)
        assert (bad.outcome, [one.code for one in bad.findings]) == ("failed", ["endpoint.chain-incomplete"])
        one.context = context_of(material, tmp_path)
        again = desk.inventory.jobs.test_relay(f"{name}-1")
        wait_until(lambda: desk.inventory.jobs.get(again.id).state == "done")
        good = desk.inventory.jobs.get(again.id)
        assert (good.outcome, [one.code for one in good.findings]) == ("passed", ["endpoint.fine"])
        assert (good.report["version"], good.report["client_certificate"]) == ("1", "not asked for")


def test_relays_that_never_answer_hold_up_nobody(instance: Instance, desk: Desk, name: str, tmp_path: Path) -> None:
    """All of their turns are taken by looks that do not end; a relay that answers is looked at all the same."""
    first, second = paste("localhost", now=now()), paste("localhost", now=now())
    looks: dict[int, int] = {}

    async def handshake(host: str, port: int) -> Seen:
        if port > SILENT_AT_ONCE + AT_ONCE:
            return await look(host, port)
        looks[port] = looks.get(port, 0) + 1
        if looks[port] > 1:
            await asyncio.Event().wait()
        return Seen(trouble=Trouble("connect", "no answer"))

    with endpoint(context_of(first, tmp_path)) as good, working(instance, handshake):
        silent = paste("localhost", now=now())
        registered(desk.inventory, f"{name}-silent", silent)
        for port in range(1, SILENT_AT_ONCE + AT_ONCE + 1):
            desk.inventory.relays.create(
                name=f"{name}-silent-{port}", host="localhost", port=port, certificate=f"{name}-silent"
            )
        wait_until(lambda: sum(count > 1 for count in looks.values()) >= SILENT_AT_ONCE)
        registered(desk.inventory, name, first, good)
        rollout_when(desk, name, "in-sync")
        good.context = context_of(second, tmp_path)
        rotated(desk.inventory, name, second)
        wait_until(lambda: desk.inventory.certificates.rollout(name).version == 2)
        rollout_when(desk, name, "in-sync")
