"""Versioned documents with compare-and-set and a public half, on a real OpenBao."""

from __future__ import annotations

import pytest

from tests.conftest import Instance
from vault.errors import Conflict

pytestmark = pytest.mark.live


def test_a_written_document_is_read_back_without_its_public_half(instance: Instance) -> None:
    documents = instance.root.documents
    version = documents.write("bundles/one", {"private_key": "K"}, expect_version=0, public={"certificate": "C"})
    document = documents.read("bundles/one")
    assert (version, document.version, document.data) == (1, 1, {"private_key": "K"})


def test_a_second_writer_of_the_same_version_gets_a_conflict(instance: Instance) -> None:
    instance.admin.documents.write("relays/eu", {"host": "a"}, expect_version=0)
    with pytest.raises(Conflict):
        instance.admin.documents.write("relays/eu", {"host": "b"}, expect_version=0)
