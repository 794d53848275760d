"""Processes are started again, with pauses, ended in order, and never outlive the process that started them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from service.embedded.errors import EXIT_UNREACHABLE, CannotStart
from service.embedded.leftovers import MARK, end_leftovers
from service.embedded.supervisor import Child, Pace, Program, Supervisor, stop
from tests.embedded.running import wait_until


def program(tmp_path: Path, code: str, *, healthy: Callable[[], bool] | None = None, **environment: str) -> Program:
    return Program(
        name="tiny",
        command=(sys.executable, "-c", code),
        environment={"PATH": os.environ["PATH"], **environment},
        folder=tmp_path,
        log=tmp_path / "tiny.log",
        healthy=healthy,
    )


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


SLEEP = "import time; time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)"
FORKING = "import os, time; print(os.fork(), flush=True); time.sleep(60)"


async def until(condition: Callable[[], object], limit_s: float = 10) -> None:
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def test_a_killed_process_is_started_again_and_said_so(tmp_path: Path):
    said: list[str] = []
    child, keeper = Child(program(tmp_path, SLEEP)), Supervisor(said.append)
    keeper.watch(child)
    first = child.pid
    assert first
    os.kill(first, signal.SIGKILL)
    await until(lambda: child.pid not in {None, first})
    assert said == ["tiny ended (signal 9); starting it again in 0.2 s"]
    await keeper.stop()
    await stop([child])
    assert child.pid is None


async def test_a_process_that_never_starts_ends_the_wait_and_names_its_log(tmp_path: Path):
    child = Child(program(tmp_path, "raise SystemExit(7)", healthy=lambda: False))
    keeper = Supervisor(lambda _: None, Pace(first_pause_s=0.01))
    keeper.watch(child)
    with pytest.raises(CannotStart, match=r"tiny does not start; see .*tiny\.log") as caught:
        await keeper.wait_ready(30)
    assert caught.value.exit_code == EXIT_UNREACHABLE
    await keeper.stop()
    await stop([child])


async def test_a_process_that_answers_nothing_is_ready_only_when_it_stays(tmp_path: Path):
    marker = tmp_path / "started before"
    code = f"""
import pathlib, time
marker = pathlib.Path({str(marker)!r})
if not marker.exists():
    marker.touch()
    raise SystemExit(1)
time.sleep(60)
"""
    child, keeper = Child(program(tmp_path, code)), Supervisor(lambda _: None, Pace(settled_after_s=0.4))
    keeper.watch(child)
    await keeper.wait_ready(10)
    assert child.failures == 1
    assert child.running()
    await keeper.stop()
    await stop([child])


async def test_a_process_that_stops_answering_is_ended_and_started_again(tmp_path: Path):
    answers = iter([True, True])
    said: list[str] = []
    child = Child(program(tmp_path, SLEEP, healthy=lambda: next(answers, False)))
    keeper = Supervisor(said.append, Pace(probe_interval_s=0.02))
    keeper.watch(child)
    first = child.pid
    await until(lambda: child.pid not in {None, first})
    assert said[0] == "tiny does not answer; ending it"
    await keeper.stop()
    await stop([child])


async def test_a_process_that_ignores_sigterm_is_killed_after_its_time(tmp_path: Path):
    child = Child(program(tmp_path, STUBBORN))
    child.start()
    await until(lambda: "up" in (tmp_path / "tiny.log").read_text())
    begun = time.monotonic()
    await stop([child], limit_s=0.3)
    assert time.monotonic() - begun < 2
    assert child.pid is None


async def test_what_a_killed_process_had_forked_is_ended_with_it(tmp_path: Path):
    child = Child(program(tmp_path, FORKING))
    child.start()
    await until(lambda: "\n" in (tmp_path / "tiny.log").read_text())
    forked = max(int(line) for line in (tmp_path / "tiny.log").read_text().split())
    assert child.pid
    os.kill(child.pid, signal.SIGKILL)
    await until(lambda: child.ended() is not None)
    await until(lambda: not alive(forked))


async def test_a_process_sees_nothing_of_the_environment_but_what_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("KEYSTEAD_ADMIN_PASSWORD", "canary-password")
    child = Child(program(tmp_path, "import os; print(sorted(os.environ))", ONLY="this"))
    child.start()
    await until(lambda: child.ended() is not None)
    log = (tmp_path / "tiny.log").read_text()
    assert "'ONLY'" in log
    assert "KEYSTEAD" not in log
    assert "canary-password" not in repr(child.program)


@pytest.mark.skipif(sys.platform != "linux", reason="the lifeline is prctl(2), which Linux alone has")
def test_children_end_when_the_process_that_started_them_is_killed(tmp_path: Path):
    code = f"""
import pathlib, sys, time
from service.embedded.supervisor import Child, Program
child = Child(Program("tiny", (sys.executable, "-c", {SLEEP!r}), {{}}, pathlib.Path({str(tmp_path)!r}),
                      pathlib.Path({str(tmp_path / "tiny.log")!r})))
child.start()
print(child.pid, flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        child = int(parent.stdout.readline())
        wait_until(lambda: b"time.sleep" in Path(f"/proc/{child}/cmdline").read_bytes(), "the child", limit_s=10)
        parent.kill()
    wait_until(lambda: not alive(child), "the child's end", limit_s=10)


def test_leftovers_are_ended_by_their_mark_and_others_are_left_alone(tmp_path: Path):
    def started(identity: str, code: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            [sys.executable, "-c", "print(flush=True);" + code], env={MARK: identity}, stdout=subprocess.PIPE
        )
        assert process.stdout
        process.stdout.readline()
        return process

    with started("one", SLEEP) as ours, started("one-more", SLEEP) as theirs:
        try:
            assert end_leftovers("one") == 1
            assert ours.wait(5) == -signal.SIGTERM
            assert theirs.poll() is None
            assert end_leftovers("one") == 0
        finally:
            ours.kill()
            theirs.kill()
