"""The logs of the processes: bounded files that a process keeps open while they are shortened.

A process appends (O_APPEND) to a file it was given as its output. When the file is too long, its content is copied to
`NAME.1` and the file is cut to nothing; the next line lands at its new beginning.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import BinaryIO

MAX_LOG_BYTES = 8 * 1024 * 1024
"""Two such files per process: some days of an ordinary log, and a bound for a talkative one."""


def open_log(path: Path) -> BinaryIO:
    """The log, to be given to a process as its output."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "ab")


def rotate(path: Path, *, max_bytes: int = MAX_LOG_BYTES) -> bool:
    """Shorten the log when it is longer than `max_bytes`. Returns whether it was.

    What is written between the copy and the cut is lost: some lines of a log that is not evidence. The audit log is
    OpenBao's own and is never shortened here.
    """
    try:
        if path.stat().st_size <= max_bytes:
            return False
        former = path.with_name(f"{path.name}.1")
        former.unlink(missing_ok=True)
        with path.open("rb") as log, open_log(former) as copy:
            shutil.copyfileobj(log, copy)
        os.truncate(path, 0)
    except OSError:  # a full disk: the next look may find room
        return False
    return True
