"""The list of certificates, and New Certificate with its live check."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from flask import flash, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from service.errors import Malformed, Problem
from service.index import Filter, ListQuery, Snapshot, list_certificates
from service.index.listing import MAX_SEARCH_CHARACTERS, ListItem
from service.web import filters, identity
from service.web.pages import checks, frame
from service.web.pages.blueprint import pages
from service.web.pages.forms import NewCertificateForm
from service.web.pages.paging import PAGE_SIZE, Pager, Place, cursor_pager
from service.web.pages.standing import Standing, of_certificate

CHIPS: Final = (
    (Filter.ALL, "All"),
    (Filter.EXPIRED, "Expired"),
    (Filter.EXPIRING, "Expires soon"),
    (Filter.IN_USE, "In use"),
    (Filter.UNUSED, "Not used"),
    (Filter.PROBLEM, "Cannot be read"),
    (Filter.DELETED, "Deleted"),
)
QUIET_WHEN_EMPTY: Final = frozenset({Filter.PROBLEM, Filter.DELETED, Filter.EXPIRED})
"""Chips left out while they would count nothing."""

COLUMNS: Final = (
    ("name", "Certificate", "w-name"),
    (None, "Covers", "w-covers"),
    ("issuer", "Issuer", "w-issuer"),
    ("expires", "Expires", "w-expires"),
    ("used", "Used by", "w-used"),
    (None, "State", ""),
)
SORT_WORDS: Final = {
    "name": "by name",
    "issuer": "by issuer",
    "expires": "by expiry",
    "used": "by use",
    "updated": "by last change",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One certificate of the list."""

    title: str
    href: str
    comment: str
    first_host: str
    more_hosts: int
    issuer: str
    not_before: datetime | None
    not_after: datetime | None
    relays: int
    clusters: int
    state: Standing


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter with the number of certificates it would show."""

    word: str
    href: str
    count: int
    current: bool


@dataclass(frozen=True, slots=True)
class Column:
    """A column's head: a link that sorts by it, and the direction when the list is sorted so."""

    word: str
    width: str
    href: str | None
    direction: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """What the list's template shows."""

    q: str
    status: str
    status_word: str
    sort: str
    sort_word: str
    none_at_all: bool
    chips: tuple[Chip, ...]
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


def _row(item: ListItem, snapshot: Snapshot, now: datetime) -> Row:
    view, facts = item.view, item.view.facts
    hosts = facts.leaf.dns_names + facts.leaf.ip_addresses if facts else ()
    return Row(
        title=view.display_name or view.name,
        href=url_for("pages.certificate", name=view.name),
        comment=view.comment,
        first_host=hosts[0] if hosts else "",
        more_hosts=max(0, len(hosts) - 1),
        issuer=(facts.leaf.issuer_common_name or filters.organisation(facts.leaf.issuer)) if facts else "",
        not_before=facts.leaf.not_before if facts else None,
        not_after=facts.not_after if facts else None,
        relays=item.relays,
        clusters=item.clusters,
        state=of_certificate(view, snapshot, now),
    )


def _columns(sort: str, kept: dict[str, Any]) -> tuple[Column, ...]:
    columns = []
    for key, word, width in COLUMNS:
        if key is None:
            columns.append(Column(word, width, None, None))
            continue
        up, down = sort == key, sort == f"-{key}"
        following = f"-{key}" if up else key
        href = url_for("pages.certificates", **(kept | {"sort": None if following == "name" else following}))
        columns.append(Column(word, width, href, "ascending" if up else "descending" if down else None))
    return tuple(columns)


