"""Binding and enrolment, the same for a relay and for a provider's cluster."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from flask import flash, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.errors import Problem
from service.index import CertificateView
from service.inventory.impact import Impact
from service.pki.coverage import Coverage
from service.pki.finding import Finding, Severity
from service.web.pages import consumers, frame
from service.web.pages.forms import BindForm, ConfirmForm, EnrolForm
from service.web.pages.impacts import ImpactLine, impact_groups
from service.web.pages.standing import Standing, serving

DEFAULT_TTL_S: Final = 3600


class OneTimeToken(Protocol):
    """A token that shows itself only when asked."""

    def reveal(self) -> str:
        """The token."""


class Enrolled(Protocol):
    """What a new enrolment offers: the one-time token, the role, and until when."""

    @property
    def role_id(self) -> str:
        """The AppRole's id; not a secret."""

    @property
    def expires_at(self) -> datetime:
        """Until when the token can be used."""

    @property
    def wrapping_token(self) -> OneTimeToken:
        """The token."""


@dataclass(frozen=True, slots=True)
class ToAccept:
    """A harm that has to be ticked before the binding is made."""

    key: str
    message: str


@dataclass(frozen=True, slots=True)
class Binding:
    """What a consumer is bound to, whether it fits, and the form that binds."""

    action: str
    form: BindForm
    certificate: str | None
    title: str
    href: str
    view: CertificateView | None
    coverage: Coverage | None
    serving: Standing
    problem: str = ""
    found: tuple[Finding, ...] = ()
    impacts: tuple[ImpactLine, ...] = ()
    chosen: str = ""
    accepted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The enrolment panel."""

    action: str
    revoke_href: str
    form: EnrolForm


def coverage_of(consumer: str, certificate: str | None) -> Coverage | None:
    """How a consumer's certificate fits it; None when it has none, or when that one is gone."""
    view = frame.snapshot().certificates.get(certificate) if certificate else None
    if view is None or view.facts is None:
        return None
    return frame.inventory().certificates.get(view.name).coverages.get(consumer)


def told(refused: Problem) -> dict[str, Any]:
    """What a form's template says about a refusal, with the harms that can be accepted."""
    return {
        "problem": refused.detail,
        "found": refused.findings,
        "conflicts": refused.conflicts,
        "to_accept": to_accept(refused),
    }


def to_accept(refused: Problem | None) -> tuple[ToAccept, ...]:
    """The harms of a binding that does not fit; nothing else can be accepted."""
    if refused is None or refused.code not in {"binding.does-not-fit", "impact.not-accepted"}:
        return ()
    return tuple(ToAccept(it.code, it.message) for it in refused.findings if it.severity is Severity.ERROR)


def binding_of(
    consumer: str,
    certificate: str | None,
    action: str,
    coverage: Coverage | None,
    refused: Problem | None = None,
    *,
    host: str = "",
    impacts: Callable[[str], Sequence[Impact]],
) -> Binding:
    """The binding panel of a consumer.

    Args:
        refused: why the last try was turned down.
        host: what clients call it.
        impacts: what a certificate would change for it; asked when one was chosen.
    """
    snapshot = frame.snapshot()
    view = snapshot.certificates.get(certificate) if certificate else None
    chosen = request.form.get("certificate", "") if refused or previewing() else ""
    form = BindForm(formdata=request.form if chosen else None, data={"certificate": ""})
    form.certificate.choices = consumers.certificate_choices(
        snapshot, certificate, none="Choose a certificate", host=host
    )
    lines: tuple[ImpactLine, ...] = ()
    if chosen:
        try:
            lines = tuple(line for group in impact_groups(impacts(chosen)) for line in group.lines)
        except Problem as unusable:
            refused, chosen = refused or unusable, ""
    told = {line.finding.code for line in lines}
    return Binding(
        action=action,
        form=form,
        certificate=certificate,
        title=(view.display_name or view.name) if view else certificate or "",
        href=url_for("pages.certificate", name=certificate) if view else "",
        view=view if view and view.facts else None,
        coverage=coverage,
        serving=serving(snapshot, consumer, frame.now()),
        problem=refused.detail if refused else "",
        found=tuple(one for one in refused.findings if one.code not in told) if refused else (),
        impacts=lines,
        chosen=chosen,
        accepted=tuple(request.form.getlist("accept")),
    )


def previewing() -> bool:
    """Whether a person asked what a binding would change, before making it."""
    return request.method == "POST" and request.form.get("do") == "preview" and bool(request.form.get("certificate"))


def change_binding(bind: Callable[[str | None, Sequence[str]], object], title: str, back: str) -> ResponseReturnValue:
    """Carry out the bind form.

    Args:
        bind: binds to a certificate, or to none, accepting the harms of these codes.
        title: the consumer's name for people.
        back: its page.

    Raises:
        Problem: the caller shows it beside the form.
    """
    chosen = request.form.get("certificate", "")
    if request.form.get("do") == "unbind":
        bind(None, ())
        flash(f"{title} is not bound any more.", "ok")
    else:
        if not chosen:
            flash("Choose a certificate first.", "due")
            return redirect(back, 303)
        bind(chosen, request.form.getlist("accept"))
        flash(f"{title} is bound to {chosen}. It may read it from its next request on.", "ok")
    return redirect(back, 303)


def show_enrolled(
    enrollment: Enrolled, title: str, trail: list[tuple[str, str | None]], back: str
) -> ResponseReturnValue:
    """The one page that shows a one-time token. It is not kept anywhere, nor may a cache keep it."""
    delivery_url = frame.ports().delivery_url
    command = (
        f"keystead agent enroll --url {delivery_url or 'https://HOST:8444'} --ca ca.pem "
        f"--state-dir /var/lib/keystead-agent --role-id {enrollment.role_id} --wrapping-token-file -"
    )
    page = render_template(
        "parts/enrolled.html",
        section="relays" if request.endpoint == "pages.relay_enroll" else "providers",
        trail=trail,
        title=title,
        enrollment=enrollment,
        token=enrollment.wrapping_token.reveal(),
        command=command,
        done_href=back,
    )
    response = make_response(page)
    response.headers["Cache-Control"] = "no-store"
    return response


def ttl_s() -> int:
    """The chosen life of a one-time token; the form's own default for anything it does not offer."""
    form = EnrolForm()
    return int(form.ttl.data) if form.validate() and form.ttl.data else DEFAULT_TTL_S


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A page that asks for a name before it destroys."""

    section: str
    heading: str
    trail: list[tuple[str, str | None]]
    consequences: tuple[str, ...]
    confirm_name: str
    button: str
    button_icon: str
    back_href: str
    done_href: str
    done_message: str


def confirm(what: Confirmation, act: Callable[[], object]) -> ResponseReturnValue:
    """Ask; and act when the name was typed."""
    form = ConfirmForm()
    problem, status = "", 200
    conflicts: tuple[str, ...] = ()
    if request.method == "POST":
        status = 422
        if not form.validate_on_submit() or form.confirm.data != what.confirm_name:
            problem = f"To confirm, type {what.confirm_name}."
        else:
            try:
                act()
            except Problem as refused:
                problem, conflicts, status = refused.detail, refused.conflicts, refused.status
            else:
                flash(what.done_message, "ok")
                return redirect(what.done_href, 303)
    fields = {name: getattr(what, name) for name in Confirmation.__slots__}
    return render_template("parts/confirm.html", form=form, problem=problem, conflicts=conflicts, **fields), status
