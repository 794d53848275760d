"""A rotation tried on one relay: everybody follows when it is seen serving, and everything returns when it is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from service.errors import InUse, Refused, Stale
from service.index import Index
from service.inventory import canary as canaries
from service.records import Status, status_path
from service.worker.canary import CanaryKeeper
from service.worker.jobs import JobRunner
from service.worker.probing import Prober
from tests.conftest import Instance
from tests.delivery.plane import Plane, now, running_plane, wait_until
from tests.endpoints import Endpoint, context_of, endpoint
from tests.inventory.conftest import Desk, desk, name
from tests.material import Paste, paste
from vault.aio import AsyncVault

__all__ = ["desk", "name"]
pytestmark = pytest.mark.live


@contextmanager
def working(instance: Instance) -> Iterator[None]:
    """A worker with everything that belongs to it."""
    stop = threading.Event()
    index = Index(lambda: instance.worker, now, reports=False)
    index.refresh()
    prober = Prober(index, lambda: instance.worker, lambda: AsyncVault(instance.server), lambda: None, clock=now)
    jobs = JobRunner(index, lambda: instance.worker, lambda: None, now)
    keeper = CanaryKeeper(index, lambda: instance.worker, lambda: None, prober, now)
    work = [lambda: index.run(stop, 0.05), *(lambda one=one: one.run(stop) for one in (prober, jobs, keeper))]
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


@pytest.fixture(scope="module")
def plane(instance: Instance) -> Iterator[Plane]:
    with running_plane(instance) as running:
        yield running


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial of a second and a half instead of a minute."""
    monkeypatch.setattr(canaries, "GIVEN", timedelta(seconds=1.5))


def registered(desk: Desk, name: str, material: Paste, *relays: Endpoint) -> list[str]:
    """A certificate with relays at these endpoints; the tokens of the relays."""
    desk.inventory.certificates.create(name=name, private_key=material.key, certificate=material.certificate)
    for number, one in enumerate(relays, start=1):
        desk.inventory.relays.create(name=f"{name}-{number}", host="localhost", port=one.port, certificate=name)
    return [f"relay-{name}-{number}" for number in range(1, len(relays) + 1)]


def try_on(desk: Desk, name: str, material: Paste, first: str) -> None:
    version = desk.inventory.certificates.get(name).view.version
    desk.inventory.certificates.rotate(
        name, private_key=material.key, certificate=material.certificate, expect_version=version, canary=first
    )


def job_of(desk: Desk, name: str) -> str:
    canary = desk.inventory.certificates.canary(name)
    assert canary is not None
    return canary.job


def test_the_others_follow_when_it_is_seen_serving(
    instance: Instance, desk: Desk, plane: Plane, name: str, tmp_path: Path
) -> None:
    old, new = paste("localhost", now=now()), paste("localhost", now=now())
    shown = context_of(old, tmp_path)
    with endpoint(shown) as one, endpoint(shown) as two, working(instance):
        first, second = (plane.token(consumer) for consumer in registered(desk, name, old, one, two))
        wait_until(lambda: desk.inventory.certificates.rollout(name).state == "in-sync")
        try_on(desk, name, new, f"{name}-1")
        job = job_of(desk, name)
        plane.caught_up()
        assert plane.bundle(first).json["version"] == 2
        held = plane.bundle(second)
        assert (held.json["version"], held.json["private_key"]) == (1, old.key)
        assert plane.bundle(second, held.headers["etag"]).status == 304
        rollout = desk.inventory.certificates.rollout(name)
        assert (rollout.state, {one.consumer: one.state for one in rollout.consumers}[f"relay-{name}-2"]) == (
            "canary",
            "held",
        )
        with pytest.raises(InUse, match="being tried"):
            try_on(desk, name, paste("localhost", now=now()), f"{name}-2")
        one.context = context_of(new, tmp_path)
        wait_until(lambda: desk.inventory.jobs.get(job).state == "done")
        assert desk.inventory.jobs.get(job).outcome == "passed"
        plane.caught_up()
        assert plane.bundle(second).json["version"] == 2
        two.context = context_of(new, tmp_path)
        wait_until(lambda: desk.inventory.certificates.rollout(name).state == "in-sync")
        assert instance.root.documents.list("canaries") == ()


