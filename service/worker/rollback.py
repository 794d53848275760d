"""Returning to a former version: its content becomes the newest one. Nobody but the worker reads a key for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from service.index import Index
from service.index.scan import CHANGED_BY
from service.pki.finding import Finding, Severity
from service.records import Job, bundle_path
from vault.errors import Conflict, NotFound
from vault.session import Vault


def roll_back(vault: Vault, index: Index, job: Job, clock: Callable[[], datetime]) -> Job:
    """Write the version that the job names as the newest. Begun again after a crash, it finds that it was written.

    Raises:
        VaultError: nothing was written, or it was and is found the next time.
    """
    path, wanted, expected = bundle_path(job.subject), int(job.arguments["version"]), int(job.arguments["expected"])
    try:
        document = vault.documents.read(path, wanted)
        public = dict(vault.documents.read_public(path, wanted).values)
    except NotFound:
        return _failed(job, "rollback.gone", f"Version {wanted} of {job.subject} is gone.", "Choose another one.")
    public[CHANGED_BY] = job.by
    try:
        version = vault.documents.write(path, document.data, expect_version=expected, public=public)
    except Conflict:
        if not _was_written(vault, path, expected + 1, public):
            message = f"{job.subject} was changed by somebody else meanwhile. Nothing was written."
            return _failed(job, "rollback.overtaken", message, "Look again, and choose.")
        version = expected + 1
    vault.journal.append("certificate", job.subject, "rolled back", version, by=job.by, at=clock())
    index.announce()
    return replace(job, outcome="passed", report={"version": str(version), "from": str(wanted)})


def _was_written(vault: Vault, path: str, version: int, public: dict[str, str]) -> bool:
    """Whether the next version says exactly what this job would write: its worker died before it could say so."""
    try:
        return dict(vault.documents.read_public(path, version).values) == public
    except NotFound:
        return False


def _failed(job: Job, code: str, message: str, hint: str) -> Job:
    return replace(job, outcome="failed", findings=(Finding(code, Severity.ERROR, message, hint),))
