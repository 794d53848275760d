"""`keystead up` without the console and its neighbours: `python openbao_only.py DIR [VAULT_PORT]`."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from service.embedded.errors import CannotStart
from service.embedded.machine import Options, run


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main(folder: str, vault_port: str = "0") -> int:
    options = Options(Path(folder), "127.0.0.1", 0, 0, int(vault_port))
    password = os.environ.get("KEYSTEAD_ADMIN_PASSWORD")
    try:
        asyncio.run(run(options, password, os.environ, say, lambda *_: ()))
    except CannotStart as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
