"""Rotate: old against new, what it does to each consumer, and the harmful part accepted consumer by consumer."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from markupsafe import Markup

from service.errors import Problem
from service.index import CertificateView
from service.inventory.overlap import DEFAULT_DAYS, MAX_DAYS
from service.inventory.profile import CheckReport
from service.pki.facts import BundleFacts
from service.pki.finding import Finding, Severity
from service.pki.reading import holds_key
from service.web import filters, identity
from service.web.pages import checks, frame
from service.web.pages.blueprint import pages
from service.web.pages.certificate import viewed
from service.web.pages.forms import RotateForm
from service.web.pages.impacts import impact_groups

MAX_CANARIES: Final = 300
"""Longer than this, nobody reads a list; the API and the command line take any."""
NO_KEY: Final = Finding(
    code="key.missing",
    severity=Severity.ERROR,
    message="KEY is empty.",
    hint="Paste the new private key, or tick “Keep the current key”.",
    field="private_key",
)


def names_of(facts: BundleFacts | None) -> tuple[str, ...]:
    """Every name a bundle's leaf covers."""
    return facts.leaf.dns_names + facts.leaf.ip_addresses if facts else ()


def compare(view: CertificateView, new: BundleFacts | None, *, key_kept: bool) -> dict[str, Any]:
    """What the page of old against new takes."""
    before, after = names_of(view.facts), names_of(new)
    return {
        "view": view,
        "old": view.facts,
        "new": new,
        "gained": tuple(name for name in after if name not in before),
        "lost": tuple(name for name in before if name not in after) if new else (),
        "key_kept": key_kept,
    }


def _what(form: RotateForm) -> dict[str, Any]:
    """The form as the inventory takes it: `None` keeps what stands, an empty CA removes it."""
    return {
        "private_key": None if form.keep_key.data else checks.given(form, "private_key") or None,
        "certificate": checks.given(form, "certificate") or None,
        "ca": "" if form.remove_ca.data else checks.given(form, "ca") or None,
        "passphrase": form.passphrase.data or None,
        "keep_ca_until": request.form.get("keep_ca_until", "").strip() if request.form.get("keep_ca") else None,
    }


def _overlap(report: CheckReport | None) -> dict[str, Any]:
    """What the offer to keep the old CA needs: it is made when a CA would be dropped, and stays while it is taken."""
    today = frame.now().date()
    taken = bool(request.form.get("keep_ca"))
    return {
        "keep_ca_offered": taken or any(one.code == "ca.dropped" for one in (report.impact if report else ())),
        "keep_ca": taken,
        "keep_ca_until": request.form.get("keep_ca_until") or str(today + timedelta(days=DEFAULT_DAYS)),
        "keep_ca_first": str(today + timedelta(days=1)),
        "keep_ca_last": str(today + timedelta(days=MAX_DAYS)),
    }


def _canaries(name: str) -> list[tuple[str, str]]:
    """The relays that may try it first: value and words. None where nobody would be held back meanwhile."""
    users = frame.snapshot().used_by(name)
    relays = [(one.name, one.display_name or one.name) for one in users.relays if one.enabled]
    return relays[:MAX_CANARIES] if len(users) > 1 else []


def _key_is_missing(form: RotateForm) -> bool:
    """A new certificate, no key beside it, and nobody said that the current key stays."""
    pasted = form.private_key.data or any(request.files.values()) or holds_key(form.certificate.data or "")
    return bool(form.certificate.data) and not pasted and not form.keep_key.data


def _keeps_key(form: RotateForm, report: CheckReport | None) -> bool:
    """Whether the current key stays: none was pasted, wherever."""
    if form.private_key.data and not form.keep_key.data:
        return False
    return report.checked.private_key is None if report else bool(form.keep_key.data)


def _report(view: CertificateView, form: RotateForm, refused: Problem | None = None) -> CheckReport | None:
    """What the checks say; after a refusal of the overlap's date, as if the old CA were not kept."""
    what = _what(form)
    if refused is not None and refused.code.startswith("overlap."):
        what["keep_ca_until"] = None
    if what["private_key"] is None and what["certificate"] is None and what["ca"] is None:
        return None
    return frame.inventory().certificates.check(name=view.name, **what)


def _previewed(view: CertificateView, form: RotateForm) -> CheckReport | None:
    """The report, with the intermediates that it offers when they were asked for."""
    report = _report(view, form)
    if request.form.get("complete") and report and report.offers:
        checks.complete(form, report.offers)
        return _report(view, form)
    return report


def _show(view: CertificateView, form: RotateForm, report: CheckReport | None, **more: Any) -> str:  # noqa: ANN401
    checked = report.checked if report else None
    keeps = _keeps_key(form, report)
    found = more.pop("found", checked.findings if checked else ())
    context = checks.context(checked, found, key_kept=keeps, offers=report.offers if report else ())
    context |= compare(view, checked.facts if checked else None, key_kept=keeps)
    fragment = frame.by_htmx()
    if not fragment:
        checks.keep_files(form, checked)
    else:
        more["key_must_be_pasted_again"] = False
        del context["by_field"]["name"]
    return render_template(
        "certificates/_refused.html" if fragment else "certificates/rotate.html",
        section="certificates",
        rotating=True,
        form=form,
        impacts=impact_groups(report.impact) if report else [],
        accepted=request.form.getlist("accept"),
        consumer_count=len(frame.snapshot().used_by(view.name)),
        canaries=_canaries(view.name),
        canary=request.form.get("canary", ""),
        activate_at=request.form.get("activate_at", ""),
        **(context | _overlap(report) | more),
    )


