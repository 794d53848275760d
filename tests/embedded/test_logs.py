"""Logs are bounded, and a process that keeps one open goes on writing to it."""

from __future__ import annotations

from pathlib import Path

from service.embedded.logs import open_log, rotate


def test_a_long_log_is_kept_once_and_begun_again_under_its_writer(tmp_path: Path):
    path = tmp_path / "web.log"
    with open_log(path) as log:
        log.write(b"a" * 100)
        log.flush()
        assert rotate(path, max_bytes=50)
        log.write(b"next\n")
        log.flush()
    assert path.read_bytes() == b"next\n"
    assert path.with_name("web.log.1").read_bytes() == b"a" * 100
    assert path.with_name("web.log.1").stat().st_mode & 0o077 == 0


def test_a_short_or_missing_log_is_left_alone(tmp_path: Path):
    (tmp_path / "short.log").write_bytes(b"a")
    assert not rotate(tmp_path / "short.log", max_bytes=50)
    assert not rotate(tmp_path / "missing.log", max_bytes=50)
