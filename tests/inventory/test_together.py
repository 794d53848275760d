"""Several people, and the worker, at the same thing at the same moment."""

from __future__ import annotations

import threading
from collections.abc import Callable

from service.errors import InUse, Problem, Stale
from service.worker.reconcile import reconcile
from tests.inventory.conftest import Desk, can_read, log_in_as, make_desk
from tests.inventory.test_certificates import create, paste

PEOPLE = 4


def at_once(*works: Callable[[], object]) -> list[Problem | None]:
    """What each of them got, in order: a problem, or None when it went well."""
    got: list[Problem | None] = [None] * len(works)
    begin = threading.Barrier(len(works))

    def work(number: int) -> None:
        begin.wait(10)
        try:
            works[number]()
        except Problem as problem:
            got[number] = problem

    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(works))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return got


def test_of_many_rotations_of_one_version_one_is_made_and_the_others_are_told(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    desks = [make_desk(desk.instance, who=f"person-{number}") for number in range(PEOPLE)]
    pastes = [paste() for _ in desks]

    def rotation(number: int) -> Callable[[], object]:
        new = pastes[number]
        return lambda: desks[number].inventory.certificates.rotate(
            name, expect_version=1, private_key=new.key, certificate=new.certificate
        )

    got = at_once(*map(rotation, range(PEOPLE)))
    assert got.count(None) == 1
    assert all(isinstance(problem, Stale) and problem.conflicts for problem in got if problem)
    winner = got.index(None)
    stored = desk.instance.worker.documents.read(f"bundles/{name}")
    assert stored.version == 2
    assert (stored.data["private_key"], stored.data["certificate"]) == (pastes[winner].key, pastes[winner].certificate)
    for each in desks:
        each.index.refresh()
        assert each.inventory.certificates.get(name).view.changed_by == f"person-{winner}"


def test_of_many_creations_of_one_name_one_is_made(desk: Desk, name: str) -> None:
    desks = [make_desk(desk.instance, who=f"person-{number}") for number in range(PEOPLE)]
    got = at_once(*(lambda it=each: create(it.inventory, name, paste()) for each in desks))  # type: ignore[misc]
    assert got.count(None) == 1
    assert all(isinstance(problem, InUse) for problem in got if problem)


def test_bindings_by_many_people_and_the_worker_end_as_the_record_says(desk: Desk, name: str) -> None:
    for certificate in (name, f"{name}-b"):
        create(desk.inventory, certificate, paste())
    desk.inventory.relays.create(name=name, host="relay.example.com", port=443)
    token = log_in_as(desk.instance, f"relay-{name}")
    one, two = make_desk(desk.instance), make_desk(desk.instance)
    for _ in range(4):
        got = at_once(
            lambda: one.inventory.relays.bind(name, name),
            lambda: two.inventory.relays.bind(name, f"{name}-b"),
            lambda: desk.inventory.relays.bind(name, None),
            lambda: reconcile(desk.instance.worker),
        )
        assert all(isinstance(problem, Stale) for problem in got if problem)
        desk.index.rescan()
        bound = desk.inventory.relays.get(name).certificate
        assert desk.instance.admin.consumers.bound_to(f"relay-{name}") == bound
        for certificate in (name, f"{name}-b"):
            assert can_read(token, certificate) == (certificate == bound)
        assert reconcile(desk.instance.worker) == ()


def test_deleting_a_relay_while_it_is_bound_ends_with_no_such_consumer(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    one, two = make_desk(desk.instance), make_desk(desk.instance)
    for number in range(3):
        relay = f"{name}-{number}"
        desk.inventory.relays.create(name=relay, host="relay.example.com", port=443)
        one.index.refresh()
        two.index.refresh()
        token = log_in_as(desk.instance, f"relay-{relay}")
        at_once(
            lambda it=relay: one.inventory.relays.delete(it),  # type: ignore[misc]
            lambda it=relay: two.inventory.relays.bind(it, name),  # type: ignore[misc]
        )
        desk.index.rescan()
        assert relay not in desk.index.snapshot().relays
        assert not can_read(token, name)
        assert f"relay-{relay}" not in desk.instance.worker.consumers.names()
        assert reconcile(desk.instance.worker) == ()


def test_many_changes_at_once_all_reach_the_journal(desk: Desk, name: str) -> None:
    desks = [make_desk(desk.instance, who=f"person-{number}") for number in range(PEOPLE)]

    def registration(number: int) -> Callable[[], object]:
        def work() -> None:
            for part in range(3):
                relay = f"{name}-{number}-{part}"
                desks[number].inventory.relays.create(name=relay, host="r.example", port=443)

        return work

    assert at_once(*map(registration, range(PEOPLE))) == [None] * PEOPLE
    told = {change.name for change in desk.index.refresh().changes}
    assert {f"{name}-{number}-{part}" for number in range(PEOPLE) for part in range(3)} <= told
