"""One certificate's profile: overview, relays, container providers, versions, activity; describe, delete, restore."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.errors import Missing, Problem
from service.index import CertificateView, Snapshot
from service.inventory.staging import Staged
from service.pki.coverage import Coverage
from service.pki.facts import BundleFacts
from service.pki.finding import Finding
from service.web import identity
from service.web.pages import consumers, frame
from service.web.pages.blueprint import pages
from service.web.pages.forms import ConfirmForm, DescriptionForm
from service.web.pages.standing import Standing, of_certificate, serving


@dataclass(frozen=True, slots=True)
class CoverageRow:
    """One consumer of a certificate: does it fit, and what does the consumer serve?"""

    title: str
    href: str
    where: str
    coverage: Coverage
    reasons: tuple[Finding, ...]
    serving: Standing


@dataclass(frozen=True, slots=True)
class VersionRow:
    """One version; `facts` is None when it was deleted or destroyed."""

    version: int
    created_at: datetime
    by: str
    facts: BundleFacts | None
    standing: Standing


def viewed(name: str) -> CertificateView:
    """The certificate from the index.

    Raises:
        Missing: there is none of that name.
    """
    view = frame.snapshot().certificates.get(name)
    if view is None:
        raise Missing(f"There is no certificate named {name}. It may have been destroyed, or never existed.")
    return view


def profile(template: str, tab: str, view: CertificateView, **more: Any) -> str:  # noqa: ANN401 - template values
    """A tab of a certificate's profile."""
    snapshot = frame.snapshot()
    users = snapshot.used_by(view.name)
    leaf = view.facts.leaf if view.facts else None
    return render_template(
        template,
        section="certificates",
        tab=tab,
        view=view,
        facts=view.facts,
        leaf=leaf,
        hosts=leaf.dns_names + leaf.ip_addresses if leaf else (),
        standing=of_certificate(view, snapshot, frame.now()),
        counts={"relays": len(users.relays), "clusters": len(users.clusters)},
        **more,
    )


@pages.get("/certificates/<name>")
@identity.required
def certificate(name: str) -> ResponseReturnValue:
    """The overview."""
    view = viewed(name)
    found = frame.inventory().certificates.get(name)
    overlap = found.overlap
    kept = overlap.authorities(view.facts) if overlap else ()
    return profile(
        "certificates/overview.html",
        "overview",
        view,
        profile_findings=found.findings,
        overlap=overlap,
        overlap_is_over=overlap is not None and overlap.is_over(frame.now()),
        kept=kept,
        staged=_staged(name),
    )


def _staged(name: str) -> Staged | None:
    """What stands ready for it, if something does."""
    try:
        return frame.inventory().certificates.staged(name)
    except Problem:
        return None


def _rows(name: str, snapshot: Snapshot, view: CertificateView) -> list[CoverageRow]:
    covered = frame.inventory().certificates.get(name).coverages if view.facts else {}
    rows = []
    for who in consumers.users_of(snapshot, name):
        if who.consumer in covered:
            it = covered[who.consumer]
            served = serving(snapshot, who.consumer, frame.now())
            rows.append(CoverageRow(who.title, who.href, who.where, it, tuple(it.findings), served))
    return rows


@pages.get("/certificates/<name>/relays")
@identity.required
def certificate_relays(name: str) -> ResponseReturnValue:
    """The relays that use it, each with whether it fits."""
    return _relays(viewed(name))


@pages.post("/certificates/<name>/relays")
@identity.required
def certificate_client_check(name: str) -> ResponseReturnValue:
    """Whether its mTLS relays would accept a client. What was pasted is not sent back: a key may be in it."""
    view = viewed(name)
    pasted = request.form.get("client", "")
    if not pasted.strip():
        return _relays(view, client_problem="Paste the client's certificate."), 422
    try:
        refusals = frame.inventory().certificates.check_client(name, pasted)
    except Problem as refused:
        return _relays(view, client_problem=refused.detail), refused.status
    return _relays(view, client_refusals=refusals, client_checked=True)


def _relays(view: CertificateView, **more: Any) -> str:  # noqa: ANN401 - template values
    snapshot, name = frame.snapshot(), view.name
    relays = {consumers.of_relay(relay).href for relay in snapshot.used_by(name).relays}
    rows = [row for row in _rows(name, snapshot, view) if row.href in relays]
    return profile("certificates/coverage.html", "relays", view, consumers=rows, kind_word="Relays", **more)


@pages.get("/certificates/<name>/providers")
@identity.required
def certificate_providers(name: str) -> ResponseReturnValue:
    """The providers' clusters that use it, each with whether it fits."""
    view, snapshot = viewed(name), frame.snapshot()
    relays = {consumers.of_relay(relay).href for relay in snapshot.used_by(name).relays}
    rows = [row for row in _rows(name, snapshot, view) if row.href not in relays]
    return profile("certificates/coverage.html", "providers", view, consumers=rows, kind_word="Container providers")


