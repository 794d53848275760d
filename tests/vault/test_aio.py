"""The asynchronous half gives the answers and the errors of the other, and is fast enough for the index."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator

import pytest

from tests.conftest import Instance
from vault import login
from vault.aio import AsyncVault
from vault.errors import Conflict, Denied, NotFound, SignInRefused, Unreachable, VersionGone
from vault.session import Token

pytestmark = pytest.mark.live


@pytest.fixture
async def vault(instance: Instance) -> AsyncIterator[AsyncVault]:
    async with AsyncVault(instance.server) as opened:
        yield opened


async def test_documents_are_the_same_by_both_ways(instance: Instance, vault: AsyncVault) -> None:
    token = instance.root.token
    version = await vault.write_document(
        token, "bundles/both", {"private_key": "K"}, expect_version=0, public={"certificate": "C"}
    )
    sync = instance.root.documents
    assert version == 1
    assert await vault.read_document(token, "bundles/both") == sync.read("bundles/both")
    assert await vault.read_public(token, "bundles/both") == sync.read_public("bundles/both")
    assert await vault.metadata(token, "bundles/both") == sync.metadata("bundles/both")


async def test_errors_are_the_same_by_both_ways(instance: Instance, vault: AsyncVault) -> None:
    root, index = instance.root.token, instance.index.token
    await vault.write_document(root, "bundles/errors", {"private_key": "K"}, expect_version=0)
    with pytest.raises(Conflict) as conflict:
        await vault.write_document(root, "bundles/errors", {}, expect_version=0)
    assert (conflict.value.path, conflict.value.expected_version) == ("bundles/errors", 0)
    with pytest.raises(Denied):
        await vault.read_document(index, "bundles/errors")
    with pytest.raises(NotFound):
        await vault.read_document(root, "bundles/none")
    with pytest.raises(Denied):
        await vault.lookup_self(Token("s.nonsense"))
    with pytest.raises(SignInRefused):
        await vault.login_approle("wrong", "wrong")
    with pytest.raises(ValueError, match="not a path"):
        await vault.read_document(root, "bundles/../relays/x")
    instance.root.documents.delete("bundles/errors", 1)
    with pytest.raises(VersionGone):
        await vault.read_document(root, "bundles/errors")
    assert (await vault.read_document(root, "bundles/both", version=1)).version == 1


async def test_a_consumer_logs_in_and_acts_as_itself(instance: Instance, vault: AsyncVault) -> None:
    instance.admin.documents.write("bundles/of-relay", {"private_key": "K"}, expect_version=0)
    instance.admin.consumers.ensure("relay-aio")
    instance.admin.consumers.bind("relay-aio", "of-relay")
    enrollment = instance.admin.consumers.enroll("relay-aio", 60)
    secret_id = login.unwrap_secret_id(instance.server, enrollment.wrapping_token)
    signed_in = await vault.login_approle(enrollment.role_id, secret_id)
    assert signed_in.entity_name == "relay-aio"
    assert (await vault.lookup_self(signed_in.token)).entity_name == "relay-aio"
    assert (await vault.renew_self(signed_in.token)).renewable
    assert (await vault.read_document(signed_in.token, "bundles/of-relay")).data == {"private_key": "K"}
    written = await vault.write_document(signed_in.token, "status/relay-aio", {"version": 1}, expect_version=0)
    assert written == 1


async def test_a_server_that_is_away_or_not_trusted_is_unreachable(instance: Instance) -> None:
    nowhere = dataclasses.replace(instance.server, url="https://127.0.0.1:9", timeout_s=1.0)
    stranger = dataclasses.replace(instance.server, ca_file=None)
    for server, reason in ((nowhere, "no connection"), (stranger, "not trusted")):
        async with AsyncVault(server) as vault:
            with pytest.raises(Unreachable, match=reason):
                await vault.lookup_self(Token("x"))


@pytest.fixture(scope="module")
def many(instance: Instance) -> list[str]:
    """Bundles to read, one of them deleted, and one that never was."""
    paths = [f"bundles/many-{number}" for number in range(600)]

    async def write() -> None:
        async with AsyncVault(instance.server) as vault:
            gate = asyncio.Semaphore(16)

            async def one(path: str) -> None:
                async with gate:
                    pem = f"-----BEGIN-----{path}{'M' * 2000}"
                    await vault.write_document(
                        instance.root.token, path, {"private_key": "K"}, expect_version=0, public={"certificate": pem}
                    )

            await asyncio.gather(*(one(path) for path in paths))

    asyncio.run(write())
    instance.root.documents.delete(paths[0], 1)
    return [*paths, "bundles/many-never"]


async def test_many_public_halves_are_read_and_the_missing_left_out(
    instance: Instance, vault: AsyncVault, many: list[str]
) -> None:
    found = {half.path async for half in vault.read_public_many(instance.index.token, many)}
    assert found == set(many[1:-1])
    listed = {metadata.path async for metadata in vault.metadata_many(instance.index.token, many)}
    assert listed == set(many[:-1])


async def test_a_thousand_public_halves_are_read_in_a_second(
    instance: Instance, vault: AsyncVault, many: list[str]
) -> None:
    """The best of three rounds: the machine has other work."""
    rates = []
    for _ in range(3):
        began = time.monotonic()
        count = len([half async for half in vault.read_public_many(instance.index.token, many)])
        rates.append(count / (time.monotonic() - began))
    assert max(rates) > 1000, rates


async def test_reading_many_ends_at_the_first_refusal(vault: AsyncVault, many: list[str]) -> None:
    with pytest.raises(Denied):
        _ = [half async for half in vault.read_public_many(Token("s.nonsense"), many)]


async def test_reading_many_can_be_left_early(instance: Instance, vault: AsyncVault, many: list[str]) -> None:
    reading = vault.read_public_many(instance.index.token, many)
    first = await anext(reading)
    await reading.aclose()
    assert first.values


async def test_a_crash_before_a_request_leaves_it_unsent(instance: Instance) -> None:
    class Crash(Exception):
        pass

    def crash(_method: str, _path: str) -> None:
        raise Crash

    async with AsyncVault(instance.server, before_request=crash) as vault:
        with pytest.raises(Crash):
            await vault.write_document(instance.root.token, "bundles/crash", {}, expect_version=0)
    assert "crash" not in instance.root.documents.list("bundles")
