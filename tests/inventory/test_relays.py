"""Relays: where they are, what they are bound to, who they are in Vault."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest

from service.errors import InUse, Malformed, Missing, Problem, Refused, Stale
from service.inventory import Inventory
from service.worker.reconcile import reconcile
from tests import material
from tests.inventory.conftest import Desk, can_read, log_in_as, make_desk
from tests.inventory.test_certificates import create, paste
from vault.errors import AlreadyUsed, NotFound, VaultError
from vault.login import unwrap_secret_id


def relay(inventory: Inventory, name: str, certificate: str | None = None, **more: object) -> None:
    fields = {"host": "relay.example.com", "port": 443, **more}
    inventory.relays.create(name=name, certificate=certificate, **fields)  # type: ignore[arg-type]


def test_a_relay_keeps_what_was_typed_in_its_normal_form(inventory: Inventory, name: str) -> None:
    created = inventory.relays.create(
        name=f"Relay {name}", host="Bücher.Example.", port=8443, tls_mode="mtls", comment=" x\r\ny "
    )
    assert inventory.relays.get(f"relay-{name}") == created
    assert (created.host, created.port, created.tls_mode) == ("xn--bcher-kva.example", 8443, "mtls")
    assert (created.comment, created.enabled, created.version) == ("x\ny", True, 1)
    assert (created.display_name, created.certificate, created.provider) == (f"Relay {name}", None, None)


@pytest.mark.parametrize(
    ("typed", "stored"),
    [("10.0.0.1", "10.0.0.1"), ("[2001:DB8::0001]", "2001:db8::1"), ("localhost", "localhost"), ("a.b-c.d", "a.b-c.d")],
)
def test_hosts_that_are_taken(inventory: Inventory, name: str, typed: str, stored: str) -> None:
    assert inventory.relays.create(name=name, host=typed, port=443).host == stored


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "a b",
        "https://x",
        "x:443",
        "*.x",
        "a..b",
        "-a",
        "1.2.3",
        "256.1.1.1",
        "fe80::1%eth0",
        "x" * 64 + ".a",
        "a\n",
    ],
)
def test_hosts_that_are_refused(inventory: Inventory, name: str, host: str) -> None:
    if host == "a\n":
        host = "a\nb"
    with pytest.raises(Refused) as refused:
        inventory.relays.create(name=name, host=host, port=443)
    assert refused.value.findings[0].field == "host"


@pytest.mark.parametrize("port", [0, -1, 65536, True])
def test_ports_that_are_refused(inventory: Inventory, name: str, port: int) -> None:
    with pytest.raises(Refused) as refused:
        inventory.relays.create(name=name, host="x.example", port=port)
    assert refused.value.findings[0].code == "port.illegal"


def test_an_unknown_mode_or_provider_is_refused(inventory: Inventory, name: str) -> None:
    with pytest.raises(Refused):
        relay(inventory, name, tls_mode="ssl")
    with pytest.raises(Refused) as refused:
        relay(inventory, name, provider="nowhere")
    assert refused.value.code == "relay.unknown-provider"


def test_a_relay_that_exists_is_not_made_again(desk: Desk, name: str) -> None:
    other = make_desk(desk.instance)
    relay(desk.inventory, name)
    for inventory in (desk.inventory, other.inventory):
        with pytest.raises(InUse) as problem:
            relay(inventory, name)
        assert problem.value.code == "relay.exists"


def test_binding_gives_the_bundle_and_unbinding_takes_it_from_a_token_in_use(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    create(desk.inventory, f"{name}-b", paste())
    relay(desk.inventory, name)
    consumer = log_in_as(desk.instance, f"relay-{name}")
    assert not can_read(consumer, name)
    bound = desk.inventory.relays.bind(name, name)
    assert bound.certificate == name
    assert can_read(consumer, name)
    desk.inventory.relays.bind(name, f"{name}-b")
    assert not can_read(consumer, name)
    assert can_read(consumer, f"{name}-b")
    unbound = desk.inventory.relays.bind(name, None)
    assert unbound.certificate is None
    assert not can_read(consumer, f"{name}-b")
    assert reconcile(desk.instance.worker) == ()


def test_binding_to_an_unknown_or_deleted_certificate_is_refused(desk: Desk, name: str) -> None:
    relay(desk.inventory, name)
    create(desk.inventory, name, paste())
    desk.inventory.certificates.delete(name)
    for certificate in (name, "nothing", "../x"):
        with pytest.raises(Refused) as refused:
            desk.inventory.relays.bind(name, certificate)
        assert refused.value.code == "binding.unknown-certificate"
    assert desk.inventory.relays.get(name).version == 1


def test_binding_to_a_certificate_that_does_not_cover_the_host_is_refused_unless_accepted(
    desk: Desk, name: str
) -> None:
    create(desk.inventory, name, paste("other.example.com"))
    relay(desk.inventory, name)
    with pytest.raises(Refused) as refused:
        desk.inventory.relays.bind(name, name)
    assert "host.not-covered" in {finding.code for finding in refused.value.findings}
    assert desk.inventory.relays.bind(name, name, accept=["host.not-covered"]).certificate == name


def test_an_mtls_relay_needs_a_ca(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    relay(desk.inventory, name, tls_mode="mtls")
    with pytest.raises(Refused) as refused:
        desk.inventory.relays.bind(name, name)
    assert "ca.missing" in {finding.code for finding in refused.value.findings}


def test_a_bound_relay_cannot_move_to_a_host_that_is_not_covered(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    relay(desk.inventory, name, name)
    with pytest.raises(Refused):
        desk.inventory.relays.update(name, host="elsewhere.example.com")
    moved = desk.inventory.relays.update(name, host="elsewhere.example.com", accept=[f"relay-{name}:host.not-covered"])
    assert (moved.host, moved.certificate, moved.version) == ("elsewhere.example.com", name, 2)
    again = desk.inventory.relays.update(name, comment="what was accepted is not asked again")
    assert again.version == 3


def test_an_update_keeps_what_it_does_not_name_and_writes_nothing_when_nothing_changes(
    inventory: Inventory, name: str
) -> None:
    relay(inventory, name, comment="kept")
    changed = inventory.relays.update(name, enabled=False)
    assert (changed.enabled, changed.comment, changed.port, changed.version) == (False, "kept", 443, 2)
    assert inventory.relays.update(name, enabled=False).version == 2


def test_a_disabled_relay_may_be_bound(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    relay(desk.inventory, name, enabled=False)
    assert desk.inventory.relays.bind(name, name).certificate == name


def test_the_second_of_two_people_is_told_and_nothing_is_lost(desk: Desk, name: str) -> None:
    relay(desk.inventory, name)
    other = make_desk(desk.instance, who="grace")
    desk.inventory.relays.update(name, expect_version=1, comment="hers")
    with pytest.raises(Stale) as problem:
        other.inventory.relays.update(name, expect_version=1, port=1)
    assert any("by ada" in conflict for conflict in problem.value.conflicts)
    assert (other.inventory.relays.get(name).comment, other.inventory.relays.get(name).port) == ("hers", 443)


def test_a_deleted_relay_is_nobody_any_more_and_its_name_is_free(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    relay(desk.inventory, name, name)
    consumer = log_in_as(desk.instance, f"relay-{name}")
    desk.inventory.relays.delete(name)
    assert not can_read(consumer, name)
    with pytest.raises(VaultError):
        consumer.renew_self()
    with pytest.raises(Missing):
        desk.inventory.relays.get(name)
    with pytest.raises(NotFound):
        desk.instance.admin.consumers.bound_to(f"relay-{name}")
    relay(desk.inventory, name)
    assert not can_read(consumer, name)
    assert reconcile(desk.instance.worker) == ()


def test_a_certificate_in_use_is_not_deleted_and_the_users_are_named(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    relay(desk.inventory, name, name)
    for attempt in (desk.inventory.certificates.delete, desk.inventory.certificates.destroy):
        with pytest.raises(InUse) as problem:
            attempt(name)
        assert problem.value.code == "certificate.in-use"
        assert problem.value.conflicts == (f"relay-{name}",)
    assert not desk.inventory.certificates.get(name).view.deleted


def test_a_binding_that_another_index_has_not_seen_stops_a_deletion(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    relay(desk.inventory, name)
    other = make_desk(desk.instance)
    record = desk.inventory.relays.get(name)  # written, and its journal entry still to come
    data = {**record.to_data(), "certificate": name}
    desk.instance.root.documents.write(f"relays/{name}", data, expect_version=1)
    with pytest.raises(InUse):
        other.inventory.certificates.delete(name)
    assert not other.inventory.certificates.get(name).view.deleted


def test_enrolment_hands_out_credentials_that_open_once(desk: Desk, name: str) -> None:
    relay(desk.inventory, name)
    enrollment = desk.inventory.relays.enroll(name, ttl_s=120)
    assert 0 < (enrollment.expires_at - datetime.now(UTC)).total_seconds() <= 121
    assert unwrap_secret_id(desk.instance.server, enrollment.wrapping_token)
    with pytest.raises(AlreadyUsed):
        unwrap_secret_id(desk.instance.server, enrollment.wrapping_token)
    for ttl_s in (59, 86_401, 0, -1):
        with pytest.raises(Malformed):
            desk.inventory.relays.enroll(name, ttl_s=ttl_s)
    with pytest.raises(Missing):
        desk.inventory.relays.enroll("nobody", ttl_s=120)


def test_revoking_ends_every_token_and_the_binding_stays(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    relay(desk.inventory, name, name)
    old = log_in_as(desk.instance, f"relay-{name}")
    assert can_read(old, name)
    desk.inventory.relays.revoke(name)
    assert not can_read(old, name)
    assert desk.inventory.relays.get(name).certificate == name
    assert can_read(log_in_as(desk.instance, f"relay-{name}"), name)


def test_a_rotation_that_would_cut_off_a_relay_has_to_be_accepted(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste("relay.example.com", "second.example.com"))
    relay(desk.inventory, name, name)
    relay(desk.inventory, f"{name}-b", name, host="second.example.com")
    new = paste("relay.example.com")
    with pytest.raises(Refused) as refused:
        desk.inventory.certificates.rotate(name, expect_version=1, private_key=new.key, certificate=new.certificate)
    assert refused.value.code == "impact.not-accepted"
    assert refused.value.conflicts == (f"relay-{name}-b:host.not-covered",)
    assert f"relay-{name}-b" in refused.value.findings[0].message
    profile = desk.inventory.certificates.rotate(
        name, expect_version=1, private_key=new.key, certificate=new.certificate, accept=refused.value.conflicts
    )
    assert profile.view.version == 2
    assert not profile.coverages[f"relay-{name}-b"].ok
    newer = paste("relay.example.com")  # what was broken before is no harm of this change
    assert (
        desk.inventory.certificates.rotate(
            name, expect_version=2, private_key=newer.key, certificate=newer.certificate
        ).view.version
        == 3
    )


def test_removing_or_replacing_the_ca_of_an_mtls_relay_has_to_be_accepted(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste(client_ca=True))
    relay(desk.inventory, name, name, tls_mode="mtls")
    rotate = desk.inventory.certificates.rotate
    other = material.root("Other", now=datetime.now(UTC)).pem
    for ca, code in (("", "ca.missing"), (other, "ca.dropped")):
        with pytest.raises(Refused) as refused:
            rotate(name, expect_version=1, ca=ca)
        assert {finding.code for finding in refused.value.findings} == {code}
    kept = desk.inventory.certificates.get(name).view.ca
    assert rotate(name, expect_version=1, ca=kept + other).view.version == 2


def test_deleting_and_binding_at_once_never_leaves_a_relay_on_a_deleted_certificate(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    relay(desk.inventory, name)
    one, two = make_desk(desk.instance), make_desk(desk.instance)
    reconcile(desk.instance.worker)  # what a test before wrote by hand
    for _ in range(5):
        problems: list[Problem] = []

        def attempt(work: object, *arguments: str, problems: list[Problem] = problems) -> None:
            try:
                work(*arguments)  # type: ignore[operator]
            except Problem as problem:
                problems.append(problem)

        threads = [
            threading.Thread(target=attempt, args=(one.inventory.certificates.delete, name)),
            threading.Thread(target=attempt, args=(two.inventory.relays.bind, name, name)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        desk.index.rescan()
        deleted = desk.inventory.certificates.get(name).view.deleted
        bound = desk.inventory.relays.get(name).certificate
        assert not (deleted and bound)
        assert problems
        assert reconcile(desk.instance.worker) == ()
        desk.inventory.certificates.restore(name)
        desk.inventory.relays.bind(name, None)
        one.index.refresh()
        two.index.refresh()
