"""The `files` target: complete or not at all, whatever stands in the way."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from service.agent.config import FilesTarget
from service.agent.errors import TargetFailed
from service.agent.targets.files import Files, Installed

FIRST = Installed("eu", 1, "aa")
SECOND = Installed("eu", 2, "bb")


def _install(files: Files, what: Installed, text: str = "") -> None:
    text = text or f"version {what.version}\n"
    files.install(what, private_key=f"key of {text}", certificate=f"certificate of {text}", ca="")


def test_what_was_installed_is_found_again(tmp_path: Path) -> None:
    files = Files(FilesTarget(tmp_path / "tls"))
    assert files.installed() is None
    _install(files, FIRST)
    assert files.installed() == FIRST
    assert Files(FilesTarget(tmp_path / "tls")).installed() == FIRST


def test_the_switch_is_one_rename_of_a_link(tmp_path: Path) -> None:
    files = Files(FilesTarget(tmp_path))
    _install(files, FIRST)
    held = os.open(tmp_path / "live", os.O_RDONLY | os.O_DIRECTORY)
    try:
        _install(files, SECOND)
        with os.fdopen(os.open("key.pem", os.O_RDONLY, dir_fd=held)) as former:
            assert former.read() == "key of version 1\n"
    finally:
        os.close(held)
    assert (tmp_path / "live").is_symlink()
    assert (tmp_path / "live" / "key.pem").read_text() == "key of version 2\n"


def test_a_combined_file_holds_chain_and_key(tmp_path: Path) -> None:
    files = Files(FilesTarget(tmp_path, combined_file="all.pem"))
    _install(files, FIRST)
    assert (tmp_path / "live" / "all.pem").read_text() == "certificate of version 1\nkey of version 1\n"


def test_a_file_more_in_the_configuration_is_written_at_the_next_round(tmp_path: Path) -> None:
    _install(Files(FilesTarget(tmp_path)), FIRST)
    assert Files(FilesTarget(tmp_path, combined_file="all.pem")).installed() is None


def test_files_belong_to_the_configured_user_before_they_are_live(tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root may give files away")
    files = Files(FilesTarget(tmp_path, user="nobody"))
    _install(files, FIRST)
    number = pwd.getpwnam("nobody").pw_uid
    folder = (tmp_path / "live").resolve()
    assert {path.stat().st_uid for path in (folder, *folder.iterdir())} == {number}
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_an_unknown_user_changes_nothing(tmp_path: Path) -> None:
    _install(Files(FilesTarget(tmp_path)), FIRST)
    with pytest.raises(TargetFailed, match="no user nobody-knows-me"):
        _install(Files(FilesTarget(tmp_path, user="nobody-knows-me")), SECOND)
    assert Files(FilesTarget(tmp_path)).installed() == FIRST


def test_a_folder_in_the_place_of_live_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "live" / "precious").mkdir(parents=True)
    with pytest.raises(TargetFailed):
        _install(Files(FilesTarget(tmp_path)), FIRST)
    assert (tmp_path / "live" / "precious").is_dir()
    assert list((tmp_path / ".versions").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [".versions", "live"]


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "tls").write_text("a file")
    with pytest.raises(TargetFailed):
        _install(Files(FilesTarget(tmp_path / "tls")), FIRST)


def test_a_write_that_fails_halfway_leaves_the_former_version_live(tmp_path: Path) -> None:
    _install(Files(FilesTarget(tmp_path)), FIRST)
    with pytest.raises(TargetFailed):
        _install(Files(FilesTarget(tmp_path, ca_file="c" * 300)), SECOND)  # key and certificate were written by then
    assert Files(FilesTarget(tmp_path)).installed() == FIRST
    assert len(list((tmp_path / ".versions").iterdir())) == 1


def test_what_a_crash_left_is_removed_at_the_next_installation(tmp_path: Path) -> None:
    files = Files(FilesTarget(tmp_path))
    _install(files, FIRST)
    for number in range(3):
        half = tmp_path / ".versions" / f"eu-9-half{number}"
        half.mkdir()
        (half / "key.pem").write_text("half")
    (tmp_path / ".eu-9-half1").symlink_to(".versions/eu-9-half1")
    assert files.installed() == FIRST
    _install(files, SECOND)
    assert files.installed() == SECOND
    assert len(list((tmp_path / ".versions").iterdir())) == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == [".versions", "live"]


def test_a_link_in_the_place_of_the_versions_is_not_followed(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for name in ("one", "two", "three"):
        (elsewhere / name).mkdir(parents=True)
    target = tmp_path / "tls"
    target.mkdir()
    (target / ".versions").symlink_to(elsewhere)
    with pytest.raises(TargetFailed, match="symbolic link"):
        _install(Files(FilesTarget(target)), FIRST)
    assert sorted(path.name for path in elsewhere.iterdir()) == ["one", "three", "two"]


def test_what_others_put_beside_the_versions_is_not_removed(tmp_path: Path) -> None:
    files = Files(FilesTarget(tmp_path))
    _install(files, FIRST)
    for name in ("theirs", "also-theirs", "third"):
        (tmp_path / ".versions" / name).mkdir()
    (tmp_path / ".a-link-of-theirs").symlink_to("third")
    _install(files, SECOND)
    _install(files, Installed("eu", 3, "cc"))
    assert {path.name for path in (tmp_path / ".versions").iterdir()} >= {"theirs", "also-theirs", "third"}
    assert (tmp_path / ".a-link-of-theirs").is_symlink()
    assert len(list((tmp_path / ".versions").glob("eu-*"))) == 2
