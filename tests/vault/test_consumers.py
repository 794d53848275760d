"""Consumers: each reads what it is bound to, from its next request on, and nothing once it is unbound or revoked."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from tests.conftest import Instance
from tests.vault.conftest import Call
from vault import login
from vault.errors import AlreadyUsed, Denied, NotFound, Rejected, SignInRefused
from vault.session import Vault

pytestmark = pytest.mark.live

numbers = itertools.count(1)
Certificates = tuple[str, str]


@pytest.fixture(scope="module")
def certificates(instance: Instance) -> Certificates:
    """Two bundles."""
    for name in ("north", "south"):
        instance.admin.documents.write(f"bundles/{name}", {"private_key": f"K-{name}"}, expect_version=0)
    return "north", "south"


@pytest.fixture
def name() -> str:
    """A consumer that does not exist yet."""
    return f"relay-r{next(numbers)}"


def enrolled(instance: Instance, name: str) -> tuple[Vault, Callable[[], Vault]]:
    """The consumer's own Vault, and how it logs in again with the same SecretID."""
    enrollment = instance.admin.consumers.enroll(name, 120)
    secret_id = login.unwrap_secret_id(instance.server, enrollment.wrapping_token)

    def log_in() -> Vault:
        signed_in = login.service_login(instance.server, enrollment.role_id, secret_id, instance.server.consumer_mount)
        return Vault(instance.server, signed_in.token)

    return log_in(), log_in


def key_of(consumer: Vault, certificate: str) -> str:
    return str(consumer.documents.read(f"bundles/{certificate}").data["private_key"])


def test_a_consumer_reads_the_bundle_it_is_bound_to_and_no_other(
    instance: Instance, certificates: Certificates, name: str
) -> None:
    instance.admin.consumers.ensure(name)
    instance.admin.consumers.bind(name, "north")
    consumer, _ = enrolled(instance, name)
    assert key_of(consumer, "north") == "K-north"
    with pytest.raises(Denied):
        key_of(consumer, "south")


def test_a_consumer_that_was_never_bound_reads_nothing(
    instance: Instance, certificates: Certificates, name: str
) -> None:
    instance.admin.consumers.ensure(name)
    consumer, _ = enrolled(instance, name)
    for certificate in certificates:
        with pytest.raises(Denied):
            key_of(consumer, certificate)
    assert instance.admin.consumers.bound_to(name) is None


def test_another_binding_holds_for_the_token_that_is_already_out(
    instance: Instance, certificates: Certificates, name: str
) -> None:
    consumers = instance.admin.consumers
    consumers.ensure(name)
    consumers.bind(name, "north")
    consumer, _ = enrolled(instance, name)
    key_of(consumer, "north")
    consumers.bind(name, "south")
    assert key_of(consumer, "south") == "K-south"
    with pytest.raises(Denied):
        key_of(consumer, "north")


def test_an_unbound_consumer_loses_its_bundle_at_once(
    instance: Instance, certificates: Certificates, name: str
) -> None:
    consumers = instance.admin.consumers
    consumers.ensure(name)
    consumers.bind(name, "north")
    consumer, log_in = enrolled(instance, name)
    key_of(consumer, "north")
    consumers.bind(name, None)
    for of_consumer in (consumer, log_in()):
        for certificate in certificates:
            with pytest.raises(Denied):
                key_of(of_consumer, certificate)
    assert consumers.bound_to(name) is None


def test_a_consumer_reads_its_own_record_and_writes_its_own_report_only(
    instance: Instance, certificates: Certificates, name: str
) -> None:
    relay = name.removeprefix("relay-")
    instance.admin.documents.write(f"relays/{relay}", {"host": "a"}, expect_version=0)
    instance.admin.documents.write(f"relays/{relay}-other", {"host": "b"}, expect_version=0)
    instance.admin.documents.write(f"providers/{relay}", {"kind": "swarm"}, expect_version=0)
    instance.admin.consumers.ensure(name)
    instance.admin.consumers.bind(name, None, {"relay": relay})
    consumer, _ = enrolled(instance, name)
    assert consumer.documents.read(f"relays/{relay}").data == {"host": "a"}
    assert consumer.documents.write(f"status/{name}", {"state": "installed"}, expect_version=0) == 1
    assert consumer.documents.write(f"status/{name}", {"state": "serving"}, expect_version=1) == 2
    refused: list[Callable[[], object]] = [
        lambda: consumer.documents.read(f"relays/{relay}-other"),
        lambda: consumer.documents.read(f"providers/{relay}"),
        lambda: consumer.documents.write(f"relays/{relay}", {"host": "evil"}, expect_version=1),
        lambda: consumer.documents.write(f"status/{name}-other", {}, expect_version=0),
        lambda: consumer.documents.read("journal"),
        lambda: consumer.documents.list("bundles"),
        lambda: consumer.documents.list_metadata("relays"),
        lambda: consumer.documents.read_public("bundles/north"),
        lambda: consumer.documents.metadata("bundles/north"),
        consumer.consumers.names,
        lambda: consumer.consumers.bind(name, "north"),
        lambda: consumer.consumers.ensure(name),
    ]
    for request in refused:
        with pytest.raises(Denied):
            request()


