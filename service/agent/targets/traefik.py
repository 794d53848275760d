"""Traefik's file provider: a dynamic file that names certificate and key, written anew for each version.

Traefik reads the named files when a dynamic file changes, and not when they do. So its content names the version's own
folder, which is another one each time. JSON is YAML, too.
"""

from __future__ import annotations

import json
from pathlib import Path

from service.agent.targets.plain_file import replace_file


def write_dynamic(path: Path, folder: Path, *, key: str, certificate: str) -> None:
    """Let Traefik use the files in a version's folder, for their names and for clients that name none.

    Raises:
        OSError.
    """
    pair = {"certFile": str(folder / certificate), "keyFile": str(folder / key)}
    tls = {"certificates": [pair], "stores": {"default": {"defaultCertificate": pair}}}
    replace_file(path, json.dumps({"tls": tls}, indent=2) + "\n")
