"""A canary key goes through everything here, and everything that leaves is searched for it."""

from __future__ import annotations

import gc
import io
import logging
from pathlib import Path

import pytest

from tests.delivery.plane import Plane

pytestmark = pytest.mark.live


def _marks(key: str) -> list[bytes]:
    """Lines of the key's body, any of which would give it away."""
    return [line.encode() for line in key.splitlines() if not line.startswith("-----") and len(line) > 20]


def test_a_bundle_leaves_in_its_answer_and_nowhere_else(
    plane: Plane, capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    handler.setLevel(logging.DEBUG)
    root = logging.getLogger()
    former = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        material = plane.certificate("canary")
        consumer = plane.relay("canary", "canary")
        role_id, secret_id = plane.credentials(consumer)
        login = plane.call("POST", "/v1/login", body={"role_id": role_id, "secret_id": secret_id})
        token = login.json["token"]
        etag = plane.bundle(token).headers["etag"]
        others = [
            plane.bundle(token, etag),
            plane.call("POST", "/v1/bundle", token=token, body={"private_key": material.key}),
            plane.call("PUT", "/v1/status", token=token, body={"version": material.key, "state": material.key}),
            plane.call(
                "PUT", "/v1/status", token=token, body={"version": 1, "state": "failed", "detail": material.key}
            ),
            plane.call("POST", "/v1/login", body={"role_id": role_id, "secret_id": material.key}),
            plane.call("POST", "/v1/unwrap", body={"wrapping_token": material.key}),
        ]
    finally:
        root.removeHandler(handler)
        root.setLevel(former)
    said = [reply.content for reply in others] + [repr(reply.headers).encode() for reply in others]
    said += [log.getvalue().encode(), *(text.encode() for text in capfd.readouterr())]
    said += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    secrets = [*_marks(material.key), token.encode(), secret_id.encode()]
    for text in said:
        assert not any(secret in text for secret in secrets)


def test_no_bundle_stays_in_memory_after_its_answer(plane: Plane) -> None:
    material = plane.certificate("forgotten")
    token = plane.token(plane.relay("forgotten", "forgotten"))
    for _ in range(3):
        assert plane.bundle(token).status == 200
    gc.collect()
    mark = _marks(material.key)[0].decode()
    del material
    held = [
        found
        for found in gc.get_objects()
        if isinstance(found, dict) and any(isinstance(value, str) and mark in value for value in list(found.values()))
    ]
    assert held == []
