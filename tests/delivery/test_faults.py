"""Vault sealed, down, slow, restarted: the documented answer, nothing stale for long, and recovery by itself."""

from __future__ import annotations

import dataclasses
import socket
import tempfile
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.conftest import Bao, make_instance
from tests.delivery.plane import Plane, running_plane, wait_until

pytestmark = pytest.mark.live

REPORT = {"version": 1, "fingerprint_sha256": "", "state": "installed"}


@pytest.fixture(scope="module")
def own_plane() -> Iterator[Plane]:
    """A plane with an OpenBao of its own, which may be killed."""
    with tempfile.TemporaryDirectory(prefix="keystead-bao-") as home:
        own = Bao(Path(home))
        try:
            own.start()
            with running_plane(make_instance(own)) as plane:
                plane.certificate("kept")
                plane.relay("kept", "kept")
                plane.caught_up()
                yield plane
        finally:
            own.stop()


def test_a_killed_vault_is_told_as_such_and_found_again(own_plane: Plane) -> None:
    token = own_plane.token("relay-kept")
    etag = own_plane.bundle(token).headers["etag"]
    bao = own_plane.instance.bao
    bao.stop()
    try:
        for reply in (
            own_plane.bundle(token),
            own_plane.call("PUT", "/v1/status", token=token, body=REPORT),
            own_plane.call("POST", "/v1/login", body={"role_id": "r", "secret_id": "s"}),
            own_plane.call("POST", "/v1/unwrap", body={"wrapping_token": "s.x"}),
        ):
            assert (reply.status, reply.code) == (503, "vault.unreachable")
            assert int(reply.headers["retry-after"]) > 0
        assert own_plane.call("GET", "/healthz").status == 200
    finally:
        bao.start()
    wait_until(lambda: own_plane.bundle(token).status == 200)
    wait_until(lambda: own_plane.bundle(token, etag).status == 304)


def test_a_sealed_vault_is_told_as_such(own_plane: Plane) -> None:
    token = own_plane.token("relay-kept")
    bao = own_plane.instance.bao
    own_plane.instance.root.wire.call("PUT", "sys/seal", "seal", body={})
    try:
        reply = own_plane.bundle(token)
        assert (reply.status, reply.code) == (503, "vault.sealed")
    finally:
        bao.stop()
        bao.start()
    wait_until(lambda: own_plane.bundle(token).status == 200)


def test_an_index_that_has_not_heard_of_vault_for_a_while_answers_no_304(own_plane: Plane) -> None:
    bao = own_plane.instance.bao
    with running_plane(own_plane.instance, fresh_for=timedelta(seconds=2)) as strict:
        token = strict.token("relay-kept")
        etag = strict.bundle(token).headers["etag"]
        bao.stop()
        try:
            wait_until(lambda: strict.index.stale_since is not None)
            assert strict.bundle(token, etag).status == 304
            wait_until(lambda: strict.bundle(token, etag).status == 503)
            ready = strict.call("GET", "/readyz")
            assert (ready.status, ready.code) == (503, "vault.unreachable")
        finally:
            bao.start()
        wait_until(lambda: strict.call("GET", "/readyz").status == 200)
        wait_until(lambda: strict.bundle(token, etag).status == 304)


def test_an_old_index_is_corrected_by_the_read_itself(plane: Plane) -> None:
    first = plane.certificate("behind")
    second = plane.certificate("ahead")
    plane.relay("behind", "behind")
    token = plane.token("relay-behind")
    plane.caught_up()
    with running_plane(plane.instance, follow=False) as frozen:
        assert frozen.bundle(token).json["private_key"] == first.key
        rotated = plane.certificate("behind", expect_version=1)
        assert frozen.index.snapshot().certificates["behind"].version == 1
        assert frozen.bundle(token).json["private_key"] == rotated.key
        assert frozen.bundle(token, '"behind:2"').status == 304
        plane.relay("behind", "ahead", expect_version=1)
        reply = frozen.bundle(token)
        assert (reply.headers["etag"], reply.json["private_key"]) == ('"ahead:1"', second.key)
        plane.relay("behind", None, expect_version=2)
        assert frozen.bundle(token).code == "not-bound"


def test_a_vault_that_does_not_answer_ends_in_time(plane: Plane) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        slow = dataclasses.replace(plane.instance.server, url=url, timeout_s=0.3)
        with running_plane(plane.instance, server=slow, follow=False) as stuck:
            reply = stuck.bundle("s.abcdefghijklmnop")
            assert (reply.status, reply.code) == (503, "vault.unreachable")


def test_a_record_that_was_written_by_hand_is_told_as_such(plane: Plane) -> None:
    plane.certificate("byhand")
    consumer = plane.relay("byhand", None)
    token = plane.token(consumer)
    plane.caught_up()
    plane.instance.admin.documents.write("relays/byhand", {"host": 7}, expect_version=1)
    reply = plane.bundle(token)
    assert (reply.status, reply.code) == (503, "record.unreadable")
