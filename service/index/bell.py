"""The bell of one machine: who wrote the journal rings, and every index on the machine looks at once.

A Unix datagram socket per listening process, in a folder of their own. A datagram says nothing but "look": a lost one
costs the pause between two looks, a false one costs one small read. Other machines hear of the change by looking.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

_log = logging.getLogger(__name__)

_ENDING = ".bell"


class Bell:
    """A folder in which processes of one machine listen."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def ring(self) -> None:
        """Wake everybody who listens. Never waits, never fails; forgets those who are gone."""
        try:
            paths = list(self._folder.glob(f"*{_ENDING}"))
        except OSError:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            for path in paths:
                try:
                    sender.sendto(b"\n", str(path))
                except ConnectionRefusedError:
                    path.unlink(missing_ok=True)
                except OSError:
                    continue  # its buffer is full: it has been rung already

    def listen(self, heard: Callable[[], None], name: str) -> None:
        """Call `heard` at each ring, in a thread of its own, as long as the process lives.

        Where no socket can be made (a path that is too long, a folder that is not ours) nothing is heard, and said so.
        """
        path = self._folder / f"{name}-{os.getpid()}{_ENDING}"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            listener.bind(str(path))
        except OSError as error:
            listener.close()
            _log.warning("no bell: %s; changes are heard of by looking", type(error).__name__)
            return

        def wait() -> None:
            while listener.recv(16):
                heard()

        threading.Thread(target=wait, name="bell", daemon=True).start()
