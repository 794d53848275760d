"""Jobs: what people asked for, done once.

A job is taken by a compare-and-set that names a time until which its worker may be believed; when that is over without
an outcome, the worker died, and another one takes it. A relay test only looks, so doing it again harms nobody.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from service.endpoint.diagnosis import diagnose, shown_version
from service.endpoint.handshake import Seen, look
from service.index import Index
from service.pki.facts import Unreadable, certificate_facts, load_certificate
from service.pki.finding import Finding, Severity
from service.records import JOBS, Job, Relay, is_job_id, job_path
from service.worker.probing import former_versions, target_of
from vault.errors import Conflict, Denied, NotFound, VaultError
from vault.session import Vault

_log = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=60)
KEPT: Final = timedelta(days=1)
"""How long a job that is done can still be asked for."""
LOOK_EVERY_S: Final = 30.0
"""For jobs that a dead worker left, and whose entry in the journal was lost."""
AT_ONCE: Final = 4
OURS: Final = frozenset({"relay-test"})
"""What is done here; a canary is ended by its keeper."""


class JobRunner:
    """Takes jobs and does them, in a thread of its own and a few beside it."""

    def __init__(
        self, index: Index, reader: Callable[[], Vault], forget: Callable[[], None], clock: Callable[[], datetime]
    ) -> None:
        self._index = index
        self._reader = reader
        self._forget = forget
        self._clock = clock
        self._seen = -1
        self._changed = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Do jobs until `stop` is set; what is begun is finished."""
        end_listening = self._index.on_change(lambda _: self._changed.set())
        idle_s = LOOK_EVERY_S
        try:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="job") as pool:
                while not stop.is_set():
                    heard = self._changed.wait(min(0.5, idle_s))
                    self._changed.clear()
                    idle_s = LOOK_EVERY_S if idle_s <= 0 else idle_s - 0.5
                    if (heard and self._is_asked()) or idle_s <= 0:
                        self._look(pool)
        finally:
            end_listening()

    def _is_asked(self) -> bool:
        """Whether the journal names a job that was not looked for yet."""
        if not self._index.ready:
            return False
        snapshot = self._index.snapshot()
        before, self._seen = self._seen, snapshot.sequence
        return before < 0 or any(one.kind == "job" and one.sequence > before for one in snapshot.changes)

    def _look(self, pool: ThreadPoolExecutor) -> None:
        try:
            vault = self._reader()
            for job in vault.documents.list(JOBS):
                taken = self._take(vault, job) if is_job_id(job) else None
                if taken is not None:
                    pool.submit(self._do, vault, taken)
        except Denied:
            self._forget()
        except VaultError as error:
            _log.info("jobs are not looked for: %s", type(error).__name__)

    def _take(self, vault: Vault, name: str) -> Job | None:
        """The job, if it is this worker's to do now."""
        now = self._clock()
        try:
            document = vault.documents.read(job_path(name))
            job = Job.from_data(name, document.data, document.version)
        except NotFound:
            return None
        except ValueError:
            _log.warning("a job cannot be understood")
            return None
        if job.state == "done" and (job.finished_at is None or now - job.finished_at > KEPT):
            vault.documents.destroy(job_path(name))
        leased = job.state == "running" and job.leased_until is not None and now < job.leased_until
        if job.state == "done" or leased or job.kind not in OURS:
            return None
        taken = replace(job, state="running", leased_until=now + LEASE)
        try:
            version = vault.documents.write(job_path(name), taken.to_data(), expect_version=job.version)
        except Conflict:
            return None
        return replace(taken, version=version)

    def _do(self, vault: Vault, job: Job) -> None:
        """Do one job, and write what came of it."""
        try:
            done = test_relay(self._index, job, self._clock)
        except Exception as error:  # noqa: BLE001 - a job's end is always written
            _log.warning("job %s failed: %s", job.id, type(error).__name__)
            message = "The worker could not carry it out; its log says why."
            done = replace(job, outcome="failed", findings=(Finding("job.failed", Severity.ERROR, message),))
        done = replace(done, state="done", leased_until=None, finished_at=self._clock())
        try:
            vault.documents.write(job_path(job.id), done.to_data(), expect_version=job.version)
        except VaultError as error:  # after its lease it is done again
            _log.warning("what came of job %s is not stored: %s", job.id, type(error).__name__)


def test_relay(index: Index, job: Job, clock: Callable[[], datetime]) -> Job:
    """Look at a relay's live endpoint, and say what is wrong with it.

    Raises:
        Problem: the index cannot be read.
    """
    snapshot = index.refresh()
    relay = snapshot.consumer(job.subject)
    target = target_of(index, snapshot, relay) if isinstance(relay, Relay) else None
    if target is None:
        message = "It is bound to no certificate that could be served."
        return replace(job, outcome="failed", findings=(Finding("job.not-bound", Severity.ERROR, message),))
    seen = asyncio.run(look(target.host, target.port))
    wanted = target.wanted(former_versions(index, target.certificate, target.version))
    findings = diagnose(seen, wanted, clock())
    failed = any(one.severity is Severity.ERROR for one in findings)
    report = _report(seen, shown_version(seen, wanted))
    return replace(job, outcome="failed" if failed else "passed", findings=findings, report=report)


def _report(seen: Seen, version: int) -> dict[str, str]:
    """What was seen, for people."""
    report = {"address": seen.address, "protocol": seen.protocol, "fingerprint_sha256": seen.fingerprint_sha256}
    if version:
        report["version"] = str(version)
    try:
        chain = [certificate_facts(load_certificate(der)) for der in seen.chain]
        report["chain"] = " → ".join(one.title for one in chain)
        if chain:
            report["not_after"] = chain[0].not_after.isoformat()
    except Unreadable:
        pass
    if seen.asks_client:
        said = {True: "required", False: "asked for, not required", None: "asked for"}
        report["client_certificate"] = said[seen.refuses_without]
    elif seen.chain:
        report["client_certificate"] = "not asked for"
    return {key: value for key, value in report.items() if value}
