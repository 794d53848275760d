"""A service's sign-in, kept alive."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.conftest import Instance
from vault.errors import SignInRefused
from vault.service_session import ServiceSession
from vault.session import Token


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def session_of(instance: Instance, clock: Clock) -> ServiceSession:
    role_id, secret_id = instance.service_credentials["index"]
    return ServiceSession(instance.server, role_id, Token(secret_id), clock=clock)


def test_one_sign_in_serves_many_uses(instance: Instance):
    session = session_of(instance, Clock())
    assert session.vault() is session.vault()
    assert session.vault().lookup_self().entity_name == "index"


def test_the_token_is_renewed_at_half_its_lifetime(instance: Instance):
    clock = Clock()
    session = session_of(instance, clock)
    vault = session.vault()
    clock.now += timedelta(days=40)
    assert session.vault() is vault
    assert vault.lookup_self().expires_at is not None


def test_a_token_that_can_no_longer_be_renewed_is_replaced(instance: Instance):
    clock = Clock()
    session = session_of(instance, clock)
    first = session.vault()
    first.revoke_self()
    clock.now += timedelta(days=40)
    second = session.vault()
    assert second is not first
    assert second.lookup_self().entity_name == "index"


def test_after_a_refusal_the_next_use_signs_in_anew(instance: Instance):
    session = session_of(instance, Clock())
    first = session.vault()
    first.revoke_self()
    session.forget()
    assert session.vault().lookup_self().entity_name == "index"


def test_a_wrong_secret_id_is_refused_without_being_shown(instance: Instance):
    role_id, _ = instance.service_credentials["index"]
    session = ServiceSession(instance.server, role_id, Token("canary-secret-id"))
    with pytest.raises(SignInRefused) as caught:
        session.vault()
    assert "canary" not in repr(caught.value) + repr(vars(session))
