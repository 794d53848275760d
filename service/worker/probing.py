"""What each enabled relay serves, seen from outside: a handshake after each change, and now and then without one.

One task for each relay, a bounded number of handshakes at a time. What changed is written as the relay's probe, so a
relay that is looked at every minute costs Vault nothing.
"""

from __future__ import annotations

import asyncio
import logging
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from service.endpoint.diagnosis import SHOWS_NOTHING, Wanted, diagnose, shown_version, subjects
from service.endpoint.handshake import Seen, look
from service.errors import Problem
from service.index import Index, Snapshot
from service.pki.facts import BundleFacts
from service.pki.finding import Finding, Severity
from service.records import MAX_STATUS_DETAIL_CHARACTERS, Probe, Relay, Step, probe_path
from vault.aio import AsyncVault
from vault.errors import Conflict, Denied, NotFound, VaultError
from vault.session import Token, Vault

_log = logging.getLogger(__name__)

AT_ONCE: Final = 32
"""Handshakes under way with relays that answer."""
SILENT_AT_ONCE: Final = 16
"""The same with those that showed nothing the last time: each takes seconds, and none of the others waits for them."""
STEADY_S: Final = 60.0
"""Between looks at a relay that serves what it should."""
FIRST_PAUSE_S: Final = 0.05
"""Between looks at a relay that has just been given something new."""
QUICK_S: Final = 1.0
"""How long it is looked at so often; then less and less."""
GROWTH: Final = 1.5
LONGEST_PAUSE_S: Final = 30.0
SETTLING_S: Final = 2.0
"""A relay that does not serve a new version yet is written down as such after this time."""
FORMER_VERSIONS: Final = 5
"""How many earlier versions a strange leaf is compared with."""
MOST_PER_S: Final = 100.0
"""Looks at steady relays: with more than that many times `STEADY_S` each is looked at less often."""


@dataclass(frozen=True, slots=True)
class Target:
    """A relay, and what it should serve. A new one of these begins a new series of looks."""

    consumer: str
    host: str
    port: int
    mtls: bool
    certificate: str
    version: int
    fingerprint_sha256: str
    facts: BundleFacts = field(compare=False, repr=False)
    authorities: frozenset[bytes] = frozenset()

    def wanted(self, versions: Mapping[str, int]) -> Wanted:
        """What the endpoint should show."""
        return Wanted(
            host=self.host,
            mtls=self.mtls,
            certificate=self.certificate,
            version=self.version,
            facts=self.facts,
            versions=versions,
            authorities=self.authorities,
        )