@pages.get("/certificates/<name>/versions")
@identity.required
def certificate_versions(name: str) -> ResponseReturnValue:
    """Every version, newest first."""
    view = viewed(name)
    rows = []
    for it in frame.inventory().certificates.versions(name):
        standing = Standing("ok" if it.state == "current" else "unknown", it.state)
        rows.append(VersionRow(it.number, it.created_at, it.changed_by, it.facts, standing))
    return profile("certificates/versions.html", "versions", view, versions=rows)


@pages.get("/certificates/<name>/activity")
@identity.required
def certificate_activity(name: str) -> ResponseReturnValue:
    """What changed about it and about its bindings."""
    view, snapshot = viewed(name), frame.snapshot()
    wanted = [("certificate", name)] + [
        (kind, who) for who in snapshot.used_by(name).consumers for kind in ("binding", "consumer")
    ]
    return profile("certificates/activity.html", "activity", view, changes=consumers.changes_of(snapshot, wanted))


@pages.route("/certificates/<name>/edit", methods=["GET", "POST"])
@identity.required
def certificate_edit(name: str) -> ResponseReturnValue:
    """Name for people, comment, labels."""
    view = viewed(name)
    labels = "\n".join(f"{key}={value}" for key, value in view.labels.items())
    form = DescriptionForm(
        data={"display_name": view.display_name or view.name, "comment": view.comment, "labels": labels}
    )
    problem, status = "", 200
    if request.method == "POST":
        problem, status = "Something is missing or too long.", 422
        form = DescriptionForm()
        if form.validate_on_submit():
            try:
                frame.inventory().certificates.annotate(
                    name,
                    display_name=form.display_name.data,
                    comment=form.comment.data or "",
                    labels=read_labels(form.labels.data or ""),
                )
            except Problem as refused:
                problem, status = refused.detail, refused.status
            else:
                flash("The description is saved.", "ok")
                return redirect(url_for("pages.certificate", name=name), 303)
    page = render_template("certificates/edit.html", section="certificates", view=view, form=form, problem=problem)
    return page, status


def read_labels(text: str) -> dict[str, str]:
    """Labels from lines of `key=value`; a line without `=` is a key with an empty value."""
    pairs = (line.partition("=") for line in text.splitlines() if line.strip())
    return {key.strip(): value.strip() for key, _, value in pairs}


@pages.route("/certificates/<name>/delete", methods=["GET", "POST"])
@identity.required
def certificate_delete(name: str) -> ResponseReturnValue:
    """Delete, when nobody uses it; otherwise the page names who would be cut off."""
    return _end(viewed(name), destroy=False)


@pages.route("/certificates/<name>/destroy", methods=["GET", "POST"])
@identity.required
def certificate_destroy(name: str) -> ResponseReturnValue:
    """Destroy every version."""
    return _end(viewed(name), destroy=True)


def _end(view: CertificateView, *, destroy: bool) -> ResponseReturnValue:
    form = ConfirmForm()
    problem, status = "", 200
    conflicts: tuple[str, ...] = ()
    if request.method == "POST":
        status = 422
        if not form.validate_on_submit():
            problem = "Type the name to confirm."
        elif form.confirm.data != view.name:
            problem = f"That is not the name. It is {view.name}."
        else:
            try:
                doing = frame.inventory().certificates
                if destroy:
                    doing.destroy(view.name, view.version)
                else:
                    doing.delete(view.name, view.version)
            except Problem as refused:
                problem, conflicts, status = refused.detail, refused.conflicts, refused.status
            else:
                flash(f"{view.display_name or view.name} is {'destroyed' if destroy else 'deleted'}.", "ok")
                gone = destroy or view.name not in frame.snapshot().certificates
                return redirect(
                    url_for("pages.certificates") if gone else url_for("pages.certificate", name=view.name), 303
                )
    page = render_template(
        "certificates/delete.html",
        section="certificates",
        view=view,
        form=form,
        verb="Destroy" if destroy else "Delete",
        destroy=destroy,
        cut_off=consumers.users_of(frame.snapshot(), view.name),
        problem=problem,
        conflicts=conflicts,
    )
    return page, status


@pages.post("/certificates/<name>/restore")
@identity.required
def certificate_restore(name: str) -> ResponseReturnValue:
    """Bring the deleted version back."""
    made = frame.inventory().certificates.restore(name)
    flash(f"{made.view.display_name or made.view.name} is restored.", "ok")
    return redirect(url_for("pages.certificate", name=name), 303)
