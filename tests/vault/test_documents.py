"""Versioned documents with compare-and-set and a public half, on a real OpenBao."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable

import pytest

from tests.conftest import Instance
from vault.documents import Documents
from vault.errors import Conflict, Denied, NotFound, VersionGone
from vault.session import Token, Vault

pytestmark = pytest.mark.live

PEM = "-----BEGIN CERTIFICATE-----\nMIIB/+==\n-----END CERTIFICATE-----\n"
numbers = itertools.count(1)


@pytest.fixture
def documents(instance: Instance) -> Documents:
    """As root: what the policies allow is tested elsewhere."""
    return instance.root.documents


@pytest.fixture
def path() -> str:
    """A document that does not exist yet."""
    return f"bundles/doc-{next(numbers)}"


def without_detailed_listing(instance: Instance) -> Documents:
    """As on a server that is known to lack OpenBao's listing."""
    server = dataclasses.replace(instance.server, detailed_listing=False)
    return Vault(server, instance.index.token).documents


def with_unknown_listing(instance: Instance) -> Documents:
    """As HashiCorp Vault answers: KV v2 there does not know the path, and says so as it says it of any other."""

    class Elsewhere(Documents):
        def _at(self, endpoint: str, path: str) -> str:
            return super()._at("no-such-endpoint" if endpoint == "detailed-metadata" else endpoint, path)

    return Elsewhere(instance.root.wire)


def with_refused_listing(instance: Instance) -> Documents:
    """As when the operator's policy was written for HashiCorp Vault: the path is refused."""
    mount = instance.server.mount
    policy = f'path "{mount}/metadata/*" {{ capabilities = ["read", "list"] }}'
    wire = instance.root.wire
    wire.call("PUT", f"sys/policies/acl/{mount}x-plain", "write a policy", body={"policy": policy})
    body = {"policies": [f"{mount}x-plain"], "no_default_policy": True, "ttl": "5m"}
    token = wire.call("POST", "auth/token/create", "make a token", body=body)["auth"]["client_token"]
    return Vault(instance.server, Token(token)).documents


def test_a_written_document_is_read_back_without_its_public_half(documents: Documents, path: str) -> None:
    version = documents.write(path, {"private_key": "K"}, expect_version=0, public={"certificate": PEM})
    document = documents.read(path)
    assert (version, document.version, document.data) == (1, 1, {"private_key": "K"})
    assert document.created_at.utcoffset() is not None


def test_the_public_half_is_read_back_exactly_and_an_empty_field_is_absent(documents: Documents, path: str) -> None:
    documents.write(path, {"private_key": "K"}, expect_version=0, public={"certificate": PEM, "ca": ""})
    half = documents.read_public(path)
    assert (half.values, half.version) == ({"certificate": PEM}, 1)


def test_each_version_has_its_own_public_half(documents: Documents, path: str) -> None:
    documents.write(path, {"private_key": "K"}, expect_version=0, public={"certificate": "one"})
    documents.write(path, {"private_key": "L"}, expect_version=1, public={"certificate": "two"})
    assert [documents.read_public(path, number).values["certificate"] for number in (1, 2)] == ["one", "two"]


def test_a_patch_changes_what_it_names_and_leaves_the_rest(documents: Documents, path: str) -> None:
    documents.write(path, {"private_key": "K", "certificate": "one", "ca": "A"}, expect_version=0, public={"ca": "A"})
    version = documents.patch(path, {"certificate": "two", "ca": None}, expect_version=1)
    assert (version, documents.read(path).data) == (2, {"private_key": "K", "certificate": "two"})


@pytest.mark.parametrize("told", [True, False], ids=["told the former names", "finding them out"])
@pytest.mark.parametrize(
    ("former", "new"),
    [
        ({"certificate": "one", "ca": "A"}, {"certificate": "two", "ca": "A"}),
        ({"certificate": "one", "ca": "A"}, {"certificate": "one"}),
        ({"certificate": "one"}, {"certificate": "two", "ca": "A"}),
        ({"certificate": "one"}, {"certificate": "one"}),
        ({}, {"certificate": PEM}),
    ],
)
def test_a_patch_replaces_the_public_half_as_a_whole(
    documents: Documents, path: str, former: dict[str, str], new: dict[str, str], told: bool
) -> None:
    documents.write(path, {"private_key": "K"}, expect_version=0, public=former)
    documents.patch(path, {"x": "y"}, expect_version=1, public=new, former_public=former if told else None)
    assert documents.read_public(path).values == new
    assert documents.read(path).data == {"private_key": "K", "x": "y"}


@pytest.mark.parametrize("field", ["write", "patch"])
def test_the_public_half_cannot_be_set_past_its_argument(documents: Documents, path: str, field: str) -> None:
    with pytest.raises(ValueError, match="public"):
        getattr(documents, field)(path, {"public": {}}, expect_version=0)


