"""Asking the worker for something, and hearing what came of it. A person's own token writes and reads the job."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from service.errors import Missing, Refused
from service.index import Index
from service.index.translation import translated
from service.inventory.acting import Acting
from service.records import Job, is_job_id, job_path
from vault.errors import NotFound
from vault.session import Vault


class Jobs:
    """What a person can ask of the worker."""

    def __init__(self, vault: Vault, index: Index, who: str, clock: Callable[[], datetime]) -> None:
        self._acting = Acting(vault, index, who, clock)

    def test_relay(self, name: str) -> Job:
        """Ask for a look at a relay's live endpoint.

        Raises:
            Missing: there is no such relay. Refused: `relay.not-bound`. NotAllowed, Unavailable.
        """
        relay = self._acting.index.snapshot().relays.get(name)
        if relay is None:
            raise Missing(f"There is no relay named {name}.")
        if relay.certificate is None:
            detail = f"{name} is bound to no certificate: there is nothing that it should serve."
            raise Refused(detail, code="relay.not-bound")
        return self.begin(
            Job(secrets.token_hex(16), "relay-test", relay.consumer, self._acting.who, self._acting.now()), "tested"
        )

    def begin(self, job: Job, action: str) -> Job:
        """Store a job that somebody checked, and tell the worker of it."""
        with translated():
            self._acting.vault.documents.write(job_path(job.id), job.to_data(), expect_version=0)
        self._acting.tell("job", job.subject, action, None)
        return job

    def get(self, job: str) -> Job:
        """A job as it stands now.

        Raises:
            Missing: there is none, or it is cleared away. NotAllowed, Unavailable.
        """
        missing = Missing("There is no such job, or it was done long ago.", code="job.missing")
        if not is_job_id(job):
            raise missing
        found: Job | None = None
        with translated():
            try:
                document = self._acting.vault.documents.read(job_path(job))
                found = Job.from_data(job, document.data, document.version)
            except (NotFound, ValueError):
                found = None
        if found is None:
            raise missing
        return found
