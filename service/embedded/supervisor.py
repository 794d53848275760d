"""Keeps processes running: starts them, watches them, starts them again with growing pauses, stops them in order.

Runs on one asyncio loop in the main thread. A child's lifeline (`lifeline.py`) is tied to the thread that starts it, so
`Child.start` is called from that thread only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from service.embedded import lifeline
from service.embedded.errors import EXIT_UNREACHABLE, CannotStart
from service.embedded.logs import open_log, rotate

Say = Callable[[str], None]
"""Takes one line for the person at the terminal."""

STOP_LIMIT_S = 8.0
"""From SIGTERM to SIGKILL. The console gives requests under way 5 s."""
_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient the supervisor is. Times in seconds.

    Attributes:
        first_pause_s, longest_pause_s: before a child is started again; doubled each time.
        steady_after_s: a child that ran this long begins again with the first pause.
        probe_interval_s, unhealthy_after: how often a child is asked, and how many answers in a row it may miss before
            it is killed and started again.
        failures_before_ready: how often a child may end before everything was ready. Then it will not start at all,
            and its log says why.
        settled_after_s: how long a child that answers nothing must have run to count as ready.
    """

    first_pause_s: float = 0.2
    longest_pause_s: float = 10.0
    steady_after_s: float = 30.0
    probe_interval_s: float = 5.0
    unhealthy_after: int = 6
    failures_before_ready: int = 5
    settled_after_s: float = 1.0
    log_interval_s: float = 15.0


@dataclass(frozen=True, slots=True)
class Program:
    """What to run.

    Attributes:
        environment: all of it; nothing is inherited.
        healthy: whether it works; asked from another thread, bounded in time. None: being alive is enough.
        ready: whether it serves; None: `healthy`.
        reload: the signal after which it reads its certificate again; None: it is started again.
    """

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    log: Path
    healthy: Callable[[], bool] | None = None
    ready: Callable[[], bool] | None = None
    reload: signal.Signals | None = None


