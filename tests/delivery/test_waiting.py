"""Waiting for a change: who is woken, by what, and what the others cost."""

from __future__ import annotations

import asyncio
import http.client
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from types import MappingProxyType

import pytest

from service.delivery.exchange import wait_of
from service.delivery.waiting import NOTHING, Turns, Waiters, state_of
from service.index import Change, Snapshot
from service.records import Relay
from tests.conftest import Instance
from tests.delivery.plane import Plane, Reply, running_plane, wait_until

pytestmark = pytest.mark.live

ETAGS: dict[str, str] = {}


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(max_workers=70) as made:
        yield made


def wait(pool: ThreadPoolExecutor, plane: Plane, token: str, etag: str, seconds: int = 15) -> Future[Reply]:
    """Ask, and come back when it is held."""
    before = plane.app.waiting
    reply = pool.submit(plane.call, "GET", "/v1/bundle", token=token, If_None_Match=etag, Prefer=f"wait={seconds}")
    wait_until(lambda: plane.app.waiting > before or reply.done())
    return reply


def bound(plane: Plane, name: str) -> tuple[str, str]:
    """A relay with a certificate of its own name; its token and ETag."""
    plane.certificate(name)
    token = plane.token(plane.relay(name, name))
    plane.caught_up()
    return token, plane.bundle(token).headers["etag"]


def test_a_rotation_wakes_whom_it_concerns_and_nobody_else(plane: Plane, pool: ThreadPoolExecutor) -> None:
    token, etag = bound(plane, "concerned")
    others = [wait(pool, plane, *bound(plane, f"other-{number}")) for number in range(3)]
    waiting = wait(pool, plane, token, etag)
    requests = plane.requests()
    material = plane.certificate("concerned", expect_version=1)
    reply = waiting.result(10)
    assert (reply.status, reply.json["version"], reply.headers["etag"]) == (200, 2, '"concerned:2"')
    assert reply.json["private_key"] == material.key
    assert reply.headers["preference-applied"] == "wait=15"
    assert not any(other.done() for other in others)
    mine = plane.reads_of("bundles/concerned")
    assert mine == 2
    writes_and_their_answers = 3  # the version, and the journal's read and write, by the administrator
    assert plane.requests() - requests <= writes_and_their_answers + 3
    for number in range(3):
        plane.certificate(f"other-{number}", expect_version=1)
    assert [other.result(10).json["version"] for other in others] == [2, 2, 2]


def test_time_over_is_304_and_costs_vault_nothing(plane: Plane, pool: ThreadPoolExecutor) -> None:
    token, etag = bound(plane, "patient")
    requests = plane.requests()
    replies = [wait(pool, plane, token, etag, seconds=1) for _ in range(5)]
    for reply in replies:
        assert (reply.result(10).status, reply.result(10).headers["preference-applied"]) == (304, "wait=1")
    assert plane.requests() == requests
    wait_until(lambda: plane.app.waiting == 0)


def test_without_an_etag_there_is_nothing_to_wait_for(plane: Plane) -> None:
    token, _ = bound(plane, "first")
    reply = plane.call("GET", "/v1/bundle", token=token, Prefer="wait=100")
    assert (reply.status, reply.json["version"]) == (200, 1)


def test_an_old_etag_is_answered_at_once(plane: Plane) -> None:
    token, _ = bound(plane, "behind")
    reply = plane.call("GET", "/v1/bundle", token=token, If_None_Match='"behind:0"', Prefer="wait=100")
    assert reply.status == 200


def unbind(plane: Plane, name: str) -> None:
    plane.relay(name, None, expect_version=1)


def bind_to_another(plane: Plane, name: str) -> None:
    plane.certificate(f"{name}-2")
    plane.relay(name, f"{name}-2", expect_version=1)


def delete(plane: Plane, name: str) -> None:
    plane.instance.admin.documents.delete(f"bundles/{name}", 1)
    plane.tell("certificate", name, "deleted", 1)


def revoke(plane: Plane, name: str) -> None:
    plane.instance.admin.consumers.revoke(f"relay-{name}")
    plane.tell("consumer", f"relay-{name}", "revoked", None)


def change_mode(plane: Plane, name: str) -> None:
    plane.relay(name, name, tls_mode="mtls", expect_version=1)


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("unbound", unbind, {(404, "not-bound")}),
        ("rebound", bind_to_another, {(200, "rebound-2")}),
        ("deleted", delete, {(404, "certificate.gone")}),
        ("revoked", revoke, {(401, "token.invalid"), (404, "not-bound")}),
        ("mode", change_mode, {(304, "mtls")}),
    ],
)
def test_every_change_that_concerns_a_consumer_ends_its_wait(
    plane: Plane,
    pool: ThreadPoolExecutor,
    name: str,
    change: Callable[[Plane, str], None],
    expected: set[tuple[int, str]],
) -> None:
    token, etag = bound(plane, name)
    waiting = wait(pool, plane, token, etag, seconds=30)
    change(plane, name)
    reply = waiting.result(10)
    told = (
        reply.headers["keystead-tls-mode"]
        if reply.status == 304
        else reply.json["certificate_name"]
        if reply.status == 200
        else reply.code
    )
    assert (reply.status, told) in expected


def test_a_mode_that_changed_before_the_wait_is_told_at_once(plane: Plane) -> None:
    token, etag = bound(plane, "mode-before")
    headers = {"If_None_Match": etag, "Prefer": "wait=60", "Keystead_TLS_Mode": "mtls"}
    reply = plane.call("GET", "/v1/bundle", token=token, **headers)
    assert (reply.status, reply.headers["keystead-tls-mode"]) == (304, "tls")


