"""Relays: the list, a new one, one relay's profile with its binding and its enrolment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.errors import Missing, Problem
from service.records import Relay
from service.web import identity
from service.web.pages import binding, consumers, frame
from service.web.pages.blueprint import pages
from service.web.pages.forms import EnrolForm, NewRelayForm, RelayForm
from service.web.pages.paging import slice_rows
from service.web.pages.standing import Standing, of_relay, serving

INCOMPLETE = "Something is missing or not as it should be; see below."


@dataclass(frozen=True, slots=True)
class Row:
    """One relay of the list."""

    title: str
    href: str
    comment: str
    address: str
    mode: str
    certificate: str
    certificate_href: str
    serving: Standing
    state: Standing


def _row(relay: Relay) -> Row:
    snapshot = frame.snapshot()
    view = snapshot.certificates.get(relay.certificate) if relay.certificate else None
    return Row(
        title=relay.display_name or relay.name,
        href=url_for("pages.relay", name=relay.name),
        comment=relay.comment,
        address=f"{relay.host}:{relay.port}",
        mode="mTLS" if relay.tls_mode == "mtls" else "TLS",
        certificate=(view.display_name or view.name) if view else relay.certificate or "",
        certificate_href=url_for("pages.certificate", name=relay.certificate) if relay.certificate else "",
        serving=serving(snapshot, relay.consumer, frame.now()),
        state=of_relay(relay),
    )


def _matches(relay: Relay, words: list[str]) -> bool:
    text = f"{relay.name} {relay.display_name} {relay.host} {relay.certificate or ''} {relay.comment}".lower()
    return all(word in text for word in words)


@pages.get("/relays")
@identity.required
def relays() -> ResponseReturnValue:
    """The list."""
    snapshot = frame.snapshot()
    q = request.args.get("q", "").strip()[:200]
    found = [relay for relay in snapshot.relays.values() if _matches(relay, q.lower().split())]
    part = slice_rows(found, request.args.get("start", ""), lambda **more: url_for("pages.relays", q=q or None, **more))
    return render_template(
        "relays/list.html",
        section="relays",
        q=q,
        none_at_all=not snapshot.relays,
        rows=[_row(relay) for relay in part.rows],
        pager=part.pager,
    )


@pages.route("/new/relay", methods=["GET", "POST"])
@identity.required
def relay_new() -> ResponseReturnValue:
    """Create one, perhaps bound at once."""
    form = NewRelayForm()
    snapshot = frame.snapshot()
    form.certificate.choices = consumers.certificate_choices(snapshot, None, none="None yet")
    form.provider.choices = consumers.provider_choices(snapshot)
    if request.method == "GET":
        return _form(form, None)
    if not form.validate_on_submit():
        return _form(form, None, problem=INCOMPLETE), 422
    try:
        made = frame.inventory().relays.create(
            name=form.name.data or "",
            certificate=form.certificate.data or None,
            accept=request.form.getlist("accept"),
            **_fields(form),
        )
    except Problem as refused:
        return _form(form, None, **binding.told(refused)), refused.status
    flash(f"{made.display_name or made.name} is registered.", "ok")
    return redirect(url_for("pages.relay", name=made.name), 303)


def _fields(form: NewRelayForm | RelayForm) -> dict[str, Any]:
    return {
        "host": form.host.data,
        "port": form.port.data,
        "tls_mode": form.tls_mode.data,
        "provider": form.provider.data or "",
        "enabled": bool(form.enabled.data),
        "comment": form.comment.data or "",
    }


def _form(form: NewRelayForm | RelayForm, relay: Relay | None, **more: Any) -> str:  # noqa: ANN401 - template values
    heading = f"Edit {relay.display_name or relay.name}" if relay else "New relay"
    return render_template("relays/form.html", section="relays", form=form, relay=relay, heading=heading, **more)


def _relay(name: str) -> Relay:
    relay = frame.snapshot().relays.get(name)
    if relay is None:
        raise Missing(f"There is no relay named {name}.")
    return relay


@pages.get("/relays/<name>")
@identity.required
def relay(name: str) -> ResponseReturnValue:
    """Where it is, what it serves, its binding and its enrolment."""
    return _show(_relay(name))


def _show(it: Relay, refused: Problem | None = None) -> str:
    snapshot = frame.snapshot()
    status = snapshot.statuses.get(it.consumer)
    covered = binding.coverage_of(it.consumer, it.certificate)
    return render_template(
        "relays/profile.html",
        section="relays",
        relay=it,
        standing=of_relay(it),
        consumer=it.consumer,
        status_at=status.at if status else None,
        delivery_url=frame.ports().delivery_url,
        binding=binding.binding_of(
            it.consumer,
            it.certificate,
            url_for("pages.relay_bind", name=it.name),
            covered,
            refused,
            host=it.host,
            impacts=lambda chosen: frame.inventory().relays.binding_impacts(it.name, chosen),
        ),
        enrolment=binding.Enrolment(
            url_for("pages.relay_enroll", name=it.name), url_for("pages.relay_revoke", name=it.name), EnrolForm()
        ),
        changes=consumers.changes_of(
            snapshot, [("relay", it.name), ("binding", it.consumer), ("consumer", it.consumer)]
        ),
    )


@pages.route("/relays/<name>/edit", methods=["GET", "POST"])
@identity.required
def relay_edit(name: str) -> ResponseReturnValue:
    """Change where it is and how it speaks TLS."""
    it = _relay(name)
    form = RelayForm(obj=it, data={"expect_version": str(it.version), "provider": it.provider or ""})
    form.provider.choices = consumers.provider_choices(frame.snapshot())
    if request.method == "GET":
        return _form(form, it)
    if not form.validate_on_submit() or not (form.expect_version.data or "").isdecimal():
        return _form(form, it, problem=INCOMPLETE), 422
    try:
        frame.inventory().relays.update(
            name,
            expect_version=int(form.expect_version.data or 0),
            accept=request.form.getlist("accept"),
            **_fields(form),
        )
    except Problem as refused:
        return _form(form, it, **binding.told(refused)), refused.status
    flash("The relay is saved.", "ok")
    return redirect(url_for("pages.relay", name=name), 303)


@pages.post("/relays/<name>/certificate")
@identity.required
def relay_bind(name: str) -> ResponseReturnValue:
    """Bind, bind elsewhere, or unbind; or show what a certificate would change."""
    it = _relay(name)
    if binding.previewing():
        return _show(it)

    def bind(certificate: str | None, accept: Sequence[str]) -> object:
        return frame.inventory().relays.bind(name, certificate, accept=accept)

    try:
        return binding.change_binding(bind, it.display_name or it.name, url_for("pages.relay", name=name))
    except Problem as refused:
        return _show(_relay(name), refused), refused.status


@pages.post("/relays/<name>/enrollment")
@identity.required
def relay_enroll(name: str) -> ResponseReturnValue:
    """A one-time token, shown on this one page."""
    it = _relay(name)
    back = url_for("pages.relay", name=name)
    trail = [("Relays", url_for("pages.relays")), (it.name, back), ("Enrolment", None)]
    made = frame.inventory().relays.enroll(name, binding.ttl_s())
    return binding.show_enrolled(made, it.display_name or it.name, trail, back)


@pages.route("/relays/<name>/revoke", methods=["GET", "POST"])
@identity.required
def relay_revoke(name: str) -> ResponseReturnValue:
    """Every credential of it dead at once."""
    it = _relay(name)
    back = url_for("pages.relay", name=name)
    what = binding.Confirmation(
        section="relays",
        heading=f"Revoke the credentials of {it.display_name or it.name}",
        trail=[("Relays", url_for("pages.relays")), (it.name, back), ("Revoke", None)],
        consequences=(
            (
                "Every credential and token of this relay ends at once. It keeps serving what it has installed, "
                "and follows no rotation until it is enrolled again."
            ),
        ),
        confirm_name=name,
        button="Revoke",
        button_icon="ban",
        back_href=back,
        done_href=back,
        done_message="Its credentials are revoked. Enrol it again to let it follow.",
    )
    return binding.confirm(what, lambda: frame.inventory().relays.revoke(name))


@pages.route("/relays/<name>/delete", methods=["GET", "POST"])
@identity.required
def relay_delete(name: str) -> ResponseReturnValue:
    """Remove it, its binding and its credentials."""
    it = _relay(name)
    back = url_for("pages.relay", name=name)
    bound = f" It is bound to {it.certificate}." if it.certificate else ""
    what = binding.Confirmation(
        section="relays",
        heading=f"Delete {it.display_name or it.name}",
        trail=[("Relays", url_for("pages.relays")), (it.name, back), ("Delete", None)],
        consequences=(
            f"The relay is cut off: its credentials end, and it can read no certificate any more.{bound}",
            "It keeps serving what it has installed until that expires.",
        ),
        confirm_name=name,
        button="Delete this relay",
        button_icon="trash",
        back_href=back,
        done_href=url_for("pages.relays"),
        done_message=f"{it.display_name or it.name} is deleted.",
    )
    return binding.confirm(what, lambda: frame.inventory().relays.delete(name))
