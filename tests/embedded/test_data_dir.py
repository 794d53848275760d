"""The data directory: private, locked, never one of somebody else's."""

from __future__ import annotations

import os
import stat
from contextlib import closing
from pathlib import Path

import pytest

from service.embedded.data_dir import open_data_dir, write_file
from service.embedded.errors import EXIT_WRONG_USAGE, CannotStart


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_new_directory_is_made_for_its_owner_alone(tmp_path: Path):
    with closing(open_data_dir(tmp_path / "deep" / "keystead")) as data:
        assert mode(data.root) == 0o700
        assert {mode(folder) for folder in (data.tls, data.raft, data.credentials, data.logs)} == {0o700}
        assert mode(data.root / "instance.json") == 0o600


def test_an_empty_directory_of_the_person_is_taken_and_closed_to_others(tmp_path: Path):
    tmp_path.chmod(0o755)
    (tmp_path / "lost+found").mkdir()
    with closing(open_data_dir(tmp_path)):
        assert mode(tmp_path) == 0o700


def test_a_directory_with_other_files_is_refused_and_left_as_it_was(tmp_path: Path):
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(CannotStart, match="not a data directory") as caught:
        open_data_dir(tmp_path)
    assert caught.value.exit_code == EXIT_WRONG_USAGE
    assert [file.name for file in tmp_path.iterdir()] == ["thesis.tex"]
    assert mode(tmp_path) == 0o755


def test_the_same_directory_keeps_its_identity(tmp_path: Path):
    with closing(open_data_dir(tmp_path)) as first:
        identity = first.identity
    with closing(open_data_dir(tmp_path)) as second:
        assert second.identity == identity


def test_a_second_holder_is_told_who_the_first_is(tmp_path: Path):
    with closing(open_data_dir(tmp_path)), pytest.raises(CannotStart, match=f"process {os.getpid()}"):
        open_data_dir(tmp_path)


def test_a_file_where_the_directory_should_be_is_one_clear_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CannotStart, match="cannot be used as data directory"):
        open_data_dir(tmp_path / "file")
    with pytest.raises(CannotStart, match="cannot be used as data directory"):
        open_data_dir(tmp_path / "file" / "below")


def test_an_unwritable_place_is_one_clear_sentence():
    with pytest.raises(CannotStart, match="cannot be used as data directory"):
        open_data_dir(Path("/proc/keystead"))


def test_a_directory_of_a_newer_keystead_is_refused(tmp_path: Path):
    (tmp_path / "instance.json").write_text('{"format": 2, "identity": "x"}')
    with pytest.raises(CannotStart, match="newer Keystead"):
        open_data_dir(tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"format": "x", "identity": ""}'])
def test_a_damaged_marker_is_named(tmp_path: Path, content: str):
    (tmp_path / "instance.json").write_text(content)
    with pytest.raises(CannotStart, match=r"instance\.json is damaged"):
        open_data_dir(tmp_path)


def test_the_lock_is_given_back_when_opening_fails(tmp_path: Path):
    (tmp_path / "instance.json").write_text("{}")
    for _ in range(2):
        with pytest.raises(CannotStart, match="damaged"):
            open_data_dir(tmp_path)


def test_a_file_is_written_whole_over_what_a_crash_left(tmp_path: Path):
    (tmp_path / ".new-key").write_text("half of it")
    (tmp_path / "key").write_text("old")
    write_file(tmp_path / "key", b"new")
    assert (tmp_path / "key").read_bytes() == b"new"
    assert mode(tmp_path / "key") == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["key"]
