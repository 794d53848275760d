"""The test of a relay: what its live endpoint shows, and what to do about what is wrong."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from flask import redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from service.errors import Missing
from service.pki.finding import Severity
from service.records import Job
from service.web import filters, identity
from service.web.pages import frame
from service.web.pages.blueprint import pages

WORDS: Final = {
    "address": "Address",
    "protocol": "Protocol",
    "version": "Version",
    "chain": "Chain",
    "not_after": "Ends",
    "fingerprint_sha256": "Fingerprint",
    "client_certificate": "Client certificate",
}
"""What a look reports, in this order."""
PATIENCE_S: Final = 15
"""After this time the page says that no worker takes the job."""


@pages.post("/relays/<name>/test")
@identity.required
def relay_test(name: str) -> ResponseReturnValue:
    """Ask the worker to look, and go where its answer will be."""
    job = frame.inventory().jobs.test_relay(name)
    return redirect(url_for("pages.relay_test_result", name=name, job=job.id), 303)


@pages.get("/relays/<name>/test/<job>")
@identity.required
def relay_test_result(name: str, job: str) -> ResponseReturnValue:
    """What came of it; until then the page asks again."""
    relay = frame.snapshot().relays.get(name)
    if relay is None:
        raise Missing(f"There is no relay named {name}.")
    found = frame.inventory().jobs.get(job)
    if found.subject != relay.consumer:
        raise Missing("That job is of another relay.", code="job.missing")
    shown = {
        "relay": relay,
        "job": found,
        "waited_long": _waited_s(found) > PATIENCE_S,
        "errors": sum(one.severity is Severity.ERROR for one in found.findings),
        "lines": [(WORDS[key], _shown(key, value)) for key in WORDS if (value := (found.report or {}).get(key))],
    }
    template = "relays/_test.html" if frame.by_htmx() else "relays/test.html"
    return render_template(template, section="relays", **shown)


def _shown(key: str, value: str) -> str:
    return filters.absolute(datetime.fromisoformat(value)) if key == "not_after" else value


def _waited_s(job: Job) -> float:
    return (frame.now() - job.asked_at).total_seconds() if job.state != "done" else 0.0
