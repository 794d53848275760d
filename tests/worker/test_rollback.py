"""A former version becomes the newest one: once, whatever dies; and no token but the worker's reads a key for it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from service.errors import InUse, Missing, NotAllowed, Refused
from service.inventory import Inventory
from service.records import Job, job_path
from service.worker.rollback import roll_back
from tests.conftest import Instance
from tests.delivery.plane import now, wait_until
from tests.inventory.conftest import Desk, desk, name
from tests.material import Paste, paste
from tests.worker.test_probing import rotated, working

__all__ = ["desk", "name"]
pytestmark = pytest.mark.live


def three_versions(desk: Desk, name: str) -> list[Paste]:
    made = [paste("relay.example.com", "127.0.0.1", now=now()) for _ in range(3)]
    first = made[0]
    desk.inventory.certificates.create(name=name, private_key=first.key, certificate=first.certificate)
    for one in made[1:]:
        rotated(desk.inventory, name, one)
    return made


def reads(instance: Instance, name: str) -> set[str]:
    """The policies of those who read the secret half of this bundle."""
    path = f"{instance.server.mount}/data/bundles/{name}"
    return {
        policy
        for entry in instance.bao.audit_entries()
        if entry["type"] == "request" and entry["request"]["path"] == path and entry["request"]["operation"] == "read"
        for policy in entry["auth"].get("policies") or ()
    }


def test_a_former_version_becomes_the_newest(instance: Instance, desk: Desk, name: str) -> None:
    first, *_ = three_versions(desk, name)
    with working(instance):
        job = desk.inventory.certificates.rollback(name, 1)
        wait_until(lambda: desk.inventory.jobs.get(job.id).state == "done")
    done = desk.inventory.jobs.get(job.id)
    assert (done.outcome, dict(done.report or {})) == ("passed", {"version": "4", "from": "1"})
    stored = instance.root.documents.read(f"bundles/{name}")
    assert (stored.version, stored.data["private_key"], stored.data["certificate"]) == (4, first.key, first.certificate)
    desk.index.refresh()
    view = desk.inventory.certificates.get(name).view
    assert (view.version, view.certificate, view.changed_by) == (4, first.certificate, "ada")
    assert {policy for policy in reads(instance, name) if policy.endswith(("admin", "worker", "index"))} == {
        f"{instance.server.mount}-worker"
    }


def test_what_would_not_work_any_more_is_refused(instance: Instance, desk: Desk, name: str) -> None:
    three_versions(desk, name)
    certificates = desk.inventory.certificates
    with pytest.raises(Refused, match="current one"):
        certificates.rollback(name, 3)
    with pytest.raises(Missing):
        certificates.rollback(name, 9)
    later = Inventory(instance.admin, desk.index, "ada", lambda: now() + timedelta(days=400))
    with pytest.raises(Refused, match="expired") as refused:
        later.certificates.rollback(name, 1)
    assert refused.value.code == "rollback.refused"
    subjects = [
        instance.root.documents.read(job_path(one)).data["subject"] for one in instance.root.documents.list("jobs")
    ]
    assert name not in subjects


def test_a_version_that_loses_a_name_in_use_has_to_be_accepted(instance: Instance, desk: Desk, name: str) -> None:
    narrow, wide = paste("a.example.com", now=now()), paste("a.example.com", "b.example.com", now=now())
    certificates = desk.inventory.certificates
    certificates.create(name=name, private_key=narrow.key, certificate=narrow.certificate)
    rotated(desk.inventory, name, wide)
    desk.inventory.relays.create(name=name, host="b.example.com", port=443, certificate=name)
    with pytest.raises(Refused) as refused:
        certificates.rollback(name, 1)
    assert refused.value.code == "impact.not-accepted"
    assert refused.value.conflicts == (f"relay-{name}:host.not-covered",)
    assert certificates.rollback(name, 1, accept=[f"relay-{name}:host.not-covered"]).state == "queued"


def test_while_a_rotation_is_tried_nothing_returns(desk: Desk, name: str) -> None:
    three_versions(desk, name)
    desk.inventory.relays.create(name=name, host="relay.example.com", port=443, certificate=name)
    fourth = paste("relay.example.com", now=now())
    desk.inventory.certificates.rotate(
        name, private_key=fourth.key, certificate=fourth.certificate, expect_version=3, canary=name
    )
    with pytest.raises(InUse, match="being tried"):
        desk.inventory.certificates.rollback(name, 1)


def test_begun_twice_it_is_written_once(instance: Instance, desk: Desk, name: str) -> None:
    """A worker that died after the write, before it could say so: another one takes the job when its lease is over."""
    three_versions(desk, name)
    job = desk.inventory.certificates.rollback(name, 2)
    roll_back(instance.worker, desk.index, job, now)
    assert instance.root.documents.metadata(f"bundles/{name}").current_version == 4
    stored = instance.root.documents.read(job_path(job.id))
    died = replace(Job.from_data(job.id, stored.data, stored.version), state="running")
    died = replace(died, leased_until=datetime(2020, 1, 1, tzinfo=UTC))
    instance.worker.documents.write(job_path(job.id), died.to_data(), expect_version=stored.version)
    with working(instance):
        wait_until(lambda: desk.inventory.jobs.get(job.id).state == "done")
    assert desk.inventory.jobs.get(job.id).outcome == "passed"
    assert instance.root.documents.metadata(f"bundles/{name}").current_version == 4


def test_who_was_slower_writes_nothing(instance: Instance, desk: Desk, name: str) -> None:
    three_versions(desk, name)
    job = desk.inventory.certificates.rollback(name, 1)
    latest = paste("relay.example.com", now=now())
    rotated(desk.inventory, name, latest)
    with working(instance):
        wait_until(lambda: desk.inventory.jobs.get(job.id).state == "done")
    done = desk.inventory.jobs.get(job.id)
    assert (done.outcome, [one.code for one in done.findings]) == ("failed", ["rollback.overtaken"])
    assert instance.root.documents.read(f"bundles/{name}").data["private_key"] == latest.key


def test_an_auditor_can_ask_for_nothing(instance: Instance, desk: Desk, name: str) -> None:
    three_versions(desk, name)
    auditor = Inventory(instance.auditor, desk.index, "eve", now)
    with pytest.raises(NotAllowed):
        auditor.certificates.rollback(name, 1)
