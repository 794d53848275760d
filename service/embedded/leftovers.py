"""Ends what a killed `keystead up` left running, and nothing else.

A process is ours when its environment, which only its own user can read, carries the identity of this data directory.
That identity is random and lies in the directory, whose lock is held while this runs: the `up` that started such a
process is gone. Process ids are never trusted: they come round again.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

MARK = "KEYSTEAD_UP"
"""The environment variable that names the data directory's identity."""
_GRACE_S = 4.0
"""OpenBao closes its storage in about one second."""
_PROC = Path("/proc")


def end_leftovers(identity: str) -> int:
    """End every process of a former run: SIGTERM, then SIGKILL to what has not gone in a few seconds.

    Returns:
        How many there were. Where there is no /proc, 0.
    """
    found = _marked(identity)
    _send(found, signal.SIGTERM)
    deadline = time.monotonic() + _GRACE_S
    remaining = found
    while remaining and time.monotonic() < deadline:
        time.sleep(0.05)
        remaining = remaining & _marked(identity)
    _send(remaining, signal.SIGKILL)
    while remaining and time.monotonic() < deadline + _GRACE_S:
        time.sleep(0.02)
        remaining = remaining & _marked(identity)
    return len(found)


def _marked(identity: str) -> set[int]:
    """The live processes that carry the mark, without this one."""
    if not _PROC.is_dir():
        return set()
    wanted = f"{MARK}={identity}".encode()
    found = set()
    for entry in _PROC.iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # another user's, or gone meanwhile; a zombie's is empty
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                found.add(int(entry.name))
    return found


def _send(processes: set[int], number: signal.Signals) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)
