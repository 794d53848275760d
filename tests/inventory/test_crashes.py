"""A crash at each request to Vault, in each operation: what is left is whole, gives nobody more, and heals.

The operation runs in a process of its own whose requests are counted; at one of them it ends there, in two ways: the
process dies (nothing more is done), or Vault does not answer (the operation tidies up as far as it can).
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from service.errors import Problem
from service.index import Index
from service.inventory import Inventory, NewCluster
from service.pki.bundle import check_bundle
from service.worker.reconcile import read_records, reconcile
from tests import material
from tests.conftest import Bao, Instance, make_instance
from tests.inventory.conftest import Desk, can_read, log_in_as, make_desk
from vault.errors import NotFound, Unreachable
from vault.session import Vault

NOW = datetime.now(UTC)
FIRST, SECOND = (material.paste("relay.example.com", now=NOW, usages=material.BOTH, client_ca=True) for _ in range(2))
MOST_REQUESTS = 60
"""No operation makes more."""


class Crash(BaseException):
    """The process dies here."""


class Fault:
    """Ends an operation at its request number `at`, counted from 0."""

    def __init__(self, at: int, error: BaseException) -> None:
        self.at = at
        self.error = error
        self.count = 0
        self.requests: list[str] = []

    def __call__(self, method: str, path: str) -> None:
        self.requests.append(f"{method} {path}")
        if self.count == self.at:
            self.count += 1
            raise self.error
        if self.count > self.at and isinstance(self.error, Crash):
            raise AssertionError(f"{method} {path} was sent by a dead process")
        self.count += 1


@dataclass(frozen=True)
class Operation:
    """Something people do, with what has to be there before.

    Attributes:
        given: makes what has to be there.
        act: the operation.
        happened: whether it is done, seen from outside.
        consumer: who is looked at, for a name.
    """

    title: str
    given: Callable[[Inventory, str], None]
    act: Callable[[Inventory, str], object]
    happened: Callable[[Instance, str], bool]
    consumer: Callable[[str], str] = "relay-{}".format


def register(inventory: Inventory, name: str, pasted: material.Paste = FIRST) -> None:
    inventory.certificates.create(
        name=name, private_key=pasted.key, certificate=pasted.certificate, ca=pasted.ca, comment="x"
    )


def with_certificates(inventory: Inventory, name: str) -> None:
    register(inventory, name)
    register(inventory, f"{name}-b")


def with_relay(certificate: bool) -> Callable[[Inventory, str], None]:
    def given(inventory: Inventory, name: str) -> None:
        with_certificates(inventory, name)
        inventory.relays.create(
            name=name, host="relay.example.com", port=443, certificate=name if certificate else None
        )

    return given


def with_provider(inventory: Inventory, name: str) -> None:
    with_certificates(inventory, name)
    clusters = [NewCluster(name=it, url="https://c.example", cert_auth=True, certificate=name) for it in ("a", "b")]
    inventory.providers.create(name=name, kind="swarm", multi_cluster="active-active", clusters=clusters)


def stored(instance: Instance, path: str) -> dict[str, object] | None:
    try:
        return dict(instance.worker.documents.read(path).data)
    except NotFound:
        return None


def bound_by_record(instance: Instance, consumer: str) -> str | None:
    wanted = {one.name: certificate for one, certificate in read_records(instance.worker).wanted.items()}
    return wanted.get(consumer)


def record_says(certificate: str) -> Callable[[Instance, str], bool]:
    def happened(instance: Instance, name: str) -> bool:
        record = stored(instance, f"relays/{name}")
        return record is not None and record["certificate"] == certificate.format(name)

    return happened


OPERATIONS = [
    Operation(
        "create a certificate",
        lambda _inventory, _name: None,
        register,
        lambda instance, name: stored(instance, f"bundles/{name}") is not None,
    ),
    Operation(
        "rotate with a new key",
        with_relay(certificate=True),
        lambda inventory, name: inventory.certificates.rotate(
            name, expect_version=1, private_key=SECOND.key, certificate=SECOND.certificate
        ),
        lambda instance, name: (stored(instance, f"bundles/{name}") or {})["private_key"] == SECOND.key,
    ),
    Operation(
        "rotate and keep the key",
        with_relay(certificate=True),
        lambda inventory, name: inventory.certificates.rotate(name, expect_version=1, ca=FIRST.ca + SECOND.ca),
        lambda instance, name: (stored(instance, f"bundles/{name}") or {})["ca"] == FIRST.ca + SECOND.ca,
    ),
    Operation(
        "delete a certificate",
        with_relay(certificate=False),
        lambda inventory, name: inventory.certificates.delete(name),
        lambda instance, name: stored(instance, f"bundles/{name}") is None,
    ),
    Operation(
        "destroy a certificate",
        with_relay(certificate=False),
        lambda inventory, name: inventory.certificates.destroy(name),
        lambda instance, name: name not in instance.worker.documents.list("bundles"),
    ),
    Operation(
        "create a bound relay",
        with_certificates,
        lambda inventory, name: inventory.relays.create(
            name=name, host="relay.example.com", port=443, certificate=name
        ),
        record_says("{}"),
    ),
    Operation(
        "bind a relay",
        with_relay(certificate=False),
        lambda inventory, name: inventory.relays.bind(name, name),
        record_says("{}"),
    ),
    Operation(
        "bind a relay elsewhere",
        with_relay(certificate=True),
        lambda inventory, name: inventory.relays.bind(name, f"{name}-b"),
        record_says("{}-b"),
    ),
    Operation(
        "unbind a relay",
        with_relay(certificate=True),
        lambda inventory, name: inventory.relays.bind(name, None),
        record_says(""),
    ),
    Operation(
        "delete a relay",
        with_relay(certificate=True),
        lambda inventory, name: inventory.relays.delete(name),
        lambda instance, name: stored(instance, f"relays/{name}") is None,
    ),
    Operation(
        "revoke a relay's credentials",
        with_relay(certificate=True),
        lambda inventory, name: inventory.relays.revoke(name),
        lambda _instance, _name: True,
    ),
    Operation(
        "enrol a relay",
        with_relay(certificate=True),
        lambda inventory, name: inventory.relays.enroll(name, 120),
        lambda _instance, _name: True,
    ),
    Operation(
        "remove a cluster",
        with_provider,
        lambda inventory, name: inventory.providers.remove_cluster(name, "a"),
        lambda instance, name: len((stored(instance, f"providers/{name}") or {})["clusters"]) == 1,  # type: ignore[arg-type]
        "provider-{}-a".format,
    ),
    Operation(
        "delete a provider",
        with_provider,
        lambda inventory, name: inventory.providers.delete(name),
        lambda instance, name: stored(instance, f"providers/{name}") is None,
        "provider-{}-a".format,
    ),
]


@pytest.mark.parametrize("error", [Crash(), Unreachable("x", "no connection")], ids=["dies", "no answer"])
@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.title)
def test_an_operation_that_ends_at_any_request_leaves_nothing_torn_or_too_open_and_heals(
    bao: Bao, operation: Operation, error: BaseException, record_property: Callable[[str, object], None]
) -> None:
    instance = make_instance(bao)  # its own: each look at everything is quick
    healthy = make_desk(instance)
    prefix = f"{operation.title.replace(' ', '-').replace(chr(39), '')}-{type(error).__name__.lower()}"
    healed = 0
    for at in range(MOST_REQUESTS):
        name = f"{prefix}-{at}"[-60:].strip("-")
        operation.given(healthy.inventory, name)
        consumer = operation.consumer(name)
        token = _token(instance, consumer)
        fault = Fault(at, error)
        faulty = make_desk(instance, before_request=fault)
        with contextlib.suppress(Crash, Problem):
            operation.act(faulty.inventory, name)
        if fault.count <= at:
            break  # it needs no more requests than that
        where = f"{operation.title}, at request {at}: {fault.requests[at]}"

        _is_not_too_open(instance, consumer, token, name, where)
        _is_whole(instance, name, where)

        repairs = reconcile(instance.worker)
        healed += bool(repairs)
        assert reconcile(instance.worker) == (), where
        _is_equal(instance, consumer, token, name, where)
        fresh = Index(lambda: instance.index, lambda: datetime.now(UTC))
        assert healthy.index.rescan().certificates == fresh.rescan().certificates, where
        assert healthy.index.snapshot().relays == fresh.snapshot().relays, where
        assert healthy.index.snapshot().providers == fresh.snapshot().providers, where

        if not operation.happened(instance, name):
            operation.act(healthy.inventory, name)
        assert operation.happened(instance, name), where
        assert reconcile(instance.worker) == (), where
        _is_not_too_open(instance, consumer, token, name, where)
        _is_whole(instance, name, where)
    else:
        pytest.fail(f"{operation.title} makes more than {MOST_REQUESTS} requests")
    record_property("crash points", at)
    record_property("healed by the worker", healed)


def _token(instance: Instance, consumer: str) -> Vault | None:
    try:
        return log_in_as(instance, consumer)
    except NotFound:
        return None


def _is_not_too_open(instance: Instance, consumer: str, token: Vault | None, name: str, where: str) -> None:
    """No bundle is readable but the one that the consumer's record names, by a token in use or by a new one."""
    bound = bound_by_record(instance, consumer)
    for vault in filter(None, (token, _token(instance, consumer))):
        for certificate in (name, f"{name}-b"):
            assert certificate == bound or not can_read(vault, certificate), f"{where}: {certificate} can be read"


