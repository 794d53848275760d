"""Jobs: what people asked for, done once.

A job is taken by a compare-and-set that names a time until which its worker may be believed; when that is over without
an outcome, the worker died, and another one takes it. Each deed may be begun twice: a test only looks, and what writes
finds that it was written.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final, TypeAlias

from service.index import Index
from service.pki.finding import Finding, Severity
from service.records import JOBS, Job, JobKind, is_job_id, job_path
from service.worker.activation import activate
from service.worker.relay_test import look_at_relay
from service.worker.rollback import roll_back
from vault.errors import Conflict, Denied, NotFound, VaultError
from vault.session import Vault

_log = logging.getLogger(__name__)

LEASE: Final = timedelta(seconds=60)
KEPT: Final = timedelta(days=1)
"""How long a job that is done can still be asked for."""
LOOK_EVERY_S: Final = 30.0
"""For jobs that a dead worker left, and whose entry in the journal was lost."""
AT_ONCE: Final = 4
Deed: TypeAlias = Callable[[Vault, Index, Job, Callable[[], datetime]], Job]
DEEDS: Final[Mapping[JobKind, Deed]] = {"relay-test": look_at_relay, "rollback": roll_back, "activate": activate}
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
        next_look = 0.0
        try:
            with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="job") as pool:
                while not stop.is_set():
                    heard = self._changed.wait(0.5)
                    self._changed.clear()
                    if (heard and self._is_asked()) or time.monotonic() >= next_look:
                        next_look = time.monotonic() + LOOK_EVERY_S
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
        if job.state == "done" or leased or job.kind not in DEEDS:
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
            done = DEEDS[job.kind](vault, self._index, job, self._clock)
        except Exception as error:  # noqa: BLE001 - a job's end is always written
            _log.warning("job %s failed: %s", job.id, type(error).__name__)
            message = "The worker could not carry it out; its log says why."
            done = replace(job, outcome="failed", findings=(Finding("job.failed", Severity.ERROR, message),))
        done = replace(done, state="done", leased_until=None, finished_at=self._clock())
        try:
            vault.documents.write(job_path(job.id), done.to_data(), expect_version=job.version)
        except VaultError as error:  # after its lease it is done again
            _log.warning("what came of job %s is not stored: %s", job.id, type(error).__name__)
