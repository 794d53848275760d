"""Setup: what is missing is made, what differs is put right, and a second run finds nothing to do."""

from __future__ import annotations

import dataclasses
import itertools

import pytest

from tests.conftest import Bao, Instance
from tests.vault.conftest import Call
from vault import bootstrap, login
from vault.errors import Denied, SignInRefused, VaultError
from vault.policy import POLICIES
from vault.session import Server, Token, Vault

pytestmark = pytest.mark.live

numbers = itertools.count(1)


@pytest.fixture
def fresh(bao: Bao) -> Vault:
    """Root, in front of a set of mounts that do not exist yet."""
    name = f"b{next(numbers)}"
    server = Server(
        url=bao.url,
        ca_file=bao.ca_file,
        mount=name,
        consumer_mount=f"{name}-consumers",
        service_mount=f"{name}-services",
    )
    return Vault(server, Token(bao.root_token))


def people(vault: Vault) -> str:
    return f"{vault.server.mount}-people"


def test_a_plan_changes_nothing_and_names_everything(fresh: Vault) -> None:
    first = bootstrap.plan(fresh, userpass_mount=people(fresh))
    assert bootstrap.plan(fresh, userpass_mount=people(fresh)) == first
    assert {difference.action for difference in first} <= {"create", "change"}
    subjects = " ".join(difference.subject for difference in first)
    for part in (f"mount {fresh.server.mount}/", "-consumers/", "-services/", "-people/", *POLICIES):
        assert part in subjects


def test_setup_does_what_the_plan_said_and_then_nothing(fresh: Vault) -> None:
    planned = bootstrap.plan(fresh, userpass_mount=people(fresh))
    assert bootstrap.apply(fresh, userpass_mount=people(fresh)) == planned
    assert bootstrap.plan(fresh, userpass_mount=people(fresh)) == ()
    assert bootstrap.apply(fresh, userpass_mount=people(fresh)) == ()


def test_whatever_request_setup_crashes_before_it_is_finished_by_running_it_again(fresh: Vault) -> None:
    class Crash(Exception):
        pass

    for crash_at in itertools.count(1):
        count = itertools.count(1)

        def crash(_method: str, _path: str, count: itertools.count[int] = count, crash_at: int = crash_at) -> None:
            if next(count) == crash_at:
                raise Crash

        try:
            bootstrap.apply(Vault(fresh.server, fresh.token, before_request=crash), userpass_mount=people(fresh))
        except Crash:
            continue
        break
    assert crash_at > 15
    assert bootstrap.plan(fresh, userpass_mount=people(fresh)) == ()


def test_people_may_sign_in_otherwise(fresh: Vault) -> None:
    bootstrap.apply(fresh, userpass_mount=None)
    assert bootstrap.plan(fresh, userpass_mount=None) == ()
    assert people(fresh) not in {method.mount for method in login.methods(fresh.server)}


@pytest.mark.parametrize(
    ("path", "body", "subject"),
    [
        ("sys/policies/acl/{m}-consumer", {"policy": 'path "*" { capabilities = ["read"] }'}, "policy {m}-consumer"),
        ("{m}/config", {"cas_required": False}, "settings of {m}/"),
        ("auth/{m}-services/role/{m}-index", {"token_policies": ["root-like"]}, "role {m}-index"),
        ("auth/{m}-services/role/{m}-worker", {"token_no_default_policy": False}, "role {m}-worker"),
        ("sys/auth/{m}-people/tune", {"listing_visibility": "hidden"}, "settings of auth/{m}-people/"),
    ],
)
def test_what_somebody_changed_is_found_and_put_right(
    fresh: Vault, call: Call, path: str, body: dict[str, object], subject: str
) -> None:
    mount = fresh.server.mount
    bootstrap.apply(fresh, userpass_mount=people(fresh))
    assert call(fresh.token, "POST", path.format(m=mount), body).allowed
    (difference,) = bootstrap.plan(fresh, userpass_mount=people(fresh))
    assert (difference.action, subject.format(m=mount) in difference.subject) == ("change", True)
    bootstrap.apply(fresh, userpass_mount=people(fresh))
    assert bootstrap.plan(fresh, userpass_mount=people(fresh)) == ()


def test_a_consumers_mount_made_anew_gets_policies_with_its_new_accessor(fresh: Vault, call: Call) -> None:
    bootstrap.apply(fresh, userpass_mount=people(fresh))
    call(fresh.token, "DELETE", f"sys/auth/{fresh.server.consumer_mount}")
    assert len(bootstrap.plan(fresh, userpass_mount=people(fresh))) > 1
    bootstrap.apply(fresh, userpass_mount=people(fresh))
    assert bootstrap.plan(fresh, userpass_mount=people(fresh)) == ()


def test_a_mount_of_another_kind_is_not_touched(fresh: Vault, call: Call) -> None:
    call(fresh.token, "POST", f"sys/mounts/{fresh.server.mount}", {"type": "transit"})
    with pytest.raises(VaultError, match="is not KV v2"):
        bootstrap.plan(fresh, userpass_mount=people(fresh))
    other = dataclasses.replace(fresh.server, mount=f"{fresh.server.mount}-b", consumer_mount="token")
    with pytest.raises(VaultError, match="is not approle"):
        bootstrap.apply(Vault(other, fresh.token), userpass_mount=people(fresh))


def test_an_administrator_that_exists_keeps_the_password(fresh: Vault) -> None:
    mount = people(fresh)
    bootstrap.apply(fresh, userpass_mount=mount)
    assert bootstrap.ensure_admin(fresh, "ada", "first-password", userpass_mount=mount)
    assert not bootstrap.ensure_admin(fresh, "ada", "second-password", userpass_mount=mount)
    login.sign_in(fresh.server, method="userpass", mount=mount, username="ada", password="first-password")
    with pytest.raises(SignInRefused):
        login.sign_in(fresh.server, method="userpass", mount=mount, username="ada", password="second-password")


@pytest.mark.parametrize("role", ["admin", "auditor", "index", "worker"])
def test_nobody_of_us_can_set_up(instance: Instance, role: str) -> None:
    vault: Vault = getattr(instance, role)
    with pytest.raises(Denied):
        bootstrap.apply(vault, userpass_mount=instance.userpass_mount)
    with pytest.raises(Denied):
        bootstrap.issue_service_credentials(vault, "worker")
    with pytest.raises(Denied):
        bootstrap.ensure_admin(vault, "eve", "password", userpass_mount=instance.userpass_mount)