class Child:
    """One process of a program, in a process group of its own (Ctrl-C reaches `up` alone, which stops in order)."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self.failures = 0
        self.started_at = 0.0
        """By the monotonic clock."""
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Of the running process, or None."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it. Only from the main thread.

        Raises:
            OSError: it could not be started at all.
        """
        self.started_at = time.monotonic()
        wrapper = [sys.executable, "-I", "-S", lifeline.__file__, str(os.getpid())]
        with open_log(self.program.log) as log:
            self._process = subprocess.Popen(
                [*wrapper, *self.program.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=dict(self.program.environment),
                cwd=self.program.folder,
                start_new_session=True,
            )

    def running(self) -> bool:
        """Whether it runs; changes nothing, so any thread may ask."""
        process = self._process
        try:
            return process is not None and _has_not_exited(process.pid)
        except ChildProcessError:
            return False

    def ended(self) -> str | None:
        """Why it is not running (`exit 1`, `signal 9`), or None while it runs.

        Its process group is killed before it is reaped: until then nobody else can have its number.
        """
        if self._process is None:
            return "not started"
        if _has_not_exited(self._process.pid):
            return None
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        code = self._process.wait()
        self._process = None
        return f"signal {-code}" if code < 0 else f"exit {code}"

    def send(self, number: signal.Signals) -> None:
        """Send it a signal, when it runs. SIGKILL goes to its whole group."""
        if self.ended() is None and self._process is not None:
            if number == signal.SIGKILL:
                os.killpg(self._process.pid, number)
            else:
                self._process.send_signal(number)


def _has_not_exited(pid: int) -> bool:
    """Whether a child runs; one that does not stays to be waited for."""
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None


async def stop(children: Sequence[Child], *, limit_s: float = STOP_LIMIT_S) -> None:
    """SIGTERM to all, SIGKILL after `limit_s` to those that still run; returns when all are gone."""
    for child in children:
        child.send(signal.SIGTERM)
    deadline = time.monotonic() + limit_s
    while remaining := [child for child in children if child.ended() is None]:
        if time.monotonic() > deadline:
            for child in remaining:
                child.send(signal.SIGKILL)
        await asyncio.sleep(_POLL_S)


class Supervisor:
    """Watches children: `watch` each, `wait_ready` once, `stop` at the end."""

    def __init__(self, say: Say, pace: Pace = Pace()) -> None:
        self._say = say
        self._pace = pace
        self._watched: dict[Child, asyncio.Task[None]] = {}
        self._logs: asyncio.Task[None] | None = None

    def watch(self, child: Child) -> None:
        """Keep a child running from now on; starts it when it does not run yet."""
        if child.pid is None:
            child.start()
        self._watched[child] = asyncio.create_task(self._keep(child), name=child.program.name)
        self._logs = self._logs or asyncio.create_task(self._tend_logs())

    async def wait_ready(self, limit_s: float) -> None:
        """Wait until every watched child serves.

        Raises:
            CannotStart: one of them ends again and again, or it took too long. Names it and its log.
        """
        waiting = set(self._watched)
        deadline = time.monotonic() + limit_s
        while waiting:
            for child in tuple(waiting):
                log = child.program.log
                if child.failures >= self._pace.failures_before_ready:
                    raise CannotStart(f"{child.program.name} does not start; see {log}", exit_code=EXIT_UNREACHABLE)
                if time.monotonic() > deadline:
                    raise CannotStart(
                        f"{child.program.name} did not answer in {limit_s:.0f} s; see {log}", exit_code=EXIT_UNREACHABLE
                    )
                if await self._is_ready(child):
                    waiting.discard(child)
            if waiting:
                await asyncio.sleep(_POLL_S)

    async def _is_ready(self, child: Child) -> bool:
        ready = child.program.ready or child.program.healthy
        if child.pid is None:
            return False
        if ready is None:
            return time.monotonic() - child.started_at >= self._pace.settled_after_s
        return await asyncio.to_thread(ready)

    async def stop(self) -> None:
        """Stop watching. The children go on, for the caller to stop in its order."""
        tasks = [*self._watched.values(), *([self._logs] if self._logs else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._watched.clear()

    def renew(self, child: Child) -> None:
        """Make a child use its new certificate: by a signal, or by starting it again."""
        if child.program.reload is not None:
            child.send(child.program.reload)
        else:
            child.send(signal.SIGTERM)

    async def _keep(self, child: Child) -> None:
        pause_s = self._pace.first_pause_s
        said = ""
        while True:
            started = time.monotonic()
            reason = await self._end(child)
            child.failures += 1
            if time.monotonic() - started >= self._pace.steady_after_s:
                pause_s = self._pace.first_pause_s
            line = f"{child.program.name} ended ({reason}); starting it again in {pause_s:.1f} s"
            if line != said:  # at the longest pause once, not for ever
                self._say(line)
                said = line
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, self._pace.longest_pause_s)
            try:
                child.start()
            except OSError as error:  # out of processes or memory: tried again after the next, longer pause
                self._say(f"{child.program.name} cannot be started: {error.strerror}")

    async def _end(self, child: Child) -> str:
        """Wait until the child ends; kill it when it was healthy and then stopped answering."""
        was_healthy = False
        missed = 0
        next_probe = time.monotonic() + self._pace.probe_interval_s
        while (reason := child.ended()) is None:
            await asyncio.sleep(_POLL_S)
            if child.program.healthy is None or time.monotonic() < next_probe:
                continue
            healthy = await asyncio.to_thread(child.program.healthy)
            was_healthy, missed = was_healthy or healthy, 0 if healthy else missed + 1
            next_probe = time.monotonic() + self._pace.probe_interval_s
            if was_healthy and missed >= self._pace.unhealthy_after:
                self._say(f"{child.program.name} does not answer; ending it")
                await stop([child])
                return "no answer"
        return reason

    async def _tend_logs(self) -> None:
        while True:
            await asyncio.sleep(self._pace.log_interval_s)
            for child in tuple(self._watched):
                rotate(child.program.log)
