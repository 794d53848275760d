"""Runs `keystead up` (or a part of it) in a process of its own, for tests that kill it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

LIMIT_S = 90.0


def wait_until(condition: Callable[[], object], what: str, *, limit_s: float = LIMIT_S) -> None:
    """Poll; fails with `what` when it does not come true."""
    deadline = time.monotonic() + limit_s
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in {limit_s:.0f} s"
        time.sleep(0.005)


def processes_of(folder: Path) -> dict[int, str]:
    """The live processes that carry the mark of a data directory: command lines by process id."""
    instance = (folder / "instance.json").read_text()
    identity = re.search(r'"identity": "(\w+)"', instance)
    assert identity
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            try:
                if f"KEYSTEAD_UP={identity[1]}".encode() in (entry / "environ").read_bytes().split(b"\0"):
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found


class Up:
    """A running `up`. Use as a context manager: it is killed at the end, with all it started."""

    def __init__(self, command: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self._output = folder.with_name(f"{folder.name}.out")
        self._errors = folder.with_name(f"{folder.name}.err")
        with self._output.open("wb") as output, self._errors.open("wb") as errors:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                env={**os.environ, **(environment or {})},
                start_new_session=True,
            )

    def __enter__(self) -> Up:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait(5)
        if (self.folder / "instance.json").exists():
            for process in processes_of(self.folder):
                os.kill(process, signal.SIGKILL)

    @property
    def output(self) -> str:
        return self._output.read_text()

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    def wait_ready(self) -> str:
        """The `ready` line."""
        wait_until(lambda: "\n" in self.output or self.process.poll() is not None, "the ready line")
        assert self.output.startswith("ready"), f"{self.output}\n{self.errors}\n{self.logs()}"
        return self.output.splitlines()[0]

    def address(self, name: str) -> str:
        """`https://…` of the console, delivery or vault, from the ready line."""
        found = re.search(rf"{name} (https://\S+)", self.wait_ready())
        assert found
        return found[1]

    def kill(self) -> None:
        """SIGKILL to `up` alone, as the kernel's out-of-memory killer would."""
        self.process.kill()
        self.process.wait(5)

    def logs(self) -> str:
        """The ends of the processes' logs, for a failure's message."""
        return "\n".join(
            f"--- {log.name}\n{log.read_text(errors='replace')[-1500:]}" for log in (self.folder / "logs").glob("*.log")
        )
