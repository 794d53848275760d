"""Which tokens are believed, and for how long."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from service.delivery.callers import VOUCHED_FOR_S, WAITING_FOR_S, Callers
from service.index import Change, Snapshot
from tests.material import NOW


class Time:
    """Seconds that pass when told."""

    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def _snapshot(sequence: int, changes: Sequence[Change] = ()) -> Snapshot:
    return Snapshot({}, {}, {}, {}, tuple(changes), {}, sequence, NOW)


def _change(sequence: int, kind: str, name: str) -> Change:
    return Change(sequence, NOW, kind, name, "update", None, "ada")


def test_a_token_is_believed_for_a_few_seconds() -> None:
    time = Time()
    callers = Callers(monotonic=time)
    assert callers.consumer_of(b"t", _snapshot(1)) is None
    callers.remember(b"t", "relay-eu", _snapshot(1))
    assert callers.consumer_of(b"t", _snapshot(1)) == "relay-eu"
    assert callers.consumer_of(b"u", _snapshot(1)) is None
    time.now_s = VOUCHED_FOR_S
    assert callers.consumer_of(b"t", _snapshot(1)) is None
    assert callers.consumer_of(b"t", _snapshot(1), WAITING_FOR_S) == "relay-eu"
    time.now_s = WAITING_FOR_S
    assert callers.consumer_of(b"t", _snapshot(1), WAITING_FOR_S) is None
    assert len(callers) == 0


@pytest.mark.parametrize(
    ("consumer", "change"),
    [
        ("relay-eu", _change(2, "relay", "eu")),
        ("relay-eu", _change(2, "binding", "relay-eu")),
        ("relay-eu", _change(2, "consumer", "relay-eu")),
        ("provider-aws-main", _change(2, "provider", "aws")),
        ("provider-aws-main", _change(2, "binding", "provider-aws-main")),
    ],
)
def test_a_change_to_its_consumer_ends_that(consumer: str, change: Change) -> None:
    callers = Callers()
    callers.remember(b"t", consumer, _snapshot(1))
    assert callers.consumer_of(b"t", _snapshot(2, [change])) is None
    assert callers.consumer_of(b"t", _snapshot(1)) is None


@pytest.mark.parametrize("change", [_change(2, "relay", "us"), _change(2, "certificate", "eu")])
def test_a_change_to_something_else_does_not(change: Change) -> None:
    callers = Callers()
    callers.remember(b"t", "relay-eu", _snapshot(1))
    assert callers.consumer_of(b"t", _snapshot(2, [change])) == "relay-eu"
    assert callers.consumer_of(b"t", _snapshot(3, [change, _change(3, "relay", "eu")])) is None


@pytest.mark.parametrize("snapshot", [_snapshot(9), _snapshot(9, [_change(9, "relay", "us")]), _snapshot(0)])
def test_what_happened_unseen_ends_it_too(snapshot: Snapshot) -> None:
    callers = Callers()
    callers.remember(b"t", "relay-eu", _snapshot(1))
    assert callers.consumer_of(b"t", snapshot) is None


def test_a_refused_token_is_forgotten() -> None:
    callers = Callers()
    callers.remember(b"t", "relay-eu", _snapshot(1))
    callers.forget(b"t")
    callers.forget(b"never seen")
    assert callers.consumer_of(b"t", _snapshot(1)) is None


def test_the_longest_unused_is_forgotten_first() -> None:
    callers = Callers(limit=3)
    for token in (b"a", b"b", b"c"):
        callers.remember(token, "relay-eu", _snapshot(1))
    assert callers.consumer_of(b"a", _snapshot(1)) == "relay-eu"
    callers.remember(b"d", "relay-eu", _snapshot(1))
    assert len(callers) == 3
    assert callers.consumer_of(b"b", _snapshot(1)) is None
    assert callers.consumer_of(b"a", _snapshot(1)) == "relay-eu"


def test_no_token_stands_in_its_memory() -> None:
    callers = Callers()
    callers.remember(b"s.very-secret", "relay-eu", _snapshot(1))
    assert "very-secret" not in repr(vars(callers))
