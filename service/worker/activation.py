"""Making a staged version the current one: now, or when its time has come. Nobody but the worker reads its key."""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from service.index import Index
from service.index.scan import CHANGED_BY
from service.inventory.fit import accepted, impacts, needs_of
from service.inventory.staging import ACCEPTED, ACTIVATE_AT
from service.pki.bundle import check_bundle
from service.pki.facts import BundleFacts
from service.pki.finding import Finding, Severity
from service.records import MAX_FINDINGS, STAGED, Job, bundle_path, is_name, job_path, staged_path
from vault.errors import Conflict, Denied, NotFound, VaultError
from vault.session import Vault

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 15.0
"""At what is staged; at once when the journal tells of it."""
BUNDLE: Final = ("certificate", "ca", CHANGED_BY)


def activate(vault: Vault, index: Index, job: Job, clock: Callable[[], datetime]) -> Job:
    """Write what is staged as the newest version. Begun again after a crash, it finds that it was written.

    Raises:
        VaultError: nothing was written, or it was and is found the next time.
    """
    name, expected = job.subject, int(job.arguments["expected"])
    path = bundle_path(name)
    try:
        staged = vault.documents.read(staged_path(name))
        public = dict(vault.documents.read_public(staged_path(name)).values)
    except NotFound:
        if _changed_by(vault, path, expected + 1) == job.by:  # its worker died between the last two steps
            return _passed(job, expected + 1)
        return _failed(job, "staged.gone", f"Nothing is staged for {name} any more.", "Stage it again.")
    data = {field: str(staged.data.get(field, "")) for field in ("certificate", "ca")}
    data["private_key"] = str(staged.data.get("private_key") or vault.documents.read(path).data.get("private_key", ""))
    checked = check_bundle(
        private_key=data["private_key"], certificate=data["certificate"], ca=data["ca"] or None, now=clock()
    )
    if checked.blocked or checked.facts is None:
        return replace(job, outcome="failed", findings=checked.findings[:MAX_FINDINGS])
    accept = (*public.get(ACCEPTED, "").split(), *job.arguments.get("accept", "").split())
    harm = _harm(index, name, checked.facts, accept, clock())
    if harm:
        return replace(job, outcome="failed", findings=harm[:MAX_FINDINGS])
    kept = {field: public.get(field, "") for field in BUNDLE}
    try:
        version = vault.documents.write(path, data, expect_version=expected, public=kept)
    except Conflict:
        if not _is_written(vault, path, expected + 1, kept):
            message = f"{name} was changed by somebody else meanwhile. It is staged still, and nothing was written."
            return _failed(job, "staged.overtaken", message, "Look at what changed; then activate it.")
        version = expected + 1
    vault.documents.destroy(staged_path(name))
    vault.journal.append("certificate", name, "activated", version, by=job.by, at=clock())
    index.announce()
    return _passed(job, version)


class Schedule:
    """Asks for the activation of what has a time, when it has come. In a thread of its own."""

    def __init__(
        self, index: Index, reader: Callable[[], Vault], forget: Callable[[], None], clock: Callable[[], datetime]
    ) -> None:
        self._index = index
        self._reader = reader
        self._forget = forget
        self._clock = clock
        self._due: dict[str, tuple[datetime, int, str]] = {}
        self._seen = -1

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        next_look = 0.0
        while not stop.wait(0.25):
            try:
                if time.monotonic() >= next_look or self._is_told():
                    next_look = time.monotonic() + LOOK_EVERY_S
                    self._look(self._reader())
                for name, (at, version, by) in tuple(self._due.items()):
                    if self._clock() >= at:
                        self._ask(self._reader(), name, version, by)
                        del self._due[name]
            except Denied:
                self._forget()
            except VaultError as error:
                _log.info("what is staged is not looked at: %s", type(error).__name__)

    def _is_told(self) -> bool:
        if not self._index.ready:
            return False
        snapshot = self._index.snapshot()
        before, self._seen = self._seen, snapshot.sequence
        return any(one.kind == "staged" and one.sequence > before for one in snapshot.changes)

    def _look(self, vault: Vault) -> None:
        due: dict[str, tuple[datetime, int, str]] = {}
        for name in vault.documents.list(STAGED):
            if not is_name(name):
                continue
            try:
                half = vault.documents.read_public(staged_path(name))
                at = half.values.get(ACTIVATE_AT)
                if at:
                    due[name] = (datetime.fromisoformat(at), half.version, half.values.get(CHANGED_BY, ""))
            except (NotFound, ValueError):
                continue
        self._due = due

    def _ask(self, vault: Vault, name: str, version: int, by: str) -> None:
        """One job for one staged version, however many workers there are: its id says which."""
        current = vault.documents.metadata(bundle_path(name)).current_version
        made = vault.documents.metadata(staged_path(name)).created_at
        digest = hashlib.sha256(f"{name} {version} {made.isoformat()}".encode()).hexdigest()
        job = Job(digest[:32], "activate", name, by, self._clock(), arguments={"expected": str(current)})
        try:
            vault.documents.write(job_path(job.id), job.to_data(), expect_version=0)
        except Conflict:
            return
        vault.journal.append("job", name, "the time has come to activate", None, by=by, at=self._clock())
        self._index.announce()


def _harm(index: Index, name: str, facts: BundleFacts, accept: Sequence[str], now: datetime) -> tuple[Finding, ...]:
    """What it would do to those who use the certificate now, that nobody accepted: some may be bound since."""
    snapshot = index.refresh((bundle_path(name),))
    view = snapshot.certificates.get(name)
    found = impacts(needs_of(snapshot.used_by(name)), view.facts if view else None, facts, now)
    return tuple(one.as_finding() for one in found if one.harmful and not accepted(one.consumer, one, accept))


def _changed_by(vault: Vault, path: str, version: int) -> str | None:
    try:
        return vault.documents.read_public(path, version).values.get(CHANGED_BY)
    except NotFound:
        return None


def _is_written(vault: Vault, path: str, version: int, public: dict[str, str]) -> bool:
    try:
        found = dict(vault.documents.read_public(path, version).values)
    except NotFound:
        return False
    return {field: found.get(field, "") for field in BUNDLE} == public


def _passed(job: Job, version: int) -> Job:
    return replace(job, outcome="passed", report={"version": str(version)})


def _failed(job: Job, code: str, message: str, hint: str) -> Job:
    return replace(job, outcome="failed", findings=(Finding(code, Severity.ERROR, message, hint),))