@pytest.mark.usefixtures("quick")
def test_everything_returns_when_it_is_not_seen_serving(
    instance: Instance, desk: Desk, plane: Plane, name: str, tmp_path: Path
) -> None:
    old, new = paste("localhost", now=now()), paste("localhost", now=now())
    shown = context_of(old, tmp_path)
    with endpoint(shown) as one, endpoint(shown) as two, working(instance):
        first, second = (plane.token(consumer) for consumer in registered(desk, name, old, one, two))
        try_on(desk, name, new, f"relay-{name}-1")
        job = job_of(desk, name)
        wait_until(lambda: desk.inventory.jobs.get(job).state == "done")
        done = desk.inventory.jobs.get(job)
        assert (done.outcome, done.findings[0].code) == ("failed", "canary.returned")
        assert "was not seen serving version 2 in time" in done.findings[0].message
        plane.caught_up()
        for token in (first, second):
            bundle = plane.bundle(token).json
            assert (bundle["version"], bundle["private_key"], bundle["certificate"]) == (3, old.key, old.certificate)
        desk.index.refresh()
        view = desk.inventory.certificates.get(name).view
        assert (view.version, view.certificate, view.changed_by) == (3, old.certificate, "worker")
        wait_until(lambda: desk.inventory.certificates.rollout(name).state == "in-sync")


def test_a_relay_that_reports_that_it_failed_ends_it_at_once(
    instance: Instance, desk: Desk, plane: Plane, name: str, tmp_path: Path
) -> None:
    old = paste("localhost", now=now())
    shown = context_of(old, tmp_path)
    with endpoint(shown) as one, endpoint(shown) as two, working(instance):
        consumers = registered(desk, name, old, one, two)
        plane.token(consumers[0])
        try_on(desk, name, paste("localhost", now=now()), f"{name}-1")
        job = job_of(desk, name)
        failed = Status(consumers[0], name, 2, "", "failed", "nginx ended with 1", None, now())
        before = instance.root.documents.list("status")
        path = status_path(consumers[0])
        expected = instance.root.documents.read(path).version if consumers[0] in before else 0
        instance.root.documents.write(path, failed.to_data(), expect_version=expected)
        wait_until(lambda: desk.inventory.jobs.get(job).state == "done")
        assert "nginx ended with 1" in desk.inventory.jobs.get(job).findings[0].message


@pytest.mark.usefixtures("quick")
def test_a_trial_whose_version_never_came_is_taken_away(
    instance: Instance, desk: Desk, name: str, tmp_path: Path
) -> None:
    """A process that died between the marker and the version."""
    old = paste("localhost", now=now())
    with endpoint(context_of(old, tmp_path)) as one:
        registered(desk, name, old, one)
        view = desk.inventory.certificates.get(name).view
        canaries.begin(desk.inventory.certificates._acting, view, f"{name}-1")
        with working(instance):
            wait_until(lambda: name not in instance.root.documents.list("canaries"))
        assert instance.root.documents.metadata(f"bundles/{name}").current_version == 1


def test_what_cannot_be_tried_is_refused_and_leaves_nothing(
    instance: Instance, desk: Desk, name: str, tmp_path: Path
) -> None:
    old, new = paste("localhost", now=now()), paste("localhost", now=now())
    with endpoint(context_of(old, tmp_path)) as one:
        registered(desk, name, old, one)
        desk.inventory.relays.create(name=f"{name}-off", host="localhost", port=1, certificate=name, enabled=False)
        for unfit in ("no-such-relay", f"{name}-off"):
            with pytest.raises(Refused, match="not an enabled relay"):
                try_on(desk, name, new, unfit)
        version = desk.inventory.certificates.get(name).view.version
        latest = paste("localhost", now=now())
        public = {"certificate": latest.certificate, "ca": ""}
        data = {"private_key": latest.key, **public}
        instance.admin.documents.write(f"bundles/{name}", data, expect_version=version, public=public)
        with pytest.raises(Stale):
            desk.inventory.certificates.rotate(
                name, private_key=new.key, certificate=new.certificate, expect_version=version, canary=f"{name}-1"
            )
        assert name not in instance.root.documents.list("canaries")