@pages.get("/certificates/<name>/rotate")
@identity.required
def certificate_rotate(name: str) -> ResponseReturnValue:
    """The form, with what stands now on the left."""
    view = viewed(name)
    return _show(view, RotateForm(data={"expect_version": str(view.version)}), None)


@pages.post("/certificates/<name>/rotate")
@identity.required
def certificate_rotate_now(name: str) -> ResponseReturnValue:
    """Rotate, or show what stands in the way. "Check first" stores nothing."""
    view, form = viewed(name), RotateForm()
    again = {"key_must_be_pasted_again": bool(form.private_key.data)}
    if not form.validate_on_submit() or not (form.expect_version.data or "").isdecimal():
        return _show(view, form, None, problem="Something is missing or too long.", **again), 422
    if _key_is_missing(form):
        found = [NO_KEY]
        return _show(view, form, None, problem="The new certificate needs its key.", found=found, **again), 422
    try:
        if request.form.get("preview") or request.form.get("complete"):
            return _show(view, form, _previewed(view, form), **again), 200
        if request.form.get("stage"):
            return _staged(view, form)
        made = frame.inventory().certificates.rotate(
            name,
            expect_version=int(form.expect_version.data or 0),
            accept=request.form.getlist("accept"),
            canary=request.form.get("canary") or None,
            **_what(form),
        )
    except Problem as refused:
        try:
            report = _report(view, form, refused)
        except Problem:
            report = None
        more: dict[str, Any] = {"problem": refused.detail, "conflicts": refused.conflicts} | again
        if refused.findings and (report is None or refused.code.startswith("overlap.")):
            more["found"] = (*(report.checked.findings if report else ()), *refused.findings)
        return _show(view, form, report, **more), refused.status
    count = len(frame.snapshot().used_by(name))
    following = f" {filters.plural(count, 'consumer')} will follow." if count else ""
    if request.form.get("canary"):
        following = " One relay tries it first; the others follow when it is seen serving."
    flash(f"Version {made.view.version} of {made.view.display_name or name} is in place.{following}", "ok")
    return frame.go(url_for("pages.certificate_rollout", name=name))


def _staged(view: CertificateView, form: RotateForm) -> ResponseReturnValue:
    """Prepare it for later."""
    what = _what(form)
    del what["keep_ca_until"]
    at = request.form.get("activate_at", "").strip()
    made = frame.inventory().certificates.stage(
        view.name, accept=request.form.getlist("accept"), activate_at=at or None, **what
    )
    when = f"The worker makes it current at {filters.absolute(made.activate_at)}." if made.activate_at else ""
    flash(f"The next version of {view.display_name or view.name} stands ready. {when}".strip(), "ok")
    return frame.go(url_for("pages.certificate", name=view.name))


@pages.post("/certificates/<name>/staged/activate")
@identity.required
def certificate_activate(name: str) -> ResponseReturnValue:
    """Let the worker make current what stands ready."""
    frame.inventory().certificates.activate(name, accept=request.form.getlist("accept"))
    flash("The worker makes current what stood ready.", "ok")
    return frame.go(url_for("pages.certificate_rollout", name=name))


@pages.post("/certificates/<name>/staged/discard")
@identity.required
def certificate_discard(name: str) -> ResponseReturnValue:
    """Destroy what stands ready, with its key."""
    frame.inventory().certificates.discard(name)
    flash("What stood ready is discarded.", "ok")
    return frame.go(url_for("pages.certificate", name=name))


@pages.post("/certificates/<name>/rotate/check")
@identity.required
def certificate_rotate_check(name: str) -> ResponseReturnValue:
    """The live check of a rotation: stores nothing; the fragment holds no key."""
    view, form = viewed(name), RotateForm()
    given = frozenset(field for field in ("private_key", "certificate", "ca", "passphrase") if form[field].data)
    report, found = None, list[Finding]()
    try:
        report = _report(view, form)
    except Problem as refused:
        found = list(refused.findings)
        if refused.code.startswith("overlap."):
            report = _report(view, form, refused)
    if report:
        found += checks.without_missing(report.checked.findings, given)
    keeps = _keeps_key(form, report)
    offers = report.offers if report else ()
    context = checks.context(report.checked if report else None, found, key_kept=keeps, offers=offers)
    context |= compare(view, report.checked.facts if report else None, key_kept=keeps)
    del context["by_field"]["name"]
    impact = render_template(
        "certificates/_impact.html",
        impacts=impact_groups(report.impact) if report else [],
        accepted=request.form.getlist("accept"),
        consumer_count=len(frame.snapshot().used_by(name)),
        checked=report is not None,
        view=view,
        **_overlap(report),
    )
    return render_template("certificates/_rotation_checked.html", impact_html=Markup(impact), **context)  # noqa: S704 - made by our template