def test_a_binding_keeps_what_the_consumer_may_read_besides(
    instance: Instance, certificates: Certificates, name: str
) -> None:
    instance.admin.documents.write(f"relays/{name}", {"host": "a"}, expect_version=0)
    instance.admin.consumers.ensure(name)
    instance.admin.consumers.bind(name, "north", {"relay": name})
    instance.admin.consumers.bind(name, "south")
    consumer, _ = enrolled(instance, name)
    assert consumer.documents.read(f"relays/{name}").version == 1


def test_logging_in_again_leaves_the_binding_as_it_is(
    instance: Instance, certificates: Certificates, name: str
) -> None:
    instance.admin.consumers.ensure(name)
    instance.admin.consumers.bind(name, "north")
    _, log_in = enrolled(instance, name)
    assert key_of(log_in(), "north") == "K-north"
    assert instance.admin.consumers.bound_to(name) == "north"


@pytest.mark.parametrize("pattern", ["*", "nor*", "+", "../staged/x", "a/b"])
def test_a_binding_that_is_a_pattern_is_refused(instance: Instance, name: str, pattern: str) -> None:
    instance.admin.consumers.ensure(name)
    with pytest.raises(ValueError, match="one document"):
        instance.admin.consumers.bind(name, pattern)


@pytest.mark.parametrize("pattern", ["*", "nor*", "+", "./north", "north/"])
def test_a_pattern_written_past_us_opens_nothing(
    instance: Instance, call: Call, accessors: dict[str, str], name: str, pattern: str
) -> None:
    certificate = f"north-{name}"
    instance.admin.documents.write(f"bundles/{certificate}", {"private_key": "K"}, expect_version=0)
    instance.admin.consumers.ensure(name)
    consumer, _ = enrolled(instance, name)
    role_id = instance.admin.consumers.enroll(name, 60).role_id
    alias = {"name": role_id, "mount_accessor": accessors[instance.server.consumer_mount]}
    body = {**alias, "custom_metadata": {"certificate": pattern, "consumer": name}}
    assert call(instance.admin.token, "POST", "identity/entity-alias", body).allowed
    assert not call(consumer.token, "GET", f"{instance.server.mount}/data/bundles/{certificate}").allowed


def test_an_enrolment_works_once(instance: Instance, name: str) -> None:
    instance.admin.consumers.ensure(name)
    enrollment = instance.admin.consumers.enroll(name, 60)
    login.unwrap_secret_id(instance.server, enrollment.wrapping_token)
    with pytest.raises(AlreadyUsed):
        login.unwrap_secret_id(instance.server, enrollment.wrapping_token)
    assert enrollment.wrapping_token.reveal() not in repr(enrollment)


@pytest.mark.parametrize("ttl_s", [0, 59, 24 * 3600 + 1])
def test_an_enrolment_outside_of_the_limits_is_refused(instance: Instance, name: str, ttl_s: int) -> None:
    instance.admin.consumers.ensure(name)
    with pytest.raises(Rejected):
        instance.admin.consumers.enroll(name, ttl_s)


def test_a_consumer_that_does_not_exist_is_not_found(instance: Instance, name: str) -> None:
    consumers = instance.admin.consumers
    requests: list[Callable[[], object]] = [
        lambda: consumers.bind(name, None),
        lambda: consumers.bound_to(name),
        lambda: consumers.enroll(name, 60),
    ]
    for request in requests:
        with pytest.raises(NotFound):
            request()
    consumers.revoke(name)
    consumers.remove(name)


def test_revoking_ends_tokens_and_secret_ids_at_once_and_for_good(
    instance: Instance, certificates: Certificates, name: str
) -> None:
    consumers = instance.admin.consumers
    consumers.ensure(name)
    consumers.bind(name, "north", {"relay": name})
    instance.admin.documents.write(f"relays/{name}", {"host": "a"}, expect_version=0)
    consumer, log_in = enrolled(instance, name)
    consumer.documents.write(f"status/{name}", {"state": "serving"}, expect_version=0)
    pending = consumers.enroll(name, 60)
    key_of(consumer, "north")

    def nothing_works() -> None:
        reads: list[Callable[[], object]] = [
            lambda: key_of(consumer, "north"),
            lambda: consumer.documents.read(f"relays/{name}"),
            lambda: consumer.documents.read(f"status/{name}"),
            lambda: consumer.documents.write(f"status/{name}", {}, expect_version=1),
            consumer.renew_self,
        ]
        for read in reads:
            with pytest.raises(Denied):
                read()
        with pytest.raises(SignInRefused):
            log_in()
        secret_id = login.unwrap_secret_id(instance.server, pending.wrapping_token) if not unwrapped else unwrapped[0]
        unwrapped.append(secret_id)
        with pytest.raises(SignInRefused):
            login.service_login(instance.server, pending.role_id, secret_id, instance.server.consumer_mount)

    unwrapped: list[str] = []
    consumers.revoke(name)
    nothing_works()
    assert name not in consumers.names()

    consumers.ensure(name)
    consumers.bind(name, "north", {"relay": name})
    again, _ = enrolled(instance, name)
    assert key_of(again, "north") == "K-north"
    with pytest.raises(Denied):
        key_of(consumer, "north")
    with pytest.raises(SignInRefused):
        log_in()
    assert instance.worker.consumers.bindings()[name] == "north"


