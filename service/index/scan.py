"""Reading many documents: what the index asks of Vault, and how what it got becomes views.

A handful is read one after the other; thousands are read concurrently, over a connection pool of their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

import uvloop

from service.index.views import CertificateView, view_of
from service.pki.facts import BundleFacts, Unreadable, read_facts
from service.records import Annotations, bundle_path
from vault.aio import AsyncVault
from vault.documents import Document, Metadata, PublicHalf
from vault.errors import NotFound, Rejected
from vault.session import Vault

FEW: Final = 16
"""Up to so many documents a single connection is quicker than opening others."""
CONCURRENCY: Final = 24
CHANGED_BY: Final = "changed_by"
"""The field of the public half that says who wrote the version."""
CA_OVERLAP: Final = "ca_overlap"
"""The field of the public half that says which authorities of the CA are kept until when (`2027-01-31 <sha256> …`)."""
T = TypeVar("T")
Half = PublicHalf | str
"""A public half, or why it cannot be read."""


@dataclass(frozen=True, slots=True)
class Content:
    """What one version of a bundle says in public. Never changes. `problem` is empty when `facts` are there."""

    facts: BundleFacts | None
    certificate: str
    ca: str
    changed_by: str
    problem: str
    ca_overlap: str = ""


def content_of(half: Half) -> Content:
    """The content of a version's public half. One that was written by hand, or broken, has a problem."""
    if isinstance(half, str):
        return Content(None, "", "", "", half)
    certificate, ca = half.values.get("certificate", ""), half.values.get("ca", "")
    changed_by = half.values.get(CHANGED_BY, "")
    if not certificate:
        problem = "It has no public half: it was not written by Keystead. Rotate it here to put that right."
        return Content(None, "", "", changed_by, problem)
    try:
        facts = read_facts(certificate, ca)
        facts.not_after  # noqa: B018 - a chain of no certificate has none
    except (Unreadable, ValueError, IndexError):
        problem = "The certificate that stands in its public half cannot be read. Rotate it here to put that right."
        return Content(None, "", "", changed_by, problem)
    return Content(facts, certificate, ca, changed_by, "", half.values.get(CA_OVERLAP, ""))


def deleted(metadata: Metadata, now: datetime) -> bool:
    """Whether the current version is deleted or destroyed."""
    current = metadata.current
    return current is None or current.destroyed or (current.deleted_at is not None and current.deleted_at <= now)


def certificate_view(name: str, metadata: Metadata, content: Content | None) -> CertificateView:
    """The view of a certificate; without content it is deleted."""
    current = metadata.current
    said = Annotations.from_custom_metadata(metadata.custom_metadata)
    destroyed = current is not None and current.destroyed
    return view_of(
        name=name,
        annotations=said,
        version=metadata.current_version,
        facts=content.facts if content else None,
        certificate=content.certificate if content else "",
        ca=content.ca if content else "",
        changed_by=content.changed_by if content else "",
        ca_overlap=content.ca_overlap if content else "",
        created_at=metadata.created_at,
        updated_at=current.created_at if current else metadata.updated_at,
        deleted=content is None,
        problem=content.problem if content else "Its current version was destroyed." if destroyed else "",
    )


def read_contents(vault: Vault, names: Sequence[str]) -> Mapping[str, tuple[int | None, Content]]:
    """The contents of the current versions, by certificate, with their numbers; those that are gone are left out.

    The number is None when Vault's answer cannot be understood. Each content is worked out as soon as it is there:
    Vault is busy with the next ones meanwhile.
    """

    async def read(pool: AsyncVault, name: str) -> tuple[int | None, Content]:
        try:
            half = await pool.read_public(vault.token, bundle_path(name))
        except Rejected as error:
            return None, content_of(unreadable(error))
        return half.version, content_of(half)

    def read_one(name: str) -> tuple[int | None, Content]:
        try:
            half = vault.documents.read_public(bundle_path(name))
        except Rejected as error:
            return None, content_of(unreadable(error))
        return half.version, content_of(half)

    return _read_all(vault, names, read_one, read)


def list_metadata(vault: Vault, folder: str) -> Mapping[str, Metadata]:
    """The metadata of every document in a folder: one request on OpenBao, many concurrent ones on HashiCorp Vault."""
    detailed = vault.documents.list_detailed(folder)
    if detailed is not None:
        return detailed
    names = [name for name in vault.documents.list(folder) if not name.endswith("/")]

    async def read(pool: AsyncVault, name: str) -> Metadata:
        return await pool.metadata(vault.token, f"{folder}/{name}")

    return _read_all(vault, names, lambda name: vault.documents.metadata(f"{folder}/{name}"), read)


def read_documents(vault: Vault, paths: Sequence[str]) -> Mapping[str, Document]:
    """The current versions of documents, by path; those that are gone are left out."""

    async def read(pool: AsyncVault, path: str) -> Document:
        return await pool.read_document(vault.token, path)

    return _read_all(vault, paths, vault.documents.read, read)


def unreadable(error: Rejected) -> str:
    """Why a public half cannot be read."""
    return f"Its public half cannot be read: {error.reason}. Rotate it here to put that right."


def _read_all(
    vault: Vault,
    keys: Sequence[str],
    one: Callable[[str], T],
    concurrently: Callable[[AsyncVault, str], Awaitable[T]],
) -> dict[str, T]:
    if len(keys) > FEW:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_gather(vault, keys, concurrently))
    found: dict[str, T] = {}
    for key in keys:
        try:
            found[key] = one(key)
        except NotFound:
            continue
    return found


async def _gather(vault: Vault, keys: Iterable[str], read: Callable[[AsyncVault, str], Awaitable[T]]) -> dict[str, T]:
    """Read `CONCURRENCY` at a time; the first error ends it all."""
    found: dict[str, T] = {}
    pending = iter(keys)

    async def work(pool: AsyncVault) -> None:
        for key in pending:
            try:
                found[key] = await read(pool, key)
            except NotFound:
                continue

    async with AsyncVault(vault.server) as pool:
        workers = [asyncio.create_task(work(pool)) for _ in range(CONCURRENCY)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
    return found
