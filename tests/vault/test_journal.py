"""The change feed: every append is there, in order, whoever writes at the same time."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.conftest import Instance
from vault.errors import Conflict, Denied, Rejected
from vault.journal import APPEND_TRIES, KEPT_CHANGES
from vault.session import Vault

pytestmark = pytest.mark.live

AT = dt.datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def empty(instance: Instance) -> None:
    """Each test begins with no journal at all."""
    instance.root.documents.destroy("journal")


def append(vault: Vault, name: str) -> int:
    return vault.journal.append("certificate", name, "rotated", 3, by="userpass-ada", at=AT)


def test_a_journal_that_was_never_written_is_empty(instance: Instance) -> None:
    read = instance.index.journal.read()
    assert (read.sequence, read.changes, read.gap) == (0, (), False)


def test_a_change_is_read_back_as_it_was_appended(instance: Instance) -> None:
    assert append(instance.admin, "eu") == 1
    (change,) = instance.index.journal.read().changes
    assert (change.sequence, change.kind, change.name, change.action, change.version, change.by, change.at) == (
        *(1, "certificate", "eu", "rotated", 3, "userpass-ada"),
        AT,
    )


def test_a_reader_gets_what_came_after_its_last_read(instance: Instance) -> None:
    for name in "abc":
        append(instance.worker, name)
    read = instance.index.journal.read(after=1)
    assert ([change.name for change in read.changes], read.sequence, read.gap) == (["b", "c"], 3, False)
    assert instance.index.journal.read(after=3).changes == ()


def test_reading_is_one_request(instance: Instance) -> None:
    append(instance.admin, "eu")
    requests: list[str] = []
    Vault(
        instance.server, instance.index.token, before_request=lambda method, path: requests.append(f"{method} {path}")
    ).journal.read(after=1)
    assert requests == [f"GET {instance.server.mount}/data/journal"]


def test_writers_at_the_same_time_lose_nothing(instance: Instance) -> None:
    with ThreadPoolExecutor(8) as pool:
        sequences = list(pool.map(lambda number: append(instance.admin, f"c{number}"), range(40)))
    read = instance.index.journal.read()
    assert sorted(sequences) == list(range(1, 41))
    assert {change.name for change in read.changes} == {f"c{number}" for number in range(40)}
    assert {change.sequence: change.name for change in read.changes} == {
        sequence: f"c{number}" for number, sequence in enumerate(sequences)
    }


def test_a_reader_that_is_too_far_behind_is_told_of_the_gap(instance: Instance) -> None:
    for number in range(KEPT_CHANGES + 5):
        append(instance.admin, f"c{number}")
    behind, just_in_time = instance.index.journal.read(after=4), instance.index.journal.read(after=5)
    assert (behind.gap, len(behind.changes)) == (True, KEPT_CHANGES)
    assert (just_in_time.gap, len(just_in_time.changes)) == (False, KEPT_CHANGES)


def test_a_journal_that_began_anew_is_a_gap_for_who_was_further(instance: Instance) -> None:
    append(instance.admin, "eu")
    read = instance.index.journal.read(after=70)
    assert (read.gap, [change.name for change in read.changes]) == (True, ["eu"])


def test_a_deleted_journal_goes_on_where_it_was(instance: Instance) -> None:
    append(instance.admin, "a")
    instance.root.documents.delete("journal", 1)
    assert append(instance.admin, "b") == 2
    assert [change.name for change in instance.index.journal.read().changes] == ["b"]


def test_somebody_who_is_always_faster_ends_in_a_conflict_not_in_a_loop(instance: Instance) -> None:
    tries = 0

    def somebody_else(method: str, _path: str) -> None:
        nonlocal tries
        if method == "POST":
            tries += 1
            append(instance.admin, "faster")

    with pytest.raises(Conflict):
        append(Vault(instance.server, instance.admin.token, before_request=somebody_else), "slow")
    assert tries == APPEND_TRIES


def test_a_document_that_is_no_journal_is_said_to_be_none(instance: Instance) -> None:
    instance.root.documents.write("journal", {"changes": "{"}, expect_version=0)
    with pytest.raises(Rejected, match="not written by Keystead"):
        instance.index.journal.read()


@pytest.mark.parametrize("role", ["index", "auditor"])
def test_who_changes_nothing_appends_nothing(instance: Instance, role: str) -> None:
    with pytest.raises(Denied):
        append(getattr(instance, role), "eu")
