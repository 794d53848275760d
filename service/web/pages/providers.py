"""Container providers: the list, a new one, one provider's profile with its clusters as cards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.errors import Missing, Problem
from service.inventory.providers import NewCluster
from service.records import Provider
from service.web import identity
from service.web.pages import binding, consumers, frame
from service.web.pages.blueprint import pages
from service.web.pages.forms import NewProviderForm, ProviderForm
from service.web.pages.paging import slice_rows
from service.web.pages.relays import INCOMPLETE
from service.web.pages.standing import Standing, of_provider, serving

KIND_WORDS: Final = {"swarm": "Swarm", "kubernetes": "Kubernetes"}
MULTI_CLUSTER_WORDS: Final = {"none": "single", "active-passive": "active-passive", "active-active": "active-active"}


@dataclass(frozen=True, slots=True)
class Row:
    """One provider of the list."""

    title: str
    href: str
    comment: str
    kind: str
    multi_cluster: str
    visibility: str
    clusters: int
    bound: int
    state: Standing


@dataclass(frozen=True, slots=True)
class ClusterCard:
    """One cluster on the profile."""

    name: str
    href: str
    url: str
    server_name: str
    cert_auth: bool
    certificate: str
    certificate_title: str
    certificate_href: str
    serving: Standing
    fits: Standing | None


def found(name: str) -> Provider:
    """The provider from the index.

    Raises:
        Missing: there is none of that name.
    """
    provider = frame.snapshot().providers.get(name)
    if provider is None:
        raise Missing(f"There is no container provider named {name}.")
    return provider


def _row(it: Provider) -> Row:
    return Row(
        title=it.display_name or it.name,
        href=url_for("pages.provider", name=it.name),
        comment=it.comment,
        kind=KIND_WORDS[it.kind],
        multi_cluster=MULTI_CLUSTER_WORDS[it.multi_cluster],
        visibility=it.visibility,
        clusters=len(it.clusters),
        bound=sum(1 for cluster in it.clusters if cluster.certificate),
        state=of_provider(it),
    )


def _matches(it: Provider, words: list[str]) -> bool:
    of_clusters = " ".join(f"{cluster.name} {cluster.url} {cluster.certificate or ''}" for cluster in it.clusters)
    text = f"{it.name} {it.display_name} {it.kind} {it.comment} {of_clusters}".lower()
    return all(word in text for word in words)


@pages.get("/providers")
@identity.required
def providers() -> ResponseReturnValue:
    """The list."""
    snapshot = frame.snapshot()
    q = request.args.get("q", "").strip()[:200]
    matching = [it for it in snapshot.providers.values() if _matches(it, q.lower().split())]
    part = slice_rows(
        matching, request.args.get("start", ""), lambda **more: url_for("pages.providers", q=q or None, **more)
    )
    return render_template(
        "providers/list.html",
        section="providers",
        q=q,
        none_at_all=not snapshot.providers,
        rows=[_row(it) for it in part.rows],
        pager=part.pager,
    )


@pages.route("/new/provider", methods=["GET", "POST"])
@identity.required
def provider_new() -> ResponseReturnValue:
    """Create one, disabled, perhaps with its first cluster."""
    form = NewProviderForm()
    form.certificate.choices = consumers.certificate_choices(frame.snapshot(), None, none="None yet")
    shown = {
        "heading": "New container provider",
        "intro": "It is disabled until you enable it.",
        "trail": [("Container Providers", url_for("pages.providers")), ("New", None)],
        "button": "Create",
        "back_href": url_for("pages.providers"),
    }
    if request.method == "GET":
        return _form(form, **shown)
    if not form.validate_on_submit():
        return _form(form, problem=INCOMPLETE, **shown), 422
    if bool(form.cluster_name.data) != bool(form.url.data):
        return _form(
            form, problem="A cluster needs both a name and a URL. Leave both empty to add it later.", **shown
        ), 422
    cluster = NewCluster(
        name=form.cluster_name.data or "",
        url=form.url.data or "",
        server_name=form.server_name.data or "",
        cert_auth=bool(form.cert_auth.data),
        certificate=form.certificate.data or "",
    )
    try:
        made = frame.inventory().providers.create(
            name=form.name.data or "",
            kind=form.kind.data,
            multi_cluster=form.multi_cluster.data,
            visibility=form.visibility.data,
            comment=form.comment.data or "",
            clusters=[cluster] if cluster.name else [],
            accept=request.form.getlist("accept"),
        )
    except Problem as refused:
        return _form(form, **binding.told(refused), **shown), refused.status
    flash(f"{made.display_name or made.name} is registered, and disabled until you enable it.", "ok")
    return redirect(url_for("pages.provider", name=made.name), 303)


def _form(form: Any, **more: Any) -> str:  # noqa: ANN401 - template values
    return render_template("providers/form.html", section="providers", form=form, **more)


@pages.get("/providers/<name>")
@identity.required
def provider(name: str) -> ResponseReturnValue:
    """What it is, and its clusters."""
    it, snapshot = found(name), frame.snapshot()
    cards = []
    for cluster in it.clusters:
        view = snapshot.certificates.get(cluster.certificate) if cluster.certificate else None
        covered = binding.coverage_of(it.consumer(cluster.name), cluster.certificate)
        fits = None
        if covered is not None:
            fits = Standing("ok", "yes") if covered.ok else Standing("wrong", "no")
        cards.append(
            ClusterCard(
                name=cluster.name,
                href=url_for("pages.cluster", name=name, cluster=cluster.name),
                url=cluster.url,
                server_name=cluster.server_name or "",
                cert_auth=cluster.cert_auth,
                certificate=cluster.certificate or "",
                certificate_title=(view.display_name or view.name) if view else cluster.certificate or "",
                certificate_href=url_for("pages.certificate", name=cluster.certificate) if cluster.certificate else "",
                serving=serving(snapshot, it.consumer(cluster.name), frame.now()),
                fits=fits,
            )
        )
    wanted = [("provider", name)]
    wanted += [(kind, it.consumer(cluster.name)) for cluster in it.clusters for kind in ("binding", "consumer")]
    return render_template(
        "providers/profile.html",
        section="providers",
        provider=it,
        kind_word=KIND_WORDS[it.kind],
        multi_cluster_word=MULTI_CLUSTER_WORDS[it.multi_cluster],
        clusters=cards,
        changes=consumers.changes_of(snapshot, wanted),
    )


@pages.post("/providers/<name>/enabled")
@identity.required
def provider_enable(name: str) -> ResponseReturnValue:
    """Enable or disable."""
    it = found(name)
    enabled = request.form.get("enabled") == "yes"
    version = request.form.get("expect_version", "")
    expected = int(version) if version.isdecimal() else it.version
    frame.inventory().providers.update(name, expect_version=expected, enabled=enabled)
    flash(f"{it.display_name or name} is {'enabled' if enabled else 'disabled'}.", "ok")
    return redirect(url_for("pages.provider", name=name), 303)


@pages.route("/providers/<name>/edit", methods=["GET", "POST"])
@identity.required
def provider_edit(name: str) -> ResponseReturnValue:
    """Change what is said about it. Clusters change on their own pages."""
    it = found(name)
    form = ProviderForm(obj=it, data={"expect_version": str(it.version)})
    back = url_for("pages.provider", name=name)
    shown = {
        "heading": f"Edit {it.display_name or name}",
        "trail": [("Container Providers", url_for("pages.providers")), (name, back), ("Edit", None)],
        "button": "Save",
        "back_href": back,
    }
    if request.method == "GET":
        return _form(form, **shown)
    if not form.validate_on_submit() or not (form.expect_version.data or "").isdecimal():
        return _form(form, problem=INCOMPLETE, **shown), 422
    try:
        frame.inventory().providers.update(
            name,
            expect_version=int(form.expect_version.data or 0),
            multi_cluster=form.multi_cluster.data,
            visibility=form.visibility.data,
            comment=form.comment.data or "",
        )
    except Problem as refused:
        return _form(form, **binding.told(refused), **shown), refused.status
    flash("The container provider is saved.", "ok")
    return redirect(back, 303)


@pages.route("/providers/<name>/delete", methods=["GET", "POST"])
@identity.required
def provider_delete(name: str) -> ResponseReturnValue:
    """Remove it with its clusters, their bindings and credentials."""
    it = found(name)
    back = url_for("pages.provider", name=name)
    clusters = ", ".join(cluster.name for cluster in it.clusters)
    what = binding.Confirmation(
        section="providers",
        heading=f"Delete {it.display_name or name}",
        trail=[("Container Providers", url_for("pages.providers")), (name, back), ("Delete", None)],
        consequences=(
            f"Its clusters are cut off: {clusters}. Their credentials end at once."
            if clusters
            else "It has no cluster; nothing is cut off.",
        ),
        confirm_name=name,
        button="Delete this provider",
        button_icon="trash",
        back_href=back,
        done_href=url_for("pages.providers"),
        done_message=f"{it.display_name or name} is deleted.",
    )
    return binding.confirm(what, lambda: frame.inventory().providers.delete(name))
