"""Ending what one relay tries first: everybody goes on when it is seen serving, else everything returns by itself.

To return, the version before is written again as the newest one: numbers only grow, so no consumer takes it for an
older answer that came late.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from service.errors import Problem
from service.index import Index
from service.index.scan import CHANGED_BY
from service.pki.finding import Finding, Severity
from service.records import Canary, Job, Status, bundle_path, canary_path, job_path, status_path
from service.worker.probing import Prober
from vault.errors import Conflict, Denied, NotFound, VaultError
from vault.session import Vault

_log = logging.getLogger(__name__)

LOOK_EVERY_S: Final = 0.2
IDLE_S: Final = 5.0
WHO: Final = "worker"


class CanaryKeeper:
    """Watches what is being tried, in a thread of its own."""

    def __init__(
        self,
        index: Index,
        reader: Callable[[], Vault],
        forget: Callable[[], None],
        prober: Prober,
        clock: Callable[[], datetime],
    ) -> None:
        self._index = index
        self._reader = reader
        self._forget = forget
        self._prober = prober
        self._clock = clock
        self._changed = threading.Event()

    def run(self, stop: threading.Event) -> None:
        """Work until `stop` is set."""
        end_listening = self._index.on_change(lambda _: self._changed.set())
        try:
            while not stop.is_set():
                canaries = tuple(self._index.snapshot().canaries.values()) if self._index.ready else ()
                self._changed.wait(LOOK_EVERY_S if canaries else 0.5)
                self._changed.clear()
                for canary in canaries:
                    self._keep(canary)
        finally:
            end_listening()

    def _keep(self, canary: Canary) -> None:
        try:
            if self._prober.is_serving(canary.consumer, canary.version):
                self._end(self._reader(), canary, ())
                return
            vault = self._reader()
            reason = self._gave_up(vault, canary)
            if reason:
                self._return(vault, canary, reason)
        except Denied:
            self._forget()
        except (VaultError, Problem) as error:  # tried again with the next look
            _log.info("the canary of %s is not ended: %s", canary.certificate, type(error).__name__)

    def _gave_up(self, vault: Vault, canary: Canary) -> str:
        """Why it will not serve the version; empty while it may."""
        try:
            document = vault.documents.read(status_path(canary.consumer))
            status = Status.from_data(canary.consumer, document.data, document.version, document.created_at)
            if (status.state, status.certificate, status.certificate_version) == (
                "failed",
                canary.certificate,
                canary.version,
            ):
                return f"{canary.consumer} reports that it failed: {status.detail}"
        except (NotFound, ValueError):
            pass
        if self._clock() < canary.until:
            return ""
        said = self._prober.last_word(canary.consumer)
        return f"{canary.consumer} was not seen serving version {canary.version} in time. {said}".strip()

    def _return(self, vault: Vault, canary: Canary, reason: str) -> None:
        """Write the version before again, as the newest."""
        path = bundle_path(canary.certificate)
        overtaken = False
        try:
            before = vault.documents.read(path, canary.base)
            public = dict(vault.documents.read_public(path, canary.base).values)
            public[CHANGED_BY] = WHO
            version = vault.documents.write(path, before.data, expect_version=canary.version, public=public)
        except (Conflict, NotFound):  # somebody went on without us, or the version never came
            overtaken = True
        if not overtaken:
            vault.journal.append("certificate", canary.certificate, "returned", version, by=WHO, at=self._clock())
        finding = Finding("canary.returned", Severity.ERROR, reason, "Look at that relay; then rotate again.")
        self._end(vault, canary, (finding,))

    def _end(self, vault: Vault, canary: Canary, findings: tuple[Finding, ...]) -> None:
        """Let everybody have the newest version, and say how it ended."""
        vault.documents.destroy(canary_path(canary.certificate))
        action = "ended" if findings else "passed"
        vault.journal.append("canary", canary.certificate, action, canary.version, by=WHO, at=self._clock())
        self._index.announce()
        self._index.refresh((canary_path(canary.certificate), bundle_path(canary.certificate)))
        try:
            document = vault.documents.read(job_path(canary.job))
            job = Job.from_data(canary.job, document.data, document.version)
        except (NotFound, ValueError):
            return
        done = replace(
            job,
            state="done",
            outcome="failed" if findings else "passed",
            findings=findings,
            finished_at=self._clock(),
        )
        vault.documents.write(job_path(job.id), done.to_data(), expect_version=job.version)
