"""The test of a relay: one look at its live endpoint, as a finding for each thing that is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from service.endpoint.diagnosis import diagnose, shown_version
from service.endpoint.handshake import Seen, look
from service.index import Index
from service.pki.facts import Unreadable, certificate_facts, load_certificate
from service.pki.finding import Finding, Severity
from service.records import Job, Relay
from service.worker.probing import former_versions, target_of
from vault.session import Vault


def look_at_relay(_vault: Vault, index: Index, job: Job, clock: Callable[[], datetime]) -> Job:
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
