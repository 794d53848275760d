"""One cluster of a container provider: add, change, bind, enrol, remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.errors import Missing, Problem
from service.inventory.providers import NewCluster
from service.records import Cluster, Provider
from service.web import identity
from service.web.pages import binding, consumers, frame
from service.web.pages.blueprint import pages
from service.web.pages.forms import ClusterForm, EnrolForm, NewClusterForm
from service.web.pages.providers import found
from service.web.pages.relays import INCOMPLETE


def _found(name: str, cluster: str) -> tuple[Provider, Cluster]:
    provider = found(name)
    it = provider.cluster(cluster)
    if it is None:
        raise Missing(f"{provider.display_name or name} has no cluster named {cluster}.")
    return provider, it


def _trail(provider: Provider, *last: str) -> list[tuple[str, str | None]]:
    return [
        ("Container Providers", url_for("pages.providers")),
        (provider.name, url_for("pages.provider", name=provider.name)),
        *((word, None) for word in last),
    ]


def _form(form: NewClusterForm | ClusterForm, **more: Any) -> str:  # noqa: ANN401 - template values
    return render_template("providers/form.html", section="providers", form=form, **more)


def _fields(form: NewClusterForm | ClusterForm) -> dict[str, Any]:
    return {
        "url": form.url.data,
        "server_name": form.server_name.data or "",
        "cert_auth": bool(form.cert_auth.data),
    }


@pages.route("/providers/<name>/new-cluster", methods=["GET", "POST"])
@identity.required
def cluster_new(name: str) -> ResponseReturnValue:
    """Add a cluster, perhaps bound at once."""
    provider = found(name)
    form = NewClusterForm(data={"expect_version": str(provider.version)})
    form.certificate.choices = consumers.certificate_choices(frame.snapshot(), None, none="None yet")
    back = url_for("pages.provider", name=name)
    shown = {
        "heading": f"Add a cluster to {provider.display_name or name}",
        "trail": _trail(provider, "New cluster"),
        "button": "Add",
        "back_href": back,
    }
    if request.method == "GET":
        return _form(form, **shown)
    if not form.validate_on_submit():
        return _form(form, problem=INCOMPLETE, **shown), 422
    try:
        frame.inventory().providers.add_cluster(
            name,
            NewCluster(
                name=form.cluster_name.data or "",
                certificate=form.certificate.data or "",
                **_fields(form),
            ),
            accept=request.form.getlist("accept"),
        )
    except Problem as refused:
        return _form(form, **binding.told(refused), **shown), refused.status
    flash(f"The cluster {form.cluster_name.data} is added.", "ok")
    return redirect(back, 303)


@pages.get("/providers/<name>/clusters/<cluster>")
@identity.required
def cluster(name: str, cluster: str) -> ResponseReturnValue:
    """Where it is, its binding and its enrolment."""
    return _show(*_found(name, cluster))


def _show(provider: Provider, it: Cluster, refused: Problem | None = None) -> str:
    consumer = provider.consumer(it.name)
    status = frame.snapshot().statuses.get(consumer)
    covered = binding.coverage_of(consumer, it.certificate)
    here: dict[str, Any] = {"name": provider.name, "cluster": it.name}
    return render_template(
        "providers/cluster.html",
        section="providers",
        provider=provider,
        cluster=it,
        consumer=consumer,
        status_at=status.at if status else None,
        delivery_url=frame.ports().delivery_url,
        binding=binding.binding_of(
            consumer,
            it.certificate,
            url_for("pages.cluster_bind", **here),
            covered,
            refused,
            impacts=lambda chosen: frame.inventory().providers.binding_impacts(provider.name, it.name, chosen),
        ),
        enrolment=binding.Enrolment(
            url_for("pages.cluster_enroll", **here), url_for("pages.cluster_revoke", **here), EnrolForm()
        ),
    )


@pages.route("/providers/<name>/clusters/<cluster>/edit", methods=["GET", "POST"])
@identity.required
def cluster_edit(name: str, cluster: str) -> ResponseReturnValue:
    """Change where it is."""
    provider, it = _found(name, cluster)
    form = ClusterForm(obj=it, data={"expect_version": str(provider.version)})
    back = url_for("pages.cluster", name=name, cluster=cluster)
    shown = {
        "heading": f"Edit {cluster}",
        "trail": _trail(provider, cluster, "Edit"),
        "button": "Save",
        "back_href": back,
    }
    if request.method == "GET":
        return _form(form, **shown)
    if not form.validate_on_submit() or not (form.expect_version.data or "").isdecimal():
        return _form(form, problem=INCOMPLETE, **shown), 422
    try:
        frame.inventory().providers.update_cluster(
            name,
            cluster,
            expect_version=int(form.expect_version.data or 0),
            accept=request.form.getlist("accept"),
            **_fields(form),
        )
    except Problem as refused:
        return _form(form, **binding.told(refused), **shown), refused.status
    flash("The cluster is saved.", "ok")
    return redirect(back, 303)


@pages.post("/providers/<name>/clusters/<cluster>/certificate")
@identity.required
def cluster_bind(name: str, cluster: str) -> ResponseReturnValue:
    """Bind, bind elsewhere, or unbind; or show what a certificate would change."""
    provider, it = _found(name, cluster)
    if binding.previewing():
        return _show(provider, it)

    def bind(certificate: str | None, accept: Sequence[str]) -> object:
        return frame.inventory().providers.bind_cluster(name, cluster, certificate, accept=accept)

    title = f"{provider.display_name or name} / {cluster}"
    try:
        return binding.change_binding(bind, title, url_for("pages.cluster", name=name, cluster=cluster))
    except Problem as refused:
        return _show(*_found(name, cluster), refused), refused.status


@pages.post("/providers/<name>/clusters/<cluster>/enrollment")
@identity.required
def cluster_enroll(name: str, cluster: str) -> ResponseReturnValue:
    """A one-time token, shown on this one page."""
    provider, _ = _found(name, cluster)
    back = url_for("pages.cluster", name=name, cluster=cluster)
    made = frame.inventory().providers.enroll_cluster(name, cluster, binding.ttl_s())
    title = f"{provider.display_name or name} / {cluster}"
    return binding.show_enrolled(made, title, _trail(provider, cluster, "Enrolment"), back)


@pages.route("/providers/<name>/clusters/<cluster>/revoke", methods=["GET", "POST"])
@identity.required
def cluster_revoke(name: str, cluster: str) -> ResponseReturnValue:
    """Every credential of it dead at once."""
    provider, _ = _found(name, cluster)
    back = url_for("pages.cluster", name=name, cluster=cluster)
    what = binding.Confirmation(
        section="providers",
        heading=f"Revoke the credentials of {cluster}",
        trail=_trail(provider, cluster, "Revoke"),
        consequences=(
            (
                "Every credential and token of this cluster ends at once. It keeps using what it has installed, "
                "and follows no rotation until it is enrolled again."
            ),
        ),
        confirm_name=cluster,
        button="Revoke",
        button_icon="ban",
        back_href=back,
        done_href=back,
        done_message="Its credentials are revoked. Enrol it again to let it follow.",
    )
    return binding.confirm(what, lambda: frame.inventory().providers.revoke_cluster(name, cluster))


@pages.route("/providers/<name>/clusters/<cluster>/remove", methods=["GET", "POST"])
@identity.required
def cluster_remove(name: str, cluster: str) -> ResponseReturnValue:
    """Take it out of the provider, with its binding and credentials."""
    provider, _ = _found(name, cluster)
    what = binding.Confirmation(
        section="providers",
        heading=f"Remove {cluster} from {provider.display_name or name}",
        trail=_trail(provider, cluster, "Remove"),
        consequences=("The cluster is cut off: its credentials end, and it can read no certificate any more.",),
        confirm_name=cluster,
        button="Remove this cluster",
        button_icon="trash",
        back_href=url_for("pages.cluster", name=name, cluster=cluster),
        done_href=url_for("pages.provider", name=name),
        done_message=f"The cluster {cluster} is removed.",
    )
    return binding.confirm(what, lambda: frame.inventory().providers.remove_cluster(name, cluster))
