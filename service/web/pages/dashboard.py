"""The dashboard: what needs attention, when certificates expire, who is in sync, what changed last."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import render_template, url_for
from flask.typing import ResponseReturnValue

from service.index import CertificateView, Snapshot
from service.records import Cluster, Provider, Relay
from service.web import identity
from service.web.charts import SPAN, Expiry, expiry_timeline
from service.web.pages import attention, consumers, frame
from service.web.pages.blueprint import pages
from service.web.pages.standing import Standing, serving

TABLE_ROWS: Final = 200
"""Rows of the table behind the chart; the list, sorted by expiry, has all."""


@dataclass(frozen=True, slots=True)
class Number:
    """One figure: `value`, of `of` where it is a share."""

    word: str
    value: int
    of: int | None = None
    state: Standing | None = None


def _standing(views: list[CertificateView]) -> list[CertificateView]:
    return [view for view in views if not view.deleted]


def _numbers(snapshot: Snapshot, views: list[CertificateView], now: datetime) -> list[Number]:
    bound = [name for name, it in snapshot.consumers.items() if snapshot.bound_to(name) and _is_enabled(it)]
    synced = sum(1 for name in bound if serving(snapshot, name, now).kind == "ok")
    unused = sum(1 for view in views if not len(snapshot.used_by(view.name)))
    state = None
    if bound:
        state = Standing("ok", "all in sync") if synced == len(bound) else Standing("due", "some are behind")
    return [
        Number("Consumers in sync", synced, len(bound), state),
        Number("Certificates", len(views)),
        Number("Not used", unused),
        Number("Relays", len(snapshot.relays)),
        Number("Container providers", len(snapshot.providers)),
    ]


def _is_enabled(consumer: Relay | tuple[Provider, Cluster]) -> bool:
    return consumer.enabled if isinstance(consumer, Relay) else consumer[0].enabled


def _expiries(snapshot: Snapshot, views: list[CertificateView], now: datetime) -> list[Expiry]:
    found = [
        Expiry(
            view.display_name or view.name,
            url_for("pages.certificate", name=view.name),
            view.facts.not_after,
            len(snapshot.used_by(view.name)),
        )
        for view in views
        if view.facts is not None and view.facts.not_after <= now + SPAN
    ]
    return sorted(found, key=lambda it: (it.not_after, it.name))


@pages.get("/")
@identity.required
def dashboard() -> ResponseReturnValue:
    """Reads the index only."""
    snapshot, now = frame.snapshot(), frame.now()
    views = _standing(list(snapshot.certificates.values()))
    urgent = attention.needs(snapshot, now)
    expiries = _expiries(snapshot, views, now)
    return render_template(
        "dashboard.html",
        section="dashboard",
        nothing_yet=not (snapshot.certificates or snapshot.relays or snapshot.providers),
        attention=urgent[: attention.SHOWN],
        attention_total=len(urgent),
        numbers=_numbers(snapshot, views, now),
        timeline=expiry_timeline(expiries, now, chart_id="wide"),
        timeline_narrow=expiry_timeline(expiries, now, chart_id="narrow", narrow=True),
        expiries=expiries[:TABLE_ROWS],
        changes=consumers.feed(snapshot.changes, snapshot, limit=12),
    )
