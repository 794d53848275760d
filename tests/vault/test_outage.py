"""Vault sealed, gone and back again: each is told apart, and the same objects work on afterwards."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Bao, Instance, make_instance
from vault.aio import AsyncVault
from vault.errors import Sealed, Unreachable
from vault.session import health

pytestmark = pytest.mark.live


@pytest.fixture(scope="module")
def own() -> Iterator[Instance]:
    """A server of its own: the others' must not go away."""
    home = Path(tempfile.mkdtemp(prefix="keystead-bao-"))
    server = Bao(home)
    try:
        server.start()
        yield make_instance(server)
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


async def test_a_vault_that_is_killed_and_comes_back_kept_every_write(own: Instance) -> None:
    own.admin.documents.write("relays/eu", {"host": "a"}, expect_version=0)
    async with AsyncVault(own.server) as vault:
        assert (await vault.read_document(own.index.token, "relays/eu")).version == 1
        own.bao.stop()
        with pytest.raises(Unreachable):
            own.admin.documents.read("relays/eu")
        with pytest.raises(Unreachable):
            await vault.read_document(own.index.token, "relays/eu")
        own.bao.start()
        assert own.admin.documents.read("relays/eu").data == {"host": "a"}
        assert (await vault.read_document(own.index.token, "relays/eu")).version == 1


async def test_a_sealed_vault_says_so_and_stores_nothing(own: Instance) -> None:
    own.root.wire.call("POST", "sys/seal", "seal", body={})
    with pytest.raises(Sealed):
        own.admin.documents.write("relays/us", {"host": "b"}, expect_version=0)
    async with AsyncVault(own.server) as vault:
        with pytest.raises(Sealed):
            await vault.lookup_self(own.index.token)
    assert health(own.server).sealed
    own.bao.stop()
    own.bao.start()
    assert own.index.documents.list("relays") == ("eu",)
