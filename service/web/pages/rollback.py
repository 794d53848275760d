"""Returning to a former version: what that changes is said before; the worker does it, since no person reads a key."""

from __future__ import annotations

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.errors import Missing, Problem
from service.pki.finding import Severity
from service.web import identity
from service.web.pages import frame
from service.web.pages.blueprint import pages
from service.web.pages.certificate import viewed
from service.web.pages.impacts import impact_groups
from service.web.pages.rotation import compare


@pages.route("/certificates/<name>/rollback/<int:version>", methods=["GET", "POST"])
@identity.required
def certificate_rollback(name: str, version: int) -> ResponseReturnValue:
    """The current version against the former one, the impact, and the button."""
    view = viewed(name)
    certificates = frame.inventory().certificates
    problem, status = "", 200
    if request.method == "POST":
        try:
            certificates.rollback(name, version, accept=request.form.getlist("accept"))
        except Missing:
            raise
        except Problem as refused:
            problem, status = refused.detail, refused.status
        else:
            flash(f"The worker returns to version {version}: its content becomes the newest version.", "ok")
            return redirect(url_for("pages.certificate_rollout", name=name), 303)
    report = certificates.former(name, version)
    facts = report.checked.facts
    page = render_template(
        "certificates/rollback.html",
        section="certificates",
        version=version,
        problem=problem,
        blocked=any(one.severity is Severity.ERROR for one in report.checked.findings),
        former_findings=report.checked.findings,
        impacts=impact_groups(report.impact),
        accepted=request.form.getlist("accept"),
        consumer_count=len(frame.snapshot().used_by(name)),
        checked=True,
        keep_ca_offered=False,
        **compare(view, facts, key_kept=False),
    )
    return page, status
