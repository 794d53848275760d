"""Envoy's file SDS: two small files that name the secrets, and the folder whose change makes Envoy read them again.

They are written once. What Envoy notices is the rename of `live` inside the watched directory
(`extensions.transport_sockets.tls.v3.TlsCertificate.watched_directory`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from service.agent.targets.plain_file import replace_file

CERTIFICATE: Final = "envoy-certificate.json"
AUTHORITIES: Final = "envoy-ca.json"
_TYPE: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"


def write_secrets(directory: Path, live: Path, *, key: str, certificate: str, ca: str) -> None:
    """Write both files, where they are missing or say something else.

    Args:
        directory: of the target: where the files go, and what Envoy watches.
        key, certificate, ca: names in `live`.

    Raises:
        OSError.
    """
    watched = {"path": str(directory)}
    chain = {
        "certificate_chain": {"filename": str(live / certificate)},
        "private_key": {"filename": str(live / key)},
        "watched_directory": watched,
    }
    authorities = {"trusted_ca": {"filename": str(live / ca)}, "watched_directory": watched}
    replace_file(directory / CERTIFICATE, _resource("server_cert", "tls_certificate", chain))
    replace_file(directory / AUTHORITIES, _resource("client_ca", "validation_context", authorities))


def _resource(name: str, kind: str, secret: Mapping[str, Any]) -> str:
    return json.dumps({"resources": [{"@type": _TYPE, "name": name, kind: secret}]}, indent=2) + "\n"