@dataclass(slots=True)
class _Series:
    target: Target
    task: asyncio.Task[None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Look:
    """What the last look at a relay came to: the version it serves as it should, else 0; what was found; silence."""

    version: int
    said: str
    silent: bool


NO_LOOK: Final = _Look(0, "", silent=False)


def targets_of(index: Index, snapshot: Snapshot) -> dict[str, Target]:
    """The relays that are to be looked at: enabled, and bound to a certificate that can be served."""
    found: dict[str, Target] = {}
    for relay in snapshot.relays.values():
        target = target_of(index, snapshot, relay)
        if target is not None and relay.enabled:
            found[relay.consumer] = target
    return found


def target_of(index: Index, snapshot: Snapshot, relay: Relay) -> Target | None:
    """What a relay should serve; None when nothing. While another one tries the newest version, the one before."""
    view = snapshot.certificates.get(relay.certificate or "")
    if view is None or view.facts is None:
        return None
    version, facts, ca = view.version, view.facts, view.ca
    held_at = snapshot.held_at(relay.consumer)
    if held_at is not None:
        try:
            before = index.version(view.name, held_at)
        except Problem:
            return None
        if before.facts is None:
            return None
        version, facts, ca = held_at, before.facts, before.ca
    return Target(
        consumer=relay.consumer,
        host=relay.host,
        port=relay.port,
        mtls=relay.tls_mode == "mtls",
        certificate=view.name,
        version=version,
        fingerprint_sha256=facts.leaf.fingerprint_sha256,
        facts=facts,
        authorities=subjects(ca) if relay.tls_mode == "mtls" else frozenset(),
    )


def former_versions(index: Index, certificate: str, version: int) -> dict[str, int]:
    """The last versions before one, by the fingerprint of their leaf. Each is read from Vault once."""
    found: dict[str, int] = {}
    for number in range(version - 1, max(0, version - 1 - FORMER_VERSIONS), -1):
        try:
            facts = index.version(certificate, number).facts
        except Problem:
            continue
        if facts is not None:
            found.setdefault(facts.leaf.fingerprint_sha256, number)
    return found


class Prober:
    """Looks, and writes what changed.

    Args:
        index: somebody else keeps it following the journal.
        reader: gives a `Vault` signed in as the worker; called in a thread.
        connect: makes connections to Vault, inside the loop.
        forget: told that the token was refused.
        clock: aware UTC now.
        handshake: how one look is done.
    """

    def __init__(
        self,
        index: Index,
        reader: Callable[[], Vault],
        connect: Callable[[], AsyncVault],
        forget: Callable[[], None],
        *,
        clock: Callable[[], datetime],
        handshake: Callable[[str, int], Awaitable[Seen]] = look,
    ) -> None:
        self._index = index
        self._reader = reader
        self._connect = connect
        self._forget = forget
        self._clock = clock
        self._look = handshake
        self._series: dict[str, _Series] = {}
        self._written: dict[str, Probe] = {}
        self._versions: dict[str, dict[str, int]] = {}
        self._last: dict[str, _Look] = {}

    def is_serving(self, consumer: str, version: int) -> bool:
        """Whether a relay was last seen serving exactly this version, as it should be. From any thread."""
        return self._last.get(consumer, NO_LOOK).version == version

    def last_word(self, consumer: str) -> str:
        """What was last found of a relay, in a sentence; empty before the first look."""
        return self._last.get(consumer, NO_LOOK).said

    def _was_silent(self, consumer: str) -> bool:
        return self._last.get(consumer, NO_LOOK).silent

    def run(self, stop: threading.Event) -> None:
        """Look until `stop` is set. In a thread of its own."""
        asyncio.run(self._run(stop))

    async def _run(self, stop: threading.Event) -> None:
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        end_listening = self._index.on_change(lambda _: loop.call_soon_threadsafe(changed.set))
        self._turns, self._silent_turns = asyncio.Semaphore(AT_ONCE), asyncio.Semaphore(SILENT_AT_ONCE)
        try:
            async with self._connect() as vault:
                changed.set()
                while not stop.is_set():
                    try:
                        async with asyncio.timeout(0.5):  # `stop` is a thread's event: looked at, not waited for
                            await changed.wait()
                    except TimeoutError:
                        continue
                    changed.clear()
                    if self._index.ready:
                        self._plan(vault, self._index.snapshot())
        finally:
            end_listening()
            await self._end([series.task for series in self._series.values()])

    def _plan(self, vault: AsyncVault, snapshot: Snapshot) -> None:
        """Begin a series for each target that is new or another than before, and end those that are no more."""
        wanted = targets_of(self._index, snapshot)
        for consumer in [one for one, series in self._series.items() if wanted.get(one) != series.target]:
            self._series.pop(consumer).task.cancel()
        for consumer, target in wanted.items():
            self._versions.setdefault(target.certificate, {})[target.fingerprint_sha256] = target.version
            if consumer not in self._series:
                self._series[consumer] = _Series(target, asyncio.create_task(self._follow(vault, target)))

    async def _end(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self, vault: AsyncVault, target: Target) -> None:
        """Look at one relay again and again."""
        began, pause_s, silent = time.monotonic(), FIRST_PAUSE_S, self._was_silent(target.consumer)
        while True:
            good = False
            try:
                async with self._silent_turns if silent else self._turns:
                    good = await self._look_once(vault, target, settled=time.monotonic() - began > SETTLING_S)
            except (VaultError, Problem) as error:
                _log.info("what %s serves is not written down: %s", target.consumer, type(error).__name__)
            except Exception as error:  # noqa: BLE001 - one relay's strangeness must not end the looks at it
                _log.warning("the look at %s failed: %s", target.consumer, type(error).__name__)
            silent = self._was_silent(target.consumer)
            if good:
                wait_s, pause_s = max(STEADY_S, len(self._series) / MOST_PER_S), FIRST_PAUSE_S
                began = float("-inf")
            else:
                wait_s = max(pause_s, len(self._series) / MOST_PER_S / 10)
                if time.monotonic() - began > QUICK_S:
                    pause_s = min(pause_s * GROWTH, LONGEST_PAUSE_S)
            await asyncio.sleep(wait_s * random.uniform(0.8, 1.2))  # noqa: S311 - spreads load, keeps no secret

    async def _look_once(self, vault: AsyncVault, target: Target, *, settled: bool) -> bool:
        """One look; whether all is as it should be."""
        seen = await self._look(target.host, target.port)
        wanted = await self._wanted(target, seen)
        findings = diagnose(seen, wanted, self._clock())
        worst = findings[0]
        good = worst.severity is not Severity.ERROR
        nothing = worst.code in SHOWS_NOTHING
        self._last[target.consumer] = _Look(target.version if good else 0, worst.message, silent=nothing)
        if good or settled:
            await self._write(vault, target, seen, wanted, worst)
        return good

    async def _wanted(self, target: Target, seen: Seen) -> Wanted:
        known = self._versions.setdefault(target.certificate, {})
        if seen.fingerprint_sha256 and seen.fingerprint_sha256 not in known:
            known |= await asyncio.to_thread(former_versions, self._index, target.certificate, target.version)
        return target.wanted(dict(known))

    async def _write(self, vault: AsyncVault, target: Target, seen: Seen, wanted: Wanted, worst: Finding) -> None:
        """Write the probe, when it is another than the one that is stored."""
        if target.consumer not in self._written:
            await self._read(vault, await asyncio.to_thread(self._token), target.consumer)
        before = self._written[target.consumer]
        now, version = self._clock(), shown_version(seen, wanted)
        probe = Probe(
            consumer=target.consumer,
            certificate=target.certificate,
            certificate_version=version,
            fingerprint_sha256=seen.fingerprint_sha256,
            code=worst.code if worst.severity is Severity.ERROR else "",
            detail=worst.message[:MAX_STATUS_DETAIL_CHARACTERS] if worst.severity is Severity.ERROR else "",
            shown=_shown(before, target.certificate, version, now, nothing=worst.code in SHOWS_NOTHING),
            at=now,
            version=before.version,
        )
        if probe.to_data() == before.to_data():
            return
        token = await asyncio.to_thread(self._token)
        try:
            number = await vault.write_document(
                token, probe_path(target.consumer), probe.to_data(), expect_version=probe.version
            )
        except Conflict:  # another worker, or a relay of that name was removed: the next look sees what is there
            del self._written[target.consumer]
            raise
        except Denied:
            self._forget()
            raise
        self._written[target.consumer] = replace(probe, version=number)

    async def _read(self, vault: AsyncVault, token: Token, consumer: str) -> None:
        try:
            document = await vault.read_document(token, probe_path(consumer))
            self._written[consumer] = Probe.from_data(consumer, document.data, document.version, document.created_at)
        except NotFound:
            self._written[consumer] = Probe(consumer, "", 0, "", "", "", None, self._clock())
        except ValueError:
            empty = Probe(consumer, "", 0, "", "", "", None, self._clock())
            self._written[consumer] = replace(empty, version=document.version)

    def _token(self) -> Token:
        token = self._reader().token
        if token is None:
            raise AssertionError("the worker's Vault is signed in")
        return token


def _shown(before: Probe | None, certificate: str, version: int, now: datetime, *, nothing: bool) -> Step | None:
    """Since when that version is shown. A relay that shows nothing for a while is remembered by what it showed last."""
    last = before.shown if before and before.shown and before.shown.certificate == certificate else None
    if nothing:
        return last
    if version == 0:
        return None
    return last if last is not None and last.version == version else Step(certificate, version, now)