@pytest.mark.parametrize("role", ["admin", "worker", "auditor", "root"])
def test_everybody_who_may_see_bindings_sees_the_same(
    instance: Instance, certificates: Certificates, name: str, role: str
) -> None:
    consumers = instance.admin.consumers
    consumers.ensure(name)
    consumers.ensure(f"{name}-unbound")
    consumers.bind(name, "south")
    seen = getattr(instance, role).consumers.bindings()
    assert (seen[name], seen[f"{name}-unbound"]) == ("south", None)
    assert set(seen) == set(consumers.names())


def test_a_role_removed_by_other_hands_does_not_hide_the_present_binding(
    instance: Instance, certificates: Certificates, call: Call, name: str
) -> None:
    consumers = instance.admin.consumers
    consumers.ensure(name)
    consumers.bind(name, "north")
    role = f"auth/{instance.server.consumer_mount}/role/{instance.server.prefixed(name)}"
    assert call(instance.root.token, "DELETE", role).allowed
    consumers.ensure(name)
    consumers.bind(name, "south")
    assert instance.worker.consumers.bindings()[name] == "south"


REQUESTS = 10
"""Of the steps below, from a first `ensure` to a second `bind`."""


class Crash(Exception):
    """The process ends here."""


@pytest.mark.parametrize("crash_at", range(1, REQUESTS + 1))
def test_whatever_request_it_crashes_before_the_same_steps_again_bring_the_consumer_up(
    instance: Instance, certificates: Certificates, name: str, crash_at: int
) -> None:
    def steps(vault: Vault) -> None:
        vault.consumers.ensure(name)
        vault.consumers.bind(name, "north", {"relay": name})
        vault.consumers.revoke(name)
        vault.consumers.ensure(name)
        vault.consumers.bind(name, "south", {"relay": name})

    count = itertools.count(1)

    def crash(_method: str, _path: str) -> None:
        if next(count) == crash_at:
            raise Crash

    with pytest.raises(Crash):
        steps(Vault(instance.server, instance.admin.token, before_request=crash))
    steps(instance.admin)
    consumer, _ = enrolled(instance, name)
    assert key_of(consumer, "south") == "K-south"
    assert instance.worker.consumers.bindings()[name] == "south"


def test_the_audit_log_names_the_consumer_that_read_and_the_version(
    instance: Instance, certificates: Certificates, name: str
) -> None:
    instance.admin.consumers.ensure(name)
    instance.admin.consumers.bind(name, "north")
    consumer, _ = enrolled(instance, name)
    key_of(consumer, "north")
    path = f"{instance.server.mount}/data/bundles/north"
    read = [
        entry
        for entry in instance.bao.audit_entries()
        if entry["type"] == "response"
        and entry["request"]["path"] == path
        and entry["auth"].get("metadata", {}).get("role_name") == instance.server.prefixed(name)
    ]
    assert [entry["response"]["data"]["metadata"]["version"] for entry in read] == [1]
    assert read[0]["request"]["remote_address"] == "127.0.0.1"


@pytest.mark.parametrize("turn", range(1, 8))
def test_binding_and_revoking_at_once_leave_nothing_that_can_be_read(
    instance: Instance, certificates: Certificates, name: str, turn: int
) -> None:
    """Whichever request of one the other falls between."""
    admin = instance.admin
    for first in ("bind", "revoke"):
        consumer_name = f"{name}-{first}"
        admin.consumers.ensure(consumer_name)
        admin.consumers.bind(consumer_name, None)
        consumer, _ = enrolled(instance, consumer_name)
        requests = itertools.count(1)

        def other(_method: str, _path: str, first: str = first, consumer_name: str = consumer_name) -> None:
            if next(requests) == turn:  # noqa: B023 - called before the loop goes on
                in_between(admin, "revoke" if first == "bind" else "bind", consumer_name)

        in_between(Vault(instance.server, admin.token, before_request=other), first, consumer_name)
        in_between(admin, "revoke", consumer_name)  # as `settle` does: the record is gone
        with pytest.raises(Denied):
            key_of(consumer, "north")


def in_between(vault: Vault, action: str, name: str) -> None:
    """Bind or revoke; what is gone already is fine."""
    try:
        if action == "bind":
            vault.consumers.bind(name, "north")
        else:
            vault.consumers.revoke(name)
    except NotFound:
        pass
