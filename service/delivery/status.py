"""How far each consumer is: told, fetched, and what it reports (`PUT /v1/status`).

All of it stands in the consumer's own status, written as the consumer, and by its token alone. What this process itself
saw (told, fetched) goes into the write of the report that follows; where none does within a few seconds, it is written
without one. So a rotation costs one write for each consumer, and none more for those who poll.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

from service.delivery.binding import binding_of
from service.delivery.exchange import as_token
from service.errors import Malformed, NotAllowed, Problem, Unavailable
from service.index import Index
from service.records import MAX_SESSION_VERSIONS, MAX_STATUS_DETAIL_CHARACTERS, Status, Step, is_name, status_path
from vault.aio import AsyncVault
from vault.errors import Conflict, Denied, NotFound, VaultError
from vault.session import Token

_log = logging.getLogger("keystead.delivery")

MAX_TRIES: Final = 4
"""Two agents of one consumer may report at once; more than a few collisions in a row is something else."""
MAX_COUNT: Final = 2**31 - 1
QUIET_S: Final = 3.0
"""How long a fetch may be followed by no report before it is written without one."""
MAX_KNOWN: Final = 20_000
"""Consumers of which something is remembered; some 2 kB each."""
WRITES_AT_ONCE: Final = 8

_LONG: Final = re.compile(r"[A-Za-z0-9+/=]{40,}")
_Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]


class Report(Struct, frozen=True):
    """The body of a report. `certificate_name` may be left out: what the consumer is bound to is meant then."""

    version: _Count
    state: Literal["installed", "serving", "failed"]
    fingerprint_sha256: Annotated[str, Meta(pattern=r"^([0-9a-fA-F]{64})?$")] = ""
    certificate_name: Annotated[str, Meta(max_length=63)] = ""
    detail: Annotated[str, Meta(max_length=MAX_STATUS_DETAIL_CHARACTERS)] | None = None
    sessions: _Count | None = None
    sessions_by_version: Annotated[
        dict[Annotated[str, Meta(pattern=r"^[0-9]{1,10}$")], _Count], Meta(max_length=MAX_SESSION_VERSIONS)
    ] = {}


@dataclass(slots=True)
class _Progress:
    """What is remembered of one consumer. `stored` is its status as last written or read here."""

    told: Step | None = None
    fetched: Step | None = None
    stored: Status | None = None
    waiting: asyncio.Task[None] | None = None


class Reports:
    """Notes how far consumers are, and stores it. For one event loop."""

    def __init__(
        self, vault: AsyncVault, index: Index, clock: Callable[[], datetime], *, quiet_s: float = QUIET_S
    ) -> None:
        self._vault = vault
        self._index = index
        self._clock = clock
        self._quiet_s = quiet_s
        self._known: OrderedDict[str, _Progress] = OrderedDict()
        self._turns = asyncio.Semaphore(WRITES_AT_ONCE)

    def told(self, consumer: str, certificate: str, version: int) -> None:
        """A consumer that waited was woken because of a version."""
        self._of(consumer).told = Step(certificate, version, self._clock())

    def fetched(self, token: bytes, consumer: str, certificate: str, version: int) -> None:
        """A consumer is being given a version. Told again of the same version, nothing is new."""
        progress = self._of(consumer)
        if _is_of(progress.fetched, certificate, version):
            return
        progress.fetched = Step(certificate, version, self._clock())
        if not _is_of(progress.told, certificate, version):
            progress.told = progress.fetched
        if progress.waiting is None or progress.waiting.done():
            progress.waiting = asyncio.create_task(self._store_without_report(token, consumer, progress))

    async def record(self, token: bytes, consumer: str, report: Report) -> None:
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
        if not name:
            binding = binding_of(self._index.snapshot(), consumer)
            name = (binding.certificate if binding else None) or ""
        progress = self._of(consumer)
        if progress.waiting is not None:
            progress.waiting.cancel()
        now = self._clock()

        def merged(before: Status | None) -> Status:
            done = report.state != "failed"
            step = Step(name, report.version, now) if done else None
            installed = before.installed if before else None
            return Status(
                consumer=consumer,
                certificate=name,
                certificate_version=report.version,
                fingerprint_sha256=report.fingerprint_sha256.lower(),
                state=report.state,
                detail=detail,
                sessions=report.sessions,
                sessions_by_version={int(key): count for key, count in report.sessions_by_version.items()},
                told=_newer(progress.told, before.told if before else None),
                fetched=_newer(progress.fetched, before.fetched if before else None),
                installed=installed if step is None or _is_of(installed, name, report.version) else step,
                at=now,
            )

        await self._store(token, consumer, progress, merged)

    async def close(self) -> None:
        """Write nothing more."""
        tasks = [one.waiting for one in self._known.values() if one.waiting is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _of(self, consumer: str) -> _Progress:
        progress = self._known.setdefault(consumer, _Progress())
        self._known.move_to_end(consumer)
        if len(self._known) > MAX_KNOWN:
            _, oldest = self._known.popitem(last=False)
            if oldest.waiting is not None:
                oldest.waiting.cancel()
        return progress

    async def _store_without_report(self, token: bytes, consumer: str, progress: _Progress) -> None:
        await asyncio.sleep(self._quiet_s)

        def merged(before: Status | None) -> Status:
            if before is None:
                name = progress.fetched.certificate if progress.fetched else ""
                before = Status(consumer, name, 0, "", "fetched", "", None, self._clock())
            told, fetched = _newer(progress.told, before.told), _newer(progress.fetched, before.fetched)
            return replace(before, told=told, fetched=fetched)

        try:
            async with self._turns:
                await self._store(token, consumer, progress, merged)
        except (Problem, VaultError) as error:
            _log.info("that %s has fetched is not stored: %s", consumer, type(error).__name__)

    async def _store(
        self, token: bytes, consumer: str, progress: _Progress, merged: Callable[[Status | None], Status]
    ) -> None:
        path, vault_token = status_path(consumer), as_token(token)
        before = progress.stored or self._index.snapshot().statuses.get(consumer)
        denied = False
        for _ in range(MAX_TRIES):
            status = merged(before)
            if before is not None and before.to_data() == status.to_data():
                return
            expected = before.version if before else 0
            try:
                version = await self._vault.write_document(vault_token, path, status.to_data(), expect_version=expected)
            except Conflict:
                before = await self._read(vault_token, consumer)
            except Denied:
                denied = True
                break
            else:
                progress.stored = replace(status, version=version)
                return
        if denied:
            message = f"Vault does not let {consumer} report: was it revoked, or never bound?"
            raise NotAllowed(message, code="status.denied")
        raise Unavailable("several reports of this consumer came at once: try again", code="status.busy")

    async def _read(self, token: Token, consumer: str) -> Status | None:
        try:
            document = await self._vault.read_document(token, status_path(consumer))
        except NotFound:
            return None
        try:
            return Status.from_data(consumer, document.data, document.version, document.created_at)
        except ValueError:  # written by hand: it is replaced
            empty = Status(consumer, "", 0, "", "fetched", "", None, document.created_at)
            return replace(empty, version=document.version)


def _is_of(step: Step | None, certificate: str, version: int) -> bool:
    return step is not None and (step.certificate, step.version) == (certificate, version)


def _newer(one: Step | None, other: Step | None) -> Step | None:
    """The later of two; the earlier when both are of the same version."""
    if one is None or other is None:
        return one or other
    if _is_of(one, other.certificate, other.version):
        return min(one, other, key=lambda step: step.at)
    return max(one, other, key=lambda step: step.at)


def _one_line(text: str) -> str:
    """The text without control characters, and without anything that could be a line of a key: pages show it."""
    return "".join(character if character.isprintable() else " " for character in _LONG.sub("…", text)).strip()
