"""Runs a `keystead` command that dies at the n-th thing it does to the disk or to another process: no cleaning up.

`python -P tests/agent/die_at.py N ARGUMENT…`. Ends with 77 when it died, else as the command does. N counts from 1.
"""

from __future__ import annotations

import os
import sys

DEEDS = {
    "os.rename",
    "os.symlink",
    "os.mkdir",
    "os.remove",
    "os.rmdir",
    "os.chmod",
    "os.chown",
    "subprocess.Popen",
    "tempfile.mkdtemp",
    "tempfile.mkstemp",
}
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def main() -> None:
    left = int(sys.argv[1])
    from service.cli import main as keystead

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        written = event == "open" and isinstance(arguments[2], int) and bool(arguments[2] & WRITING)
        if event in DEEDS or (written and "/dev/" not in str(arguments[0])):
            left -= 1
            if left == 0:
                os._exit(77)

    sys.addaudithook(hook)
    keystead(sys.argv[2:])


if __name__ == "__main__":
    main()
