"""Who may do what: each operation, tried as each role, is allowed to those the table names (docs/vault-policies.md)."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable

import pytest

from tests.conftest import Instance
from vault.errors import Denied
from vault.session import Vault

pytestmark = pytest.mark.live

AT = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
ROLES = ("admin", "auditor", "index", "worker")
EVERYBODY = frozenset(ROLES)
WRITERS = frozenset({"admin", "worker"})
ADMIN = frozenset({"admin"})
WORKER = frozenset({"worker"})
SEES_BINDINGS = frozenset({"admin", "auditor", "worker"})
NOBODY: frozenset[str] = frozenset()

Operation = Callable[[Vault], object]

TABLE: dict[str, tuple[frozenset[str], Operation]] = {
    "read a bundle": (WORKER, lambda v: v.documents.read("bundles/eu")),
    "read an older version": (WORKER, lambda v: v.documents.read("bundles/eu", 1)),
    "read a prepared bundle": (WORKER, lambda v: v.documents.read("staged/eu")),
    "read a public half": (EVERYBODY, lambda v: v.documents.read_public("bundles/eu", 1)),
    "read a prepared public half": (EVERYBODY, lambda v: v.documents.read_public("staged/eu")),
    "read metadata": (EVERYBODY, lambda v: v.documents.metadata("bundles/eu")),
    "list bundles": (EVERYBODY, lambda v: v.documents.list("bundles")),
    "list bundles with metadata": (EVERYBODY, lambda v: v.documents.list_metadata("bundles")),
    "list relays": (EVERYBODY, lambda v: v.documents.list("relays")),
    "write a bundle": (WRITERS, lambda v: v.documents.write("bundles/eu", KEY, expect_version=2)),
    "change a bundle unseen": (WRITERS, lambda v: v.documents.patch("bundles/eu", {"ca": "A"}, expect_version=2)),
    "create a bundle": (WRITERS, lambda v: v.documents.write("bundles/new", KEY, expect_version=0)),
    "annotate a bundle": (ADMIN, lambda v: v.documents.annotate("bundles/eu", {"comment": "x"})),
    "delete a bundle": (ADMIN, lambda v: v.documents.delete("bundles/eu", 2)),
    "undelete a bundle": (ADMIN, lambda v: v.documents.undelete("bundles/eu", 2)),
    "destroy a bundle": (ADMIN, lambda v: v.documents.destroy("bundles/eu")),
    "write a prepared bundle": (WRITERS, lambda v: v.documents.write("staged/eu", KEY, expect_version=1)),
    "destroy a prepared bundle": (WRITERS, lambda v: v.documents.destroy("staged/eu")),
    "read a relay": (EVERYBODY, lambda v: v.documents.read("relays/eu")),
    "write a relay": (ADMIN, lambda v: v.documents.write("relays/eu", {}, expect_version=1)),
    "destroy a relay": (ADMIN, lambda v: v.documents.destroy("relays/eu")),
    "read a provider": (EVERYBODY, lambda v: v.documents.read("providers/eu")),
    "write a provider": (ADMIN, lambda v: v.documents.write("providers/eu", {}, expect_version=1)),
    "read a report": (EVERYBODY, lambda v: v.documents.read("status/relay-eu")),
    "write a report": (NOBODY, lambda v: v.documents.write("status/relay-eu", {}, expect_version=1)),
    "read a job": (EVERYBODY, lambda v: v.documents.read("jobs/1")),
    "write a job": (WRITERS, lambda v: v.documents.write("jobs/1", {}, expect_version=1)),
    "clear a job away": (WRITERS, lambda v: v.documents.destroy("jobs/1")),
    "read the journal": (EVERYBODY, lambda v: v.journal.read()),
    "append to the journal": (WRITERS, lambda v: v.journal.append("relay", "eu", "x", 1, by="x", at=AT)),
    "list consumers": (SEES_BINDINGS, lambda v: v.consumers.names()),
    "see a binding": (SEES_BINDINGS, lambda v: v.consumers.bound_to("relay-eu")),
    "see all bindings": (SEES_BINDINGS, lambda v: v.consumers.bindings()),
    "make a consumer": (WRITERS, lambda v: v.consumers.ensure("relay-eu")),
    "bind a consumer": (WRITERS, lambda v: v.consumers.bind("relay-eu", "eu")),
    "enrol a consumer": (ADMIN, lambda v: v.consumers.enroll("relay-eu", 60)),
    "revoke a consumer": (WRITERS, lambda v: v.consumers.revoke("relay-eu")),
    "look itself up": (EVERYBODY, lambda v: v.lookup_self()),
    "renew itself": (EVERYBODY, lambda v: v.renew_self()),
}
KEY = {"private_key": "K"}


@pytest.fixture
def content(instance: Instance) -> None:
    """One of everything, as root made it."""
    documents = instance.root.documents
    for path in ("bundles/eu", "bundles/new", "staged/eu", "relays/eu", "providers/eu", "status/relay-eu", "jobs/1"):
        documents.destroy(path)
    documents.write("bundles/eu", KEY, expect_version=0)
    documents.write("bundles/eu", KEY, expect_version=1)
    for path in ("staged/eu", "relays/eu", "providers/eu", "status/relay-eu", "jobs/1"):
        documents.write(path, KEY, expect_version=0)
    instance.root.consumers.ensure("relay-eu")
    instance.root.consumers.bind("relay-eu", "eu")


@pytest.mark.usefixtures("content")
@pytest.mark.parametrize("operation", TABLE)
@pytest.mark.parametrize("role", ROLES)
def test_an_operation_is_allowed_exactly_to_those_the_table_names(
    instance: Instance, role: str, operation: str
) -> None:
    allowed, run = TABLE[operation]
    vault: Vault = getattr(instance, role)
    if role in allowed:
        run(vault)
    else:
        with pytest.raises(Denied):
            run(vault)
