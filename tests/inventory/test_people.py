"""Signing in and out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from service.errors import Malformed, NotAllowed, NotSignedIn, Unavailable
from service.inventory import People
from tests.conftest import Instance
from tests.inventory.conftest import now


@pytest.fixture
def people(instance: Instance) -> People:
    return People(instance.server, now, mounts={"userpass": instance.userpass_mount})


def test_an_administrator_and_an_auditor_sign_in(people: People, instance: Instance) -> None:
    admin = people.sign_in("userpass", instance.admin_username, instance.admin_password)
    assert (admin.roles, admin.may_change) == (("administrator",), True)
    assert instance.admin_username in admin.who
    assert admin.expires_at is not None
    assert admin.expires_at > now()
    assert instance.admin_password not in repr(admin)
    assert admin.token.reveal() not in repr(admin)
    auditor = people.sign_in("userpass", instance.auditor_username, instance.auditor_password)
    assert (auditor.roles, auditor.may_change) == (("auditor",), False)


@pytest.mark.parametrize(
    ("username", "password"),
    [("admin", "wrong"), ("nobody", "wrong"), ("", ""), ("../admin", "x"), ("admin", ""), ("a" * 2000, "x")],
)
def test_a_refused_sign_in_does_not_tell_which_part_was_wrong(people: People, username: str, password: str) -> None:
    with pytest.raises(NotSignedIn) as problem:
        people.sign_in("userpass", username, password)
    assert problem.value.code == "session.refused"
    assert problem.value.detail == "The name or the password is wrong, or the account is locked for now."
    assert problem.value.__cause__ is None
    assert problem.value.__context__ is None


def test_a_way_to_sign_in_that_is_not_there_is_refused(people: People) -> None:
    for method in ("oidc", "token", ""):
        with pytest.raises(Malformed):
            people.sign_in(method, "admin", "x")


def test_a_session_is_checked_and_ended(people: People, instance: Instance) -> None:
    session = people.sign_in("userpass", instance.admin_username, instance.admin_password)
    assert people.check(session.token.reveal()).who == session.who
    people.sign_out(session)
    people.sign_out(session)
    with pytest.raises(NotSignedIn) as problem:
        people.check(session.token.reveal())
    assert problem.value.code == "session.expired"


@pytest.mark.parametrize("token", ["", "x", "s.nothing", "a b", "é"])
def test_a_token_that_is_none_is_no_session(people: People, token: str) -> None:
    with pytest.raises(NotSignedIn):
        people.check(token)


def test_somebody_without_a_role_is_not_let_in(people: People, instance: Instance) -> None:
    with pytest.raises(NotAllowed) as problem:
        people.check(instance.index.token.reveal())
    assert problem.value.code == "session.no-role"
    assert instance.index.lookup_self()  # looking at a token does not end it


def test_a_way_to_sign_in_is_offered(people: People, instance: Instance) -> None:
    assert instance.userpass_mount in {method.mount for method in people.methods()}


def test_without_vault_nobody_can_sign_in_and_it_is_said(instance: Instance) -> None:
    people = People(replace(instance.server, url="https://127.0.0.1:1", timeout_s=0.5), now)
    with pytest.raises(Unavailable) as problem:
        people.sign_in("userpass", "admin", "x")
    assert problem.value.code == "vault.unreachable"