def _is_whole(instance: Instance, name: str, where: str) -> None:
    """Key, chain, CA and the public half of the current version belong together."""
    data = stored(instance, f"bundles/{name}")
    if data is None:
        return
    texts = {field: str(value) for field, value in data.items()}
    checked = check_bundle(
        private_key=texts["private_key"], certificate=texts["certificate"], ca=texts["ca"], now=datetime.now(UTC)
    )
    assert not checked.blocked, where
    public = instance.worker.documents.read_public(f"bundles/{name}").values
    assert (public["certificate"], public.get("ca", "")) == (texts["certificate"], texts["ca"]), where


def _is_equal(instance: Instance, consumer: str, token: Vault | None, name: str, where: str) -> None:
    """What Vault lets the consumer read is what its record says."""
    bound = bound_by_record(instance, consumer)
    bindings = instance.worker.consumers.bindings()
    records = {one.name for one in read_records(instance.worker).wanted}
    assert (consumer in bindings) == (consumer in records), where
    assert bindings.get(consumer) == bound, where
    new = _token(instance, consumer)
    for certificate in (name, f"{name}-b"):
        if new is not None:
            assert can_read(new, certificate) == (certificate == bound), where
        if token is not None and certificate != bound:
            assert not can_read(token, certificate), where


def test_every_operation_is_listed_once() -> None:
    titles = [operation.title for operation in OPERATIONS]
    assert len(titles) == len(set(titles))


def test_a_desk_without_a_fault_makes_no_difference(instance: Instance) -> None:
    counted = Fault(MOST_REQUESTS, Crash())
    desk: Desk = make_desk(instance, before_request=counted)
    for name in itertools.islice(map("plain-{}".format, itertools.count()), 2):
        register(desk.inventory, name)
    assert counted.count > 0
