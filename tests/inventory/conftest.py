"""Two administrators at one desk each, material to paste, and a look at what consumers can really read."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from service.index import Index
from service.inventory import Inventory
from tests.conftest import Instance
from vault import login
from vault.errors import Denied, NotFound, SignInRefused
from vault.session import Token, Vault
from vault.wire import BeforeRequest

_numbers = itertools.count(1)


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def name() -> str:
    """A name that no other test uses: the instance is shared by a module."""
    return f"t{next(_numbers)}"


@dataclass(frozen=True, slots=True)
class Desk:
    """One process: an index of its own, and one person's hands."""

    instance: Instance
    index: Index
    inventory: Inventory


def make_desk(
    instance: Instance, *, vault: Vault | None = None, before_request: BeforeRequest | None = None, who: str = "ada"
) -> Desk:
    person = vault or Vault(instance.server, instance.admin.token, before_request=before_request)
    index = Index(lambda: instance.index, now)
    index.rescan()
    return Desk(instance, index, Inventory(person, index, who, now))


@pytest.fixture
def desk(instance: Instance) -> Desk:
    return make_desk(instance)


@pytest.fixture
def inventory(desk: Desk) -> Inventory:
    return desk.inventory


def log_in_as(instance: Instance, consumer: str) -> Vault:
    """A token of a consumer, by an enrolment of its own. Raises NotFound when there is no such consumer."""
    enrollment = instance.admin.consumers.enroll(consumer, 300)
    secret_id = login.unwrap_secret_id(instance.server, enrollment.wrapping_token)
    signed_in = login.service_login(
        instance.server, enrollment.role_id, secret_id, mount=instance.server.consumer_mount
    )
    return Vault(instance.server, Token(signed_in.token.reveal()))


def can_read(vault: Vault, certificate: str) -> bool:
    """Whether a token can read a bundle, now."""
    try:
        vault.documents.read(f"bundles/{certificate}")
    except NotFound:
        return True  # allowed to look, and nothing there
    except (Denied, SignInRefused):
        return False
    return True