@pytest.mark.parametrize("expected", [0, 2, 7])
def test_a_write_that_expects_another_version_is_a_conflict_and_changes_nothing(
    documents: Documents, path: str, expected: int
) -> None:
    documents.write(path, {"a": "1"}, expect_version=0)
    with pytest.raises(Conflict) as caught:
        documents.write(path, {"a": "2"}, expect_version=expected)
    assert caught.value.expected_version == expected
    with pytest.raises(Conflict):
        documents.patch(path, {"a": "2"}, expect_version=expected + 2)
    assert documents.read(path).data == {"a": "1"}


def test_what_never_was_is_not_found(documents: Documents, path: str) -> None:
    reads: list[Callable[[str], object]] = [documents.read, documents.read_public, documents.metadata]
    for read in reads:
        with pytest.raises(NotFound):
            read(path)
    with pytest.raises(NotFound):
        documents.patch(path, {"a": "1"}, expect_version=0)
    documents.write(path, {"a": "1"}, expect_version=0)
    with pytest.raises(NotFound):
        documents.read_public(path, 7)


def test_a_deleted_version_is_gone_until_it_is_undeleted(documents: Documents, path: str) -> None:
    documents.write(path, {"a": "1"}, expect_version=0)
    documents.delete(path, 1)
    reads: list[Callable[[str], object]] = [documents.read, documents.read_public]
    for read in reads:
        with pytest.raises(VersionGone) as caught:
            read(path)
        assert (caught.value.version, caught.value.destroyed) == (1, False)
    current = documents.metadata(path).current
    assert current is not None
    assert current.deleted_at is not None
    documents.undelete(path, 1)
    assert documents.read(path).data == {"a": "1"}


def test_a_destroyed_document_leaves_nothing(documents: Documents, path: str) -> None:
    documents.write(path, {"a": "1"}, expect_version=0)
    documents.destroy(path)
    with pytest.raises(NotFound):
        documents.metadata(path)
    assert documents.write(path, {"a": "2"}, expect_version=0) == 1
    documents.destroy(path)
    documents.destroy(path)


def test_annotations_are_replaced_and_come_with_every_read(documents: Documents, path: str) -> None:
    documents.write(path, {"a": "1"}, expect_version=0, public={"certificate": "C"})
    documents.annotate(path, {"comment": "first", "display_name": "Ä"})
    documents.annotate(path, {"comment": "second"})
    expected = {"comment": "second"}
    assert documents.metadata(path).custom_metadata == expected
    assert documents.read(path).custom_metadata == expected
    assert documents.read_public(path).custom_metadata == expected


def test_a_folder_is_listed_and_an_empty_one_is_empty(instance: Instance) -> None:
    documents = instance.root.documents
    for name in ("b", "a", "c.d"):
        documents.write(f"relays/{name}", {"x": 1}, expect_version=0)
    assert documents.list("relays") == ("a", "b", "c.d")
    assert documents.list("providers") == ()
    assert documents.list_metadata("providers") == {}


@pytest.fixture(scope="module")
def jobs(instance: Instance) -> None:
    """Three annotated documents, one of them deleted."""
    root = instance.root.documents
    for number in range(3):
        root.write(f"jobs/j{number}", {"x": 1}, expect_version=0)
        root.annotate(f"jobs/j{number}", {"n": str(number)})
    root.delete("jobs/j1", 1)


@pytest.mark.usefixtures("jobs")
@pytest.mark.parametrize("make", [without_detailed_listing, with_unknown_listing, with_refused_listing])
def test_a_server_without_the_detailed_listing_gives_the_same_metadata(
    instance: Instance, make: Callable[[Instance], Documents]
) -> None:
    in_one_request = instance.index.documents.list_metadata("jobs")
    assert make(instance).list_metadata("jobs") == in_one_request
    assert set(in_one_request) == {"j0", "j1", "j2"}
    assert make(instance).list_metadata("staged") == {}


def test_the_detailed_listing_is_one_request(instance: Instance) -> None:
    requests: list[str] = []
    counting = Vault(instance.server, instance.index.token, before_request=lambda method, _: requests.append(method))
    counting.documents.list_metadata("jobs")
    assert requests == ["LIST"]


@pytest.mark.parametrize("path", ["", "bundles/", "bundles/../relays/a", "./a", "/a", "bundles//a"])
def test_a_path_that_would_turn_into_another_is_refused(documents: Documents, path: str) -> None:
    with pytest.raises(ValueError, match="not a path"):
        documents.read(path)


def test_a_name_with_signs_of_a_url_stays_one_name(documents: Documents) -> None:
    documents.write("relays/a?version=2#x%2f", {"x": 1}, expect_version=0)
    assert "a?version=2#x%2f" in documents.list("relays")
    documents.destroy("relays/a?version=2#x%2f")


def test_neither_a_document_nor_an_error_shows_a_secret(instance: Instance, path: str) -> None:
    documents = instance.root.documents
    documents.write(path, {"private_key": "canary"}, expect_version=0)
    assert "canary" not in repr(documents.read(path))
    with pytest.raises(Denied) as caught:
        instance.index.documents.write(path, {"private_key": "canary"}, expect_version=1)
    error: BaseException | None = caught.value
    while error is not None:
        assert "canary" not in f"{error!r} {vars(error)}"
        assert instance.index.token.reveal() not in f"{error!r} {vars(error)}"
        error = error.__context__