@pages.get("/certificates")
@identity.required
def certificates() -> ResponseReturnValue:
    """The list: search, filter, sort, page. Reads the index only."""
    snapshot, now = frame.snapshot(), frame.now()
    q = request.args.get("q", "").strip()[:MAX_SEARCH_CHARACTERS]
    status, sort = request.args.get("status", ""), request.args.get("sort", "") or "name"
    place = Place(request.args.get("cursor", ""), request.args.get("trail", ""), request.args.get("start", ""))
    query = ListQuery(q=q, status=status or Filter.ALL, sort=sort, limit=PAGE_SIZE, cursor=place.cursor)
    try:
        page = list_certificates(snapshot, query, now)
    except Malformed:
        return redirect(url_for("pages.certificates", q=q or None), 303)
    kept: dict[str, Any] = {"q": q or None, "status": status or None, "sort": None if sort == "name" else sort}

    def href(**more: Any) -> str:  # noqa: ANN401 - URL parameters
        return url_for("pages.certificates", **kept, **more)

    chips = tuple(
        Chip(
            word,
            url_for("pages.certificates", **(kept | {"status": None if key == Filter.ALL else str(key)})),
            count,
            (status or Filter.ALL) == key,
        )
        for key, word in CHIPS
        if (count := page.counts.get(key, 0)) or key not in QUIET_WHEN_EMPTY or status == key
    )
    listing = Listing(
        q=q,
        status=status,
        status_word=next((word for key, word in CHIPS if key == status), status),
        sort=sort,
        sort_word=SORT_WORDS[sort.removeprefix("-")] + (", reversed" if sort.startswith("-") else ""),
        none_at_all=not snapshot.certificates,
        chips=chips,
        columns=_columns(sort, kept),
        rows=tuple(_row(item, snapshot, now) for item in page.items),
    )
    pager: Pager = cursor_pager(place, shown=len(page.items), total=page.total, next_cursor=page.next_cursor, href=href)
    return render_template("certificates/list.html", section="certificates", listing=listing, pager=pager)


@pages.get("/new/certificate")
@identity.required
def certificate_new() -> ResponseReturnValue:
    """The empty form."""
    return _show_new(NewCertificateForm(), checks.context(None, ()))


@pages.post("/new/certificate")
@identity.required
def certificate_create() -> ResponseReturnValue:
    """Create it, or show the form again with what the checks found; without the key, which no page sends back."""
    form = NewCertificateForm()
    if not form.validate_on_submit():
        return _show_new(form, checks.context(None, ()), problem="Something is missing or too long."), 422
    try:
        made = frame.inventory().certificates.create(
            name=form.name.data or "",
            private_key=checks.given(form, "private_key"),
            certificate=checks.given(form, "certificate"),
            ca=checks.given(form, "ca"),
            passphrase=form.passphrase.data or None,
            comment=form.comment.data or "",
            labels={},
        )
    except Problem as problem:
        report = _check(form)
        told = list(problem.findings) or list(report["found"])
        context = checks.context(report["checked"], told, offers=report["offers"])
        checks.keep_files(form, report["checked"])
        return _show_new(form, context, problem=problem.detail, key_again=bool(form.private_key.data)), problem.status
    flash(f"{made.view.display_name or made.view.name} is registered. Bind it to what uses it.", "ok")
    return frame.go(url_for("pages.certificate", name=made.view.name))


def _check(form: NewCertificateForm) -> dict[str, Any]:
    try:
        report = frame.inventory().certificates.check(
            private_key=checks.given(form, "private_key") or None,
            certificate=checks.given(form, "certificate") or None,
            ca=checks.given(form, "ca") or None,
            passphrase=form.passphrase.data or None,
        )
    except Problem as problem:
        return {"checked": None, "found": problem.findings, "offers": ()}
    return {"checked": report.checked, "found": report.checked.findings, "offers": report.offers}


@pages.post("/check/certificate")
@identity.required
def certificate_check() -> ResponseReturnValue:
    """The check: stores nothing, and answers with a fragment that holds no key; without JavaScript with the page.

    `complete` adds the intermediates that are offered to CERT, and checks again.
    """
    form = NewCertificateForm()
    given = frozenset(field for field in checks.FIELDS if form[field].data or request.files.get(f"{field}-file"))
    context = checks.context(None, ())
    if given & {"private_key", "certificate", "ca"}:
        report = _check(form)
        if request.form.get("complete") and report["offers"]:
            checks.complete(form, report["offers"])
            report = _check(form)
        found = checks.without_missing(report["found"], given)
        context = checks.context(report["checked"], found, offers=report["offers"])
    if frame.by_htmx():
        return render_template("certificates/_checked.html", **context)
    checks.keep_files(form, context["checked"])
    key_pasted = form.private_key.data or (context["checked"] and context["checked"].private_key)
    return _show_new(form, context, key_again=bool(key_pasted))


def _show_new(form: NewCertificateForm, context: dict[str, Any], *, problem: str = "", key_again: bool = False) -> str:
    fragment = frame.by_htmx()
    return render_template(
        "certificates/_refused.html" if fragment else "certificates/new.html",
        section="certificates",
        form=form,
        problem=problem,
        key_must_be_pasted_again=key_again and not fragment,
        **context,
    )
