"""HAProxy's runtime API: the certificate is replaced in memory, without a reload and without losing a connection.

It knows a file by the path that its configuration names. A pair that does not match is only noticed at the commit, and
the old one stays. What is told here lasts until the next reload: the files say the same.

A CA is not replaced this way: HAProxy 2.6 ends with a segmentation fault when a certificate is committed after a CA
file was. It takes another CA by a reload.
"""

from __future__ import annotations

import re
import socket
from pathlib import Path

from service.agent.errors import TargetFailed

ANSWER_LIMIT_S = 5.0
MAX_ANSWER_BYTES = 64 * 1024
_PLAIN = re.compile(r"[A-Za-z0-9@%+=:,./_-]+")
"""What its command line takes without quoting."""


def replace(control: Path, file: Path) -> None:
    """Let a running HAProxy use the content of this file: chain and key.

    Raises:
        TargetFailed: `hook.failed`; it then uses what it used before.
    """
    if not _PLAIN.fullmatch(str(file)):
        raise TargetFailed("HAProxy cannot be told a path with spaces or quotes in it", code="hook.failed")
    try:
        content = "\n".join(line for line in file.read_text().splitlines() if line)
    except OSError as error:
        raise TargetFailed(f"{file.name} cannot be read: {error.strerror}", code="hook.failed") from None
    told = _ask(control, f"set ssl cert {file} <<\n{content}\n")
    if "ransaction" not in told:
        raise TargetFailed(f"HAProxy does not know {file}: {_line(told)}", code="hook.failed")
    done = _ask(control, f"commit ssl cert {file}")
    if "Success!" not in done:
        _ask(control, f"abort ssl cert {file}")
        raise TargetFailed(f"HAProxy refuses {file.name}: {_line(done)}", code="hook.failed")


def _ask(control: Path, command: str) -> str:
    """One command, one connection; what it said."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
            line.settimeout(ANSWER_LIMIT_S)
            line.connect(str(control))
            line.sendall(f"{command}\n".encode())
            answer = b""
            while len(answer) < MAX_ANSWER_BYTES and (more := line.recv(4096)):
                answer += more
    except OSError as error:
        problem = error.strerror or type(error).__name__
        raise TargetFailed(f"HAProxy cannot be reached at {control}: {problem}", code="hook.failed") from None
    return answer.decode("utf-8", "replace")


def _line(answer: str) -> str:
    """The last line of an answer, bounded."""
    lines = [line.strip() for line in answer.splitlines() if line.strip()]
    return "".join(character if character.isprintable() else " " for character in (lines or ["no answer"])[-1][:200])
