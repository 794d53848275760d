"""`PUT /v1/status`: what a consumer has installed, written as the consumer, to its own document and no other."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from service.delivery.binding import binding_of
from service.delivery.exchange import as_token
from service.errors import Malformed, NotAllowed, Unavailable
from service.index import Index
from service.records import MAX_STATUS_DETAIL_CHARACTERS, is_name, status_path
from vault.aio import AsyncVault
from vault.errors import Conflict, Denied, NotFound

MAX_TRIES = 4
"""Two agents of one consumer may report at once; more than a few collisions in a row is something else."""
MAX_COUNT = 2**31 - 1


class Report(Struct, frozen=True):
    """The body of a report. `certificate_name` may be left out: what the consumer is bound to is meant then."""

    version: Annotated[int, Meta(ge=0, le=MAX_COUNT)]
    state: Literal["installed", "serving", "failed"]
    fingerprint_sha256: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{64})?$")] = ""
    certificate_name: Annotated[str, Meta(max_length=63)] = ""
    detail: Annotated[str, Meta(max_length=MAX_STATUS_DETAIL_CHARACTERS)] | None = None
    sessions: Annotated[int, Meta(ge=0, le=MAX_COUNT)] | None = None


async def record_status(vault: AsyncVault, index: Index, token: bytes, consumer: str, report: Report) -> None:
    """Store a consumer's report.

    Raises:
        Malformed: it holds what no report may.
        NotAllowed: Vault does not let this token report: it was revoked, or never bound.
        Unavailable: too many at once.
    """
    name = report.certificate_name
    if name and not is_name(name):
        raise Malformed("certificate_name is not the name of a certificate")
    detail = _one_line(report.detail or "")
    if "-----BEGIN" in detail:
        raise Malformed("the detail holds a PEM block; it was not stored")
    snapshot = index.snapshot()
    if not name:
        binding = binding_of(snapshot, consumer)
        name = (binding.certificate if binding else None) or ""
    data = {
        "certificate": name,
        "version": report.version,
        "fingerprint_sha256": report.fingerprint_sha256.lower(),
        "state": report.state,
        "detail": detail,
        "sessions": report.sessions,
    }
    known = snapshot.statuses.get(consumer)
    expect_version = known.version if known else 0
    path, vault_token = status_path(consumer), as_token(token)
    denied = False
    for _ in range(MAX_TRIES):
        try:
            await vault.write_document(vault_token, path, data, expect_version=expect_version)
        except Conflict:
            pass
        except Denied:
            denied = True
            break
        else:
            return
        try:
            expect_version = (await vault.read_document(vault_token, path)).version
        except NotFound:
            expect_version = 0
    if denied:
        raise NotAllowed(f"Vault does not let {consumer} report: was it revoked, or never bound?", code="status.denied")
    raise Unavailable("several reports of this consumer came at once: try again", code="status.busy")


def _one_line(text: str) -> str:
    """The text without control characters: it is shown in pages and terminals."""
    return "".join(character if character.isprintable() else " " for character in text).strip()
