"""WebSocket sessions of the reference relay: paired, kept over a rotation, counted, drained."""

from __future__ import annotations

import json
import ssl
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.delivery.plane import Plane, wait_until
from tests.material import Paste
from tests.relay.test_relay import Running, _client, reported, running_relay

pytestmark = pytest.mark.live


def _open(relay: Running, material: Paste, path: str, folder: Path):
    context: ssl.SSLContext = _client(material, None, folder)
    return connect(f"wss://127.0.0.1:{relay.port}{path}", ssl=context, proxy=None, compression=None)


async def test_two_peers_of_a_path_hear_each_other_and_a_third_is_refused(plane: Plane, tmp_path: Path) -> None:
    material = plane.certificate("pairs")
    with running_relay(plane, plane.relay("pairs", "pairs"), tmp_path) as relay:
        async with _open(relay, material, "/room", tmp_path) as one, _open(relay, material, "/room", tmp_path) as other:
            await one.send("from one")
            await other.send(b"\x00from the other")
            assert await other.recv() == "from one"
            assert await one.recv() == b"\x00from the other"
            with pytest.raises(InvalidStatus, match="409"):
                async with _open(relay, material, "/room", tmp_path):
                    pass
            async with _open(relay, material, "/lonely", tmp_path) as lonely:
                await one.close()
                with pytest.raises(ConnectionClosed):
                    await other.recv()
                await lonely.ping()
            async with (
                _open(relay, material, "/room", tmp_path) as new,
                _open(relay, material, "/room", tmp_path) as old,
            ):
                await new.send("again")
                assert await old.recv() == "again"


async def test_a_session_outlives_rotations_and_is_counted_under_its_version(plane: Plane, tmp_path: Path) -> None:
    first = plane.certificate("held")
    consumer = plane.relay("held", "held")
    with running_relay(plane, consumer, tmp_path) as relay:
        async with _open(relay, first, "/room", tmp_path) as one, _open(relay, first, "/room", tmp_path) as other:
            for version in (1, 2):
                latest = plane.certificate("held", expect_version=version)
                assert json.loads(relay.process.stdout.readline())["version"] == version + 1
                await one.send(f"after {version}")
                assert await other.recv() == f"after {version}"
            async with _open(relay, latest, "/new", tmp_path):
                assert relay.health(_client(latest, None, tmp_path))["sessions_by_version"] == {"1": 2, "3": 1}
            wait_until(lambda: reported(plane, consumer, "certificate_version") == 3)
            assert plane.index.snapshot().statuses[consumer].sessions_by_version[1] == 2
        wait_until(lambda: not reported(plane, consumer, "sessions_by_version"))


async def test_sessions_of_a_former_version_are_drained_when_that_is_wanted(plane: Plane, tmp_path: Path) -> None:
    first = plane.certificate("drained")
    with running_relay(plane, plane.relay("drained", "drained"), tmp_path, "--drain-after", "0") as relay:
        async with _open(relay, first, "/room", tmp_path) as one, _open(relay, first, "/room", tmp_path) as other:
            latest = plane.certificate("drained", expect_version=1)
            assert json.loads(relay.process.stdout.readline())["version"] == 2
            async with _open(relay, latest, "/new", tmp_path) as new:
                for held in (one, other):
                    with pytest.raises(ConnectionClosed):
                        await held.recv()
                    assert held.close_code == 1012
                await new.ping()
