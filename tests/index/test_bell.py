"""The bell of one machine: who rings, who hears, and what is left of those who are gone."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from service.index import Bell, Index
from tests.conftest import Instance


def wait_until(condition: Callable[[], bool], patience_s: float = 10) -> None:
    ends = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_everybody_who_listens_hears_each_ring(tmp_path: Path):
    heard: list[str] = []
    for name in ("web", "delivery"):
        Bell(tmp_path / "run").listen(lambda name=name: heard.append(name), name)  # type: ignore[misc]
    Bell(tmp_path / "run").ring()
    wait_until(lambda: sorted(heard) == ["delivery", "web"])
    assert (tmp_path / "run").stat().st_mode & 0o777 == 0o700


def test_who_is_gone_is_forgotten_and_rings_go_on(tmp_path: Path):
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.bind(str(tmp_path / "gone-1.bell"))
    left.close()
    heard = threading.Event()
    Bell(tmp_path).listen(heard.set, "web")
    Bell(tmp_path).ring()
    assert heard.wait(10)
    assert not (tmp_path / "gone-1.bell").exists()


def test_a_deaf_listener_and_a_missing_folder_stop_nobody(tmp_path: Path):
    Bell(tmp_path / "none").ring()
    deaf = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    deaf.bind(str(tmp_path / "deaf-1.bell"))
    for _ in range(2000):
        Bell(tmp_path).ring()
    deaf.close()


def test_where_no_socket_can_be_made_it_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    Bell(tmp_path / ("x" * 120)).listen(lambda: None, "web")
    assert "changes are heard of by looking" in caplog.text


@pytest.mark.live
def test_an_index_that_is_nudged_does_not_wait_for_its_next_look(instance: Instance):
    index = Index(lambda: instance.index, lambda: datetime.now(UTC))
    seen: list[int] = []
    end = index.on_change(lambda snapshot: seen.append(snapshot.sequence))
    stop = threading.Event()
    thread = threading.Thread(target=index.run, args=(stop, 3600.0), daemon=True)
    thread.start()
    index.nudge()
    wait_until(lambda: index.ready)
    sequence = instance.admin.journal.append("relay", "eu", "update", 1, by="ada", at=datetime.now(UTC))
    index.nudge()
    wait_until(lambda: index.snapshot().sequence == sequence)
    assert seen[-1] == sequence
    end()
    instance.admin.journal.append("relay", "eu", "update", 2, by="ada", at=datetime.now(UTC))
    index.refresh()
    assert seen[-1] == sequence
    stop.set()
    index.nudge()
    thread.join(10)
    assert not thread.is_alive()
