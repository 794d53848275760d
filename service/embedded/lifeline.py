"""Runs a command that ends when its parent ends, however the parent ends.

    python -I -S lifeline.py PARENT_PID COMMAND…

The kernel sends SIGTERM to the command when the thread that started it is gone (PR_SET_PDEATHSIG of prctl(2), kept
across execve). This file imports nothing of the project, so it costs about 20 ms. Where there is no prctl (macOS) the
command runs all the same, and the next start ends what was left over.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def main(arguments: list[str]) -> None:
    """Become the command. Exits at once when the parent is gone already."""
    parent, *command = arguments
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):
        sys.exit("the process that started this one is gone")
    os.execv(command[0], command)  # noqa: S606 - no shell is wanted


if __name__ == "__main__":
    main(sys.argv[1:])
