"""The reconciler: what differs, and putting it right."""

from __future__ import annotations

import itertools
import threading
import time
from datetime import UTC, datetime

import pytest

from service.index import Index
from service.inventory import Inventory, NewCluster
from service.records import Cluster, Provider, Relay
from service.worker.loop import Worker
from service.worker.reconcile import Action, actions, reconcile, wanted_of
from tests import material
from tests.conftest import Instance
from tests.inventory.conftest import can_read, log_in_as
from vault.errors import Denied
from vault.session import Token, Vault

PASTED = material.paste("relay.example.com", now=datetime.now(UTC), usages=material.BOTH)
_numbers = itertools.count(1)


def now() -> datetime:
    return datetime.now(UTC)


def relay(name: str, certificate: str | None) -> Relay:
    return Relay(name, name, "r.example", 443, "tls", certificate, None, enabled=True, comment="")


def provider(name: str, **clusters: str | None) -> Provider:
    made = tuple(
        Cluster(it.replace("_", "-"), "https://c", None, cert_auth=True, certificate=certificate)
        for it, certificate in clusters.items()
    )
    return Provider(
        name, name, "swarm", "private", enabled=True, multi_cluster="active-active", comment="", clusters=made
    )


def test_when_all_is_well_there_is_nothing_to_do() -> None:
    records = wanted_of([relay("a", "x"), relay("b", None), provider("p", one="x")])
    assert actions(records, {"relay-a": "x", "relay-b": None, "provider-p-one": "x"}) == ()


def test_each_difference_has_its_action_and_what_takes_access_away_comes_first() -> None:
    records = wanted_of([relay("a", "x"), relay("b", None), relay("c", "y"), relay("d", "z")])
    assert actions(records, {"relay-a": None, "relay-b": "x", "relay-c": "x", "relay-gone": "y"}) == (
        Action("remove", "relay-gone", None, "y"),
        Action("unbind", "relay-b", None, "x"),
        Action("bind", "relay-a", "x", None),
        Action("bind", "relay-c", "y", "x"),
        Action("make", "relay-d", "z", None),
    )


def test_what_an_unreadable_record_stands_for_is_left_alone() -> None:
    records = wanted_of([], ["relays/a", "providers/p"])
    bound = {"relay-a": "x", "provider-p-one": "x", "relay-ab": "x", "provider-pq-one": "x"}
    assert [it.consumer for it in actions(records, bound)] == ["provider-pq-one", "relay-ab"]


def test_a_consumer_that_two_clusters_would_be_reads_nothing() -> None:
    records = wanted_of([provider("a", b_c="x"), provider("a-b", c="y")])
    assert records.ambiguous == ("provider-a-b-c",)
    assert actions(records, {"provider-a-b-c": "x"}) == (Action("unbind", "provider-a-b-c", None, "x"),)
    assert actions(records, {"provider-a-b-c": None}) == ()


@pytest.fixture
def inventory(instance: Instance) -> Inventory:
    index = Index(lambda: instance.index, now)
    index.rescan()
    return Inventory(instance.admin, index, "ada", now)


@pytest.fixture
def name(inventory: Inventory) -> str:
    """A certificate, and a relay and a cluster that are bound to it."""
    name = f"w{next(_numbers)}"
    inventory.certificates.create(name=name, private_key=PASTED.key, certificate=PASTED.certificate)
    inventory.relays.create(name=name, host="relay.example.com", port=443, certificate=name)
    cluster = NewCluster("a-b", "https://c.example", cert_auth=True, certificate=name)
    inventory.providers.create(name=name, kind="swarm", clusters=[cluster])
    return name


def test_what_somebody_changed_in_vault_by_hand_is_put_right(instance: Instance, name: str) -> None:
    consumers = instance.root.consumers
    consumers.bind(f"relay-{name}", "something-else", {"relay": name})
    consumers.revoke(f"provider-{name}-a-b")
    consumers.ensure(f"relay-{name}-stranger")
    consumers.bind(f"relay-{name}-stranger", name, {})
    stranger = log_in_as(instance, f"relay-{name}-stranger")
    assert can_read(stranger, name)
    done = reconcile(instance.worker)
    assert {(it.deed, it.consumer) for it in done} == {
        ("remove", f"relay-{name}-stranger"),
        ("bind", f"relay-{name}"),
        ("make", f"provider-{name}-a-b"),
    }
    assert not can_read(stranger, name)
    assert can_read(log_in_as(instance, f"relay-{name}"), name)
    assert can_read(log_in_as(instance, f"provider-{name}-a-b"), name)
    assert reconcile(instance.worker) == ()


def test_a_role_of_no_kind_is_removed(instance: Instance, name: str) -> None:
    instance.root.consumers.ensure("something")
    instance.root.consumers.bind("something", name, {})
    somebody = log_in_as(instance, "something")
    assert [str(it) for it in reconcile(instance.worker)] == [f"remove something ({name} → nothing)"]
    assert not can_read(somebody, name)


def test_a_record_broken_by_hand_leaves_its_consumer_as_it_was(instance: Instance, name: str) -> None:
    reader = log_in_as(instance, f"relay-{name}")
    version = instance.root.documents.write(f"relays/{name}", {"host": 1}, expect_version=1)
    assert reconcile(instance.worker) == ()
    assert can_read(reader, name)
    data = relay(name, None).to_data()
    instance.root.documents.write(f"relays/{name}", data, expect_version=version)
    assert [it.deed for it in reconcile(instance.worker)] == ["unbind"]
    assert not can_read(reader, name)


def test_the_worker_cannot_hand_out_credentials(instance: Instance, name: str) -> None:
    with pytest.raises(Denied):
        instance.worker.consumers.enroll(f"relay-{name}", 120)


def test_the_loop_puts_right_what_a_crash_left_and_says_so_in_the_journal(instance: Instance, name: str) -> None:
    instance.root.consumers.bind(f"relay-{name}", None, {"relay": name})
    stop = threading.Event()
    thread = threading.Thread(target=lambda: Worker(lambda: instance.worker, now).run(stop, 0.05))
    thread.start()
    try:
        assert eventually(lambda: instance.admin.consumers.bound_to(f"relay-{name}") == name)
        assert eventually(
            lambda: any(
                it.by == "worker" and it.name == f"relay-{name}" for it in instance.index.journal.read().changes
            )
        )
    finally:
        stop.set()
        thread.join(10)
    assert not thread.is_alive()


def test_the_loop_outlives_an_outage_and_a_dead_token(instance: Instance, name: str) -> None:
    tokens = [instance.worker.token, Token("dead")]
    forgotten: list[bool] = []

    def forget() -> None:
        forgotten.append(True)
        tokens.pop()

    worker = Worker(lambda: Vault(instance.server, tokens[-1]), now, forget=forget)
    stop = threading.Event()
    thread = threading.Thread(target=lambda: worker.run(stop, 0.05))
    thread.start()
    try:
        assert eventually(lambda: bool(forgotten))
        instance.root.consumers.bind(f"relay-{name}", None, {"relay": name})
        instance.admin.journal.append("relay", name, "touched", None, by="ada", at=now())
        assert eventually(lambda: instance.admin.consumers.bound_to(f"relay-{name}") == name)
    finally:
        stop.set()
        thread.join(10)


def eventually(holds: object, limit_s: float = 15.0) -> bool:
    deadline = time.monotonic() + limit_s
    while not holds():  # type: ignore[operator]
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True
