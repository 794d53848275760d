"""Making a program use the files that were put in place: test, reload, and a handshake that shows it.

Commands are argument lists: no shell, no input, a limit of time, and the end of what they said in the error.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from service.agent.errors import TargetFailed
from service.endpoint.handshake import look

HANDSHAKE_LIMIT_S = 3.0
LOOK_AGAIN_S = 0.05
"""Between handshakes while the old certificate is still shown: a program that reloads serves it for a moment."""
MAX_SAID = 200
_LONG = re.compile(r"[A-Za-z0-9+/=]{40,}")
"""Whatever a command says, a line of a key is not passed on."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What follows on new files. Everything may be left out.

    Attributes:
        test: a command that says whether the program can use the files; it does not touch the program.
        reload: a command that makes the program use them.
        haproxy: the socket of a HAProxy's runtime API, to which a certificate is told; `reload` is for another CA then.
        envoy: whether an Envoy follows by file SDS: two files are written beside `live`, once.
        traefik: the dynamic file of a Traefik's file provider, which is written anew.
        verify: `host:port` where the program must show the new certificate afterwards.
        server_name: what the handshake asks for; empty: the host of `verify`.
        timeout_s: for each command, and for the new certificate to be shown.
    """

    test: tuple[str, ...] = ()
    reload: tuple[str, ...] = ()
    haproxy: Path | None = None
    envoy: bool = False
    traefik: Path | None = None
    verify: tuple[str, int] | None = None
    server_name: str = ""
    timeout_s: float = 10.0

    def __bool__(self) -> bool:
        return bool(self.test or self.reload or self.haproxy or self.envoy or self.traefik or self.verify)


def run_command(command: tuple[str, ...], timeout_s: float) -> None:
    """Run one command to its end.

    Raises:
        TargetFailed: `hook.failed`: it cannot be started, ends with another code than 0, or takes too long; then it is
            killed.
    """
    name, problem = command[0], ""
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=timeout_s, check=False)
    except subprocess.TimeoutExpired:
        problem = f"{name} took longer than {timeout_s:g} s"
    except OSError as error:
        problem = f"{name} cannot be started: {error.strerror}"
    else:
        if done.returncode != 0:
            problem = f"{name} ended with {done.returncode}{_end_of(done.stderr or done.stdout)}"
    if problem:
        raise TargetFailed(problem, code="hook.failed")


def wait_until_served(where: tuple[str, int], server_name: str, fingerprint_sha256: str, timeout_s: float) -> None:
    """Return when new connections are shown this leaf. Trust is not asked: which certificate is there is.

    Raises:
        TargetFailed: `hook.not-served`.
    """
    ends, seen = time.monotonic() + timeout_s, ""
    while True:
        seen = asyncio.run(look(*where, server_name=server_name, limit_s=HANDSHAKE_LIMIT_S)).fingerprint_sha256
        if seen == fingerprint_sha256:
            return
        if time.monotonic() >= ends:
            break
        time.sleep(LOOK_AGAIN_S)
    shows = "shows another certificate" if seen else "answers no handshake"
    raise TargetFailed(f"{where[0]}:{where[1]} {shows} after the reload", code="hook.not-served")


def _end_of(output: bytes) -> str:
    """The last line that a command said, on one line and without anything that could be a key."""
    lines = [line for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    if not lines:
        return ""
    text = "".join(character if character.isprintable() else " " for character in _LONG.sub("…", lines[-1]))
    return f": {text.strip()[-MAX_SAID:]}"