def test_who_is_not_bound_may_wait_to_be(plane: Plane, pool: ThreadPoolExecutor) -> None:
    plane.certificate("later")
    token = plane.token(plane.relay("later", None))
    plane.caught_up()
    waiting = wait(pool, plane, token, '"later:0"', seconds=30)
    assert not waiting.done()
    plane.relay("later", "later", expect_version=1)
    assert waiting.result(10).status == 200
    over = plane.call(
        "GET", "/v1/bundle", token=plane.token(plane.relay("never", None)), If_None_Match='"x:1"', Prefer="wait=1"
    )
    assert (over.status, over.code) == (404, "not-bound")


def test_a_crowd_is_woken_by_one_rotation_and_each_reads_once(plane: Plane, pool: ThreadPoolExecutor) -> None:
    plane.certificate("crowd")
    tokens = [plane.token(plane.relay(f"crowd-{number}", "crowd")) for number in range(40)]
    plane.caught_up()
    etags = [plane.bundle(token).headers["etag"] for token in tokens]
    waiting = [wait(pool, plane, token, etag, seconds=60) for token, etag in zip(tokens, etags, strict=True)]
    reads = plane.reads_of("bundles/crowd")
    plane.certificate("crowd", expect_version=1)
    assert {one.result(15).json["version"] for one in waiting} == {2}
    assert plane.reads_of("bundles/crowd") - reads == 40


def test_of_two_rotations_at_once_the_last_is_what_everybody_has(plane: Plane, pool: ThreadPoolExecutor) -> None:
    token, etag = bound(plane, "twice")
    waiting = wait(pool, plane, token, etag, seconds=30)
    plane.certificate("twice", expect_version=1)
    plane.certificate("twice", expect_version=2)
    version, reply = 1, waiting.result(10)
    while version < 3:
        assert reply.status == 200
        assert reply.json["version"] > version
        version = reply.json["version"]
        if version < 3:
            reply = wait(pool, plane, token, reply.headers["etag"], seconds=30).result(10)


def test_a_caller_that_goes_away_is_forgotten(plane: Plane) -> None:
    token, etag = bound(plane, "leaving")
    connection = http.client.HTTPSConnection("127.0.0.1", plane.port, context=plane.trust())
    headers = {"X-Vault-Token": token, "If-None-Match": etag, "Prefer": "wait=100"}
    connection.request("GET", "/v1/bundle", headers=headers)
    wait_until(lambda: plane.app.waiting == 1)
    connection.close()
    wait_until(lambda: plane.app.waiting == 0)


def test_who_waits_is_answered_when_the_server_stops(instance: Instance, pool: ThreadPoolExecutor) -> None:
    with running_plane(instance) as stopping:
        token, etag = bound(stopping, "stopping")
        waiting = wait(pool, stopping, token, etag, seconds=100)
        assert not waiting.done()
    assert waiting.result(1).status == 304


# Without a server


def snapshot(sequence: int, *changes: Change, certificate: str | None = "c") -> Snapshot:
    relay = Relay("eu", "eu", "h", 1, "tls", certificate, None, True, "")
    empty = MappingProxyType[str, object]({})
    return Snapshot(
        certificates=empty,  # type: ignore[arg-type]
        relays=MappingProxyType({"eu": relay}),
        providers=empty,  # type: ignore[arg-type]
        statuses=empty,  # type: ignore[arg-type]
        changes=changes,
        unreadable=empty,  # type: ignore[arg-type]
        sequence=sequence,
        read_at=datetime.now(UTC),
    )


async def test_what_the_journal_lost_wakes_nobody_whose_bundle_is_the_same():
    waiters, before, after = Waiters(), snapshot(3), snapshot(900)
    waiter = waiters.add("relay-eu", state_of(before, "relay-eu"), before, before)
    waiters.changed(after)
    assert not waiter.woken.done()
    revoked = Change(901, datetime.now(UTC), "consumer", "relay-eu", "revoked", None, "ada")
    waiters.changed(snapshot(901, revoked))
    assert waiter.woken.result() == 901
    waiters.remove(waiter)
    assert len(waiters) == 0


async def test_what_happened_before_the_wait_began_is_not_missed():
    before = snapshot(3)
    revoked = Change(4, datetime.now(UTC), "consumer", "relay-eu", "revoked", None, "ada")
    assert Waiters().add("relay-eu", NOTHING, before, snapshot(4, revoked)).woken.done()
    assert not Waiters().add("relay-eu", NOTHING, before, before).woken.done()


async def test_turns_are_bounded_and_the_newest_change_goes_first():
    turns, order, inside = Turns(2), list[int](), list[int]()

    async def take(sequence: int) -> None:
        async with turns.turn(sequence):
            inside.append(sequence)
            assert len(inside) <= 2
            await asyncio.sleep(0.01)
            inside.remove(sequence)
            order.append(sequence)

    tasks = [asyncio.create_task(take(sequence)) for sequence in (1, 2, 3, 9, 4)]
    await asyncio.sleep(0)
    tasks[2].cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert order == [1, 2, 9, 4]
    async with turns.turn(1), turns.turn(2):
        assert order


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ([b"wait=60"], 60),
        ([b"respond-async, Wait=5; x=1"], 5),
        ([b'wait="7"'], 7),
        ([b"return=minimal", b"wait=9"], 9),
        ([b"wait=100000"], 120),
        ([b"wait=-1"], 0),
        ([b"wait=" + b"9" * 400], 0),
        ([b"wait"], 0),
        ([], 0),
    ],
)
def test_the_preference_is_read_as_rfc_7240_says(said: list[bytes], seconds: int):
    assert wait_of({"headers": [(b"prefer", value) for value in said]}, 120) == seconds
