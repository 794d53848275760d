"""The index: read everything once, follow, survive."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from service.errors import Missing, Unavailable
from service.index import Index
from service.inventory import Inventory
from tests import material
from tests.conftest import Bao, Instance, make_instance
from vault.session import Token, Vault

PASTED = material.paste("relay.example.com", now=datetime.now(UTC), client_ca=True)
OTHER = material.paste("other.example.com", now=datetime.now(UTC))
_numbers = itertools.count(1)


def now() -> datetime:
    return datetime.now(UTC)


class Counted:
    """A reader that counts its requests, and can be cut off."""

    def __init__(self, instance: Instance) -> None:
        self.instance = instance
        self.requests: list[str] = []
        self.server = instance.server
        self.token = instance.index.token

    def __call__(self) -> Vault:
        return Vault(
            self.server, self.token, before_request=lambda method, path: self.requests.append(f"{method} {path}")
        )

    def cut(self) -> None:
        self.server = replace(self.instance.server, url="https://127.0.0.1:1", timeout_s=0.5)

    def mend(self) -> None:
        self.server = self.instance.server


@pytest.fixture
def reader(instance: Instance) -> Counted:
    return Counted(instance)


@pytest.fixture
def index(reader: Counted) -> Index:
    index = Index(reader, now)
    index.rescan()
    reader.requests.clear()
    return index


@pytest.fixture
def inventory(instance: Instance) -> Inventory:
    """Somebody in another process."""
    theirs = Index(lambda: instance.index, now)
    theirs.rescan()
    return Inventory(instance.admin, theirs, "grace", now)


@pytest.fixture
def name(inventory: Inventory) -> str:
    """A certificate that the other process made."""
    name = f"i{next(_numbers)}"
    inventory.certificates.create(name=name, private_key=PASTED.key, certificate=PASTED.certificate, ca=PASTED.ca)
    return name


def test_nothing_is_shown_before_everything_was_read(instance: Instance) -> None:
    index = Index(lambda: instance.index, now)
    assert not index.ready
    with pytest.raises(Unavailable) as problem:
        index.snapshot()
    assert problem.value.code == "index.not-ready"
    index.refresh()
    assert index.ready


def test_looking_for_changes_costs_one_read_when_there_are_none(
    index: Index, reader: Counted, instance: Instance
) -> None:
    before = index.snapshot()
    assert index.refresh() is before
    assert reader.requests == [f"GET {instance.server.mount}/data/journal"]


def test_a_change_of_another_process_is_seen_and_each_version_is_read_once(
    index: Index, reader: Counted, inventory: Inventory, name: str
) -> None:
    view = index.refresh().certificates[name]
    assert (view.version, view.changed_by, view.certificate) == (1, "grace", PASTED.certificate)
    reads = [it for it in reader.requests if "/subkeys/" in it]
    assert len(reads) == 1
    inventory.certificates.annotate(name, comment="said")
    inventory.relays.create(name=name, host="relay.example.com", port=443, certificate=name)
    index.refresh()
    index.rescan()
    assert [it for it in reader.requests if "/subkeys/" in it] == reads
    assert index.snapshot().certificates[name].comment == "said"
    assert index.snapshot().used_by(name).consumers == (f"relay-{name}",)
    assert index.snapshot().bound_to(f"relay-{name}") == name
    assert index.snapshot().consumer(f"relay-{name}") == index.snapshot().relays[name]


def test_deleting_restoring_and_destroying_are_followed(index: Index, inventory: Inventory, name: str) -> None:
    inventory.certificates.delete(name)
    deleted = index.refresh().certificates[name]
    assert (deleted.deleted, deleted.facts, deleted.certificate) == (True, None, "")
    inventory.certificates.restore(name)
    assert index.refresh().certificates[name].certificate == PASTED.certificate
    inventory.certificates.destroy(name)
    assert name not in index.refresh().certificates
    inventory.certificates.create(name=name, private_key=OTHER.key, certificate=OTHER.certificate)
    assert index.refresh().certificates[name].certificate == OTHER.certificate


def test_a_name_that_was_used_again_unseen_is_not_taken_for_the_former_one(
    index: Index, inventory: Inventory, instance: Instance, name: str
) -> None:
    index.refresh()
    documents = instance.root.documents
    documents.destroy(f"bundles/{name}")  # without a word in the journal
    stored = {"private_key": OTHER.key, "certificate": OTHER.certificate, "ca": ""}
    public = {"certificate": OTHER.certificate}
    documents.write(f"bundles/{name}", stored, expect_version=0, public=public)
    assert index.rescan().certificates[name].certificate == OTHER.certificate
    assert index.version(name, 1).certificate == OTHER.certificate


def test_a_journal_that_ran_ahead_leads_to_a_scan(index: Index, instance: Instance) -> None:
    documents = instance.root.documents
    name = f"i{next(_numbers)}"
    stored = {"private_key": OTHER.key, "certificate": OTHER.certificate, "ca": ""}
    documents.write(f"bundles/{name}", stored, expect_version=0, public={"certificate": OTHER.certificate})
    for number in range(130):  # more than the journal keeps
        instance.admin.journal.append("consumer", f"relay-{number}", "enrolled", None, by="x", at=now())
    snapshot = index.refresh()
    assert name in snapshot.certificates
    assert snapshot.changes[-1].name == "relay-129"


def test_a_lost_journal_entry_is_made_up_for_by_a_scan(index: Index, instance: Instance, name: str) -> None:
    index.refresh()
    instance.root.documents.delete(f"bundles/{name}", 1)
    assert not index.refresh().certificates[name].deleted
    assert index.rescan().certificates[name].deleted


def test_a_journal_broken_by_hand_does_not_stop_the_index(bao: Bao) -> None:
    instance = make_instance(bao)
    instance.root.documents.write("journal", {"changes": "junk"}, expect_version=0)
    index = Index(lambda: instance.index, now)
    inventory = Inventory(instance.admin, index, "ada", now)
    index.rescan()
    inventory.certificates.create(name="a", private_key=PASTED.key, certificate=PASTED.certificate)
    assert inventory.certificates.get("a").view.version == 1


@pytest.mark.parametrize(
    "document",
    [{}, {"host": "x"}, {"host": 1, "port": "443"}, {"port": 443, "host": "h", "tls_mode": "ssl", "enabled": True}],
)
def test_a_relay_written_by_hand_is_named_and_stops_nothing(
    index: Index, instance: Instance, document: dict[str, object]
) -> None:
    name = f"i{next(_numbers)}"
    instance.root.documents.write(f"relays/{name}", document, expect_version=0)
    snapshot = index.rescan()
    assert name not in snapshot.relays
    assert f"relays/{name}" in snapshot.unreadable
    instance.root.documents.destroy(f"relays/{name}")
    assert f"relays/{name}" not in index.rescan().unreadable


@pytest.mark.parametrize("public", [None, {"certificate": "no PEM"}, {"certificate": PASTED.certificate, "ca": "x"}])
def test_a_bundle_written_by_hand_is_a_problem_and_stops_nothing(
    index: Index, instance: Instance, public: dict[str, str] | None
) -> None:
    name = f"i{next(_numbers)}"
    instance.root.documents.write(f"bundles/{name}", {"certificate": "x"}, expect_version=0, public=public)
    view = index.rescan().certificates[name]
    assert view.facts is None
    assert view.problem


def test_a_bundle_with_two_values_of_a_public_field_is_a_problem(index: Index, instance: Instance) -> None:
    name = f"i{next(_numbers)}"
    mount = instance.server.mount
    body = {"options": {"cas": 0}, "data": {"public": {"certificate": {"a": "", "b": ""}}}}
    instance.root.wire.call("POST", f"{mount}/data/bundles/{name}", "write by hand", body=body)
    assert index.rescan().certificates[name].problem
    body = {"options": {"cas": 0}, "data": {"public": "text"}}
    instance.root.wire.call("POST", f"{mount}/data/bundles/{name}-b", "write by hand", body=body)
    assert index.rescan().certificates[f"{name}-b"].problem


def test_names_that_are_no_names_are_left_out(index: Index, instance: Instance) -> None:
    instance.root.documents.write("bundles/Not_A_Name", {"a": "x"}, expect_version=0)
    snapshot = index.rescan()
    assert "Not_A_Name" not in snapshot.certificates
    assert "bundles/Not_A_Name" in snapshot.unreadable
    instance.root.documents.destroy("bundles/Not_A_Name")
    assert "bundles/Not_A_Name" not in index.rescan().unreadable


def test_while_vault_cannot_be_reached_the_last_snapshot_stays(index: Index, reader: Counted, name: str) -> None:
    before = index.refresh()
    reader.cut()
    with pytest.raises(Unavailable) as problem:
        index.refresh()
    assert problem.value.code == "vault.unreachable"
    assert index.snapshot() is before
    assert index.stale_since is not None
    since = index.stale_since
    with pytest.raises(Unavailable):
        index.rescan()
    assert index.stale_since == since
    reader.mend()
    index.refresh()
    assert index.stale_since is None


def test_a_refused_token_is_forgotten_and_replaced(instance: Instance) -> None:
    tokens = iter([Token("dead"), instance.index.token])
    current = [next(tokens)]

    def forget() -> None:
        current[0] = next(tokens)

    index = Index(lambda: Vault(instance.server, current[0]), now, forget=forget)
    index.refresh()
    assert index.ready


def test_an_index_without_permission_says_so(instance: Instance) -> None:
    index = Index(lambda: Vault(instance.server, Token("dead")), now)
    with pytest.raises(Unavailable) as problem:
        index.refresh()
    assert problem.value.code == "index.not-allowed"


def test_the_loop_follows_through_an_outage(reader: Counted, inventory: Inventory) -> None:
    index = Index(reader, now)
    with running(lambda stop: index.run(stop, 0.02)):
        assert eventually(lambda: index.ready)
        reader.cut()
        assert eventually(lambda: index.stale_since is not None)
        name = f"i{next(_numbers)}"
        inventory.certificates.create(name=name, private_key=PASTED.key, certificate=PASTED.certificate)
        reader.mend()
        assert eventually(lambda: name in index.snapshot().certificates)
        assert index.stale_since is None


def test_what_consumers_report_is_found(index: Index, instance: Instance) -> None:
    name = f"relay-i{next(_numbers)}"
    good = {"version": 3, "fingerprint_sha256": "ab" * 32, "state": "serving", "detail": "x" * 900, "sessions": 4}
    version = instance.root.documents.write(f"status/{name}", good, expect_version=0)
    status = index.rescan_statuses().statuses[name]
    assert (status.certificate_version, status.state, status.sessions, len(status.detail)) == (3, "serving", 4, 500)
    instance.root.documents.write(f"status/{name}", {"version": "<script>"}, expect_version=version)
    assert name not in index.rescan_statuses().statuses


def test_a_version_that_never_was_is_missing(index: Index, name: str) -> None:
    with pytest.raises(Missing):
        index.version(name, 9)
    with pytest.raises(Missing):
        index.version("never-was", 1)


def test_without_the_detailed_listing_the_same_is_read(index: Index, instance: Instance, inventory: Inventory) -> None:
    for number in range(20):  # more than one connection reads alone
        name = f"v{next(_numbers)}-{number}"
        inventory.certificates.create(name=name, private_key=PASTED.key, certificate=PASTED.certificate, comment="x")
    plain = Vault(replace(instance.server, detailed_listing=False), instance.index.token)
    other = Index(lambda: plain, now)
    assert other.rescan().certificates == index.rescan().certificates
    assert other.rescan() is other.snapshot()


def test_many_threads_read_and_refresh_at_once(index: Index, name: str) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            for _ in range(10):
                assert name in index.refresh().certificates
        except BaseException as error:  # noqa: BLE001 - shown below
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert failures == []


class running:  # noqa: N801 - reads as a sentence
    """A loop in a thread, for the length of a `with`."""

    def __init__(self, loop: Callable[[threading.Event], None]) -> None:
        self.stop = threading.Event()
        self.thread = threading.Thread(target=loop, args=(self.stop,))

    def __enter__(self) -> None:
        self.thread.start()

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self.thread.join(10)
        assert not self.thread.is_alive()


def eventually(holds: Callable[[], bool], limit_s: float = 15.0) -> bool:
    deadline = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
