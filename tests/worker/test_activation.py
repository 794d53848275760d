"""What is staged becomes current: when a person says so, or at its time; once, and by the worker alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

from service.errors import Missing, NotAllowed, Refused
from service.index import Index
from service.inventory import Inventory
from service.records import Job, job_path
from service.worker.activation import Schedule, activate
from service.worker.jobs import JobRunner
from tests.conftest import Instance
from tests.delivery.plane import now, wait_until
from tests.inventory.conftest import Desk, desk, log_in_as, name
from tests.material import Paste, issue, paste
from tests.worker.test_probing import rotated
from tests.worker.test_rollback import reads
from vault.errors import Denied

__all__ = ["desk", "name"]
pytestmark = pytest.mark.live


@contextmanager
def working(instance: Instance, count: int = 1) -> Iterator[None]:
    """So many workers with their jobs and schedules."""
    stop = threading.Event()
    threads = []
    for _ in range(count):
        index = Index(lambda: instance.worker, now, reports=False)
        index.refresh()
        jobs = JobRunner(index, lambda: instance.worker, lambda: None, now)
        schedule = Schedule(index, lambda: instance.worker, lambda: None, now)
        work = [lambda index=index: index.run(stop, 0.05), *(lambda one=one: one.run(stop) for one in (jobs, schedule))]
        threads += [threading.Thread(target=one) for one in work]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join(timeout=10)
            assert not thread.is_alive()


def created(desk: Desk, name: str) -> Paste:
    first = paste("relay.example.com", now=now())
    desk.inventory.certificates.create(name=name, private_key=first.key, certificate=first.certificate)
    return first


def staged(desk: Desk, name: str, **more: object) -> Paste:
    second = paste("relay.example.com", now=now())
    desk.inventory.certificates.stage(name, private_key=second.key, certificate=second.certificate, **more)
    return second


def test_what_is_staged_is_given_to_nobody_until_it_is_activated(instance: Instance, desk: Desk, name: str) -> None:
    first = created(desk, name)
    desk.inventory.relays.create(name=name, host="relay.example.com", port=443, certificate=name)
    consumer = log_in_as(instance, f"relay-{name}")
    second = staged(desk, name)
    ready = desk.inventory.certificates.staged(name)
    assert (ready.certificate, ready.keeps_key, ready.activate_at) == (second.certificate, False, None)
    assert consumer.documents.read(f"bundles/{name}").data["private_key"] == first.key
    for person in (consumer, instance.admin, instance.auditor, instance.index):
        with pytest.raises(Denied):
            person.documents.read(f"staged/{name}")
    with working(instance):
        job = desk.inventory.certificates.activate(name)
        wait_until(lambda: desk.inventory.jobs.get(job.id).state == "done")
    assert desk.inventory.jobs.get(job.id).report == {"version": "2"}
    assert consumer.documents.read(f"bundles/{name}").data["private_key"] == second.key
    with pytest.raises(Missing):
        desk.inventory.certificates.staged(name)
    desk.index.refresh()
    assert desk.inventory.certificates.get(name).view.changed_by == "ada"
    admins = {policy for policy in reads(instance, name) if policy.endswith(("admin", "auditor", "index"))}
    assert admins == set()


def test_at_its_time_it_becomes_current_once_with_two_workers(instance: Instance, desk: Desk, name: str) -> None:
    created(desk, name)
    second = staged(desk, name, activate_at=(now() + timedelta(seconds=2)).isoformat())
    with working(instance, count=2):
        wait_until(lambda: instance.root.documents.metadata(f"bundles/{name}").current_version == 2)
        assert instance.root.documents.read(f"bundles/{name}").data["private_key"] == second.key
        wait_until(lambda: name not in instance.root.documents.list("staged"))
    assert instance.root.documents.metadata(f"bundles/{name}").current_version == 2


def test_the_current_key_stays_when_none_was_staged(instance: Instance, desk: Desk, name: str) -> None:
    first = created(desk, name)
    renewed = issue(
        "relay.example.com", issuer=first.leaf.issuer, key=first.leaf.key, hosts=("relay.example.com",), now=now()
    )
    desk.inventory.certificates.stage(name, certificate=renewed.chain)
    assert desk.inventory.certificates.staged(name).keeps_key
    with working(instance):
        job = desk.inventory.certificates.activate(name)
        wait_until(lambda: desk.inventory.jobs.get(job.id).state == "done")
    stored = instance.root.documents.read(f"bundles/{name}").data
    assert (stored["private_key"], stored["certificate"]) == (first.key, renewed.chain)


def test_what_would_harm_or_is_broken_is_not_staged(desk: Desk, name: str) -> None:
    created(desk, name)
    desk.inventory.relays.create(name=name, host="relay.example.com", port=443, certificate=name)
    other = paste("elsewhere.example.com", now=now())
    certificates = desk.inventory.certificates
    with pytest.raises(Refused) as refused:
        certificates.stage(name, private_key=other.key, certificate=other.certificate)
    assert refused.value.code == "impact.not-accepted"
    with pytest.raises(Refused, match="does not belong"):
        certificates.stage(name, private_key=paste().key, certificate=other.certificate, accept=["host.not-covered"])
    for wrong in ("yesterday", "2020-01-01", "2999-01-01"):
        with pytest.raises(Refused) as late:
            certificates.stage(name, private_key=other.key, certificate=other.certificate, activate_at=wrong)
        assert late.value.code == "staged.time"
    with pytest.raises(Missing):
        certificates.activate(name)


def test_a_rotation_meanwhile_is_not_overwritten(instance: Instance, desk: Desk, name: str) -> None:
    created(desk, name)
    staged(desk, name)
    job = desk.inventory.certificates.activate(name)
    latest = paste("relay.example.com", now=now())
    rotated(desk.inventory, name, latest)
    with working(instance):
        wait_until(lambda: desk.inventory.jobs.get(job.id).state == "done")
        assert [one.code for one in desk.inventory.jobs.get(job.id).findings] == ["staged.overtaken"]
        assert instance.root.documents.read(f"bundles/{name}").data["private_key"] == latest.key
        again = desk.inventory.certificates.activate(name)
        wait_until(lambda: desk.inventory.jobs.get(again.id).state == "done")
    assert instance.root.documents.metadata(f"bundles/{name}").current_version == 3


def test_begun_again_after_a_crash_it_is_written_once(instance: Instance, desk: Desk, name: str) -> None:
    created(desk, name)
    second = staged(desk, name)
    job = desk.inventory.certificates.activate(name)
    stored = instance.root.documents.read(f"staged/{name}")
    public = dict(instance.root.documents.read_public(f"staged/{name}").values)
    assert activate(instance.worker, desk.index, job, now).outcome == "passed"
    assert activate(instance.worker, desk.index, job, now).report == {"version": "2"}
    instance.root.documents.write(f"staged/{name}", stored.data, expect_version=0, public=public)
    assert activate(instance.worker, desk.index, job, now).report == {"version": "2"}
    assert instance.root.documents.metadata(f"bundles/{name}").current_version == 2
    assert instance.root.documents.read(f"bundles/{name}").data["private_key"] == second.key
    document = instance.root.documents.read(job_path(job.id))
    assert Job.from_data(job.id, document.data, document.version).state == "queued"


def test_discarded_it_is_gone_with_its_key(instance: Instance, desk: Desk, name: str) -> None:
    created(desk, name)
    staged(desk, name)
    staged(desk, name)
    desk.inventory.certificates.discard(name)
    assert name not in instance.root.documents.list("staged")
    auditor = Inventory(instance.auditor, desk.index, "eve", now)
    other = paste("relay.example.com", now=now())
    with pytest.raises(NotAllowed):
        auditor.certificates.stage(name, private_key=other.key, certificate=other.certificate)


def test_who_is_bound_meanwhile_is_not_cut_off(instance: Instance, desk: Desk, name: str) -> None:
    both = paste("a.example.com", "b.example.com", now=now())
    desk.inventory.certificates.create(name=name, private_key=both.key, certificate=both.certificate)
    narrow = paste("a.example.com", now=now())
    due = (now() + timedelta(seconds=1.5)).isoformat()
    desk.inventory.certificates.stage(name, private_key=narrow.key, certificate=narrow.certificate, activate_at=due)
    desk.inventory.relays.create(name=name, host="b.example.com", port=443, certificate=name)
    with pytest.raises(Refused):
        desk.inventory.certificates.activate(name)

    def jobs() -> list[Job]:
        documents = instance.root.documents
        found = [(one, documents.read(job_path(one))) for one in documents.list("jobs")]
        return [job for one, document in found if (job := Job.from_data(one, document.data, 1)).subject == name]

    with working(instance):
        wait_until(lambda: any(job.state == "done" for job in jobs()))
        (job,) = jobs()
        assert (job.outcome, [one.code for one in job.findings]) == ("failed", ["host.not-covered"])
        assert instance.root.documents.metadata(f"bundles/{name}").current_version == 1
        asked = desk.inventory.certificates.activate(name, accept=[f"relay-{name}:host.not-covered"])
        wait_until(lambda: desk.inventory.jobs.get(asked.id).state == "done")
        assert desk.inventory.jobs.get(asked.id).outcome == "passed"
