"""For load balancers and monitoring: alive, ready, counted."""

from __future__ import annotations

import hmac
import time
from typing import Final, cast

from flask import Blueprint, Flask, Response, current_app, g, request
from flask.typing import ResponseReturnValue
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from service.errors import Missing, NotSignedIn, Unavailable
from service.index.states import state_of
from service.web import identity
from service.web.api.operation import PREFIX

blueprint: Final = Blueprint("health", __name__)
ADDRESSES: Final = ("", PREFIX)
"""Load balancers look at the root, people below the API."""
METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
BUCKETS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_EXTENSION: Final = "keystead-requests"


class Requests:
    """Counts requests by route (never by address: names are not metrics), method and status."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        labels = ("method", "route")
        self._count = Counter("keystead_http_requests", "Requests.", [*labels, "status"], registry=self.registry)
        self._took = Histogram(
            "keystead_http_request_seconds", "How long they took.", labels, registry=self.registry, buckets=BUCKETS_S
        )

    def count(self, status: int, seconds: float) -> None:
        """One request of the current context."""
        route = request.url_rule.rule if request.url_rule else "none"
        method = request.method if request.method in METHODS else "other"
        self._count.labels(method, route, status).inc()
        self._took.labels(method, route).observe(seconds)


def install(app: Flask) -> None:
    """Count every request of an application."""
    counted = app.extensions[_EXTENSION] = Requests()

    @app.before_request
    def _start() -> None:
        g.started = time.monotonic()

    @app.after_request
    def _count(response: Response) -> Response:
        counted.count(response.status_code, time.monotonic() - g.get("started", time.monotonic()))
        return response

    for prefix in ADDRESSES:
        app.register_blueprint(blueprint, url_prefix=prefix or None, name=f"health{prefix.replace('/', '-')}")


@blueprint.get("/healthz")
def healthz() -> ResponseReturnValue:
    """This process answers. Vault is not asked: a restart would not mend it."""
    return {"status": "ok"}


@blueprint.get("/readyz")
def readyz() -> ResponseReturnValue:
    """Everything has been read once, and Vault can be followed."""
    index = identity.ports().index
    if not index.ready:
        raise Unavailable("Not everything has been read from Vault yet.", code="index.not-ready")
    if index.stale_since is not None:
        raise Unavailable(f"Vault could not be followed since {index.stale_since:%Y-%m-%dT%H:%M:%SZ}.")
    return {"status": "ready"}


@blueprint.get("/metrics")
def metrics() -> ResponseReturnValue:
    """Prometheus' text format, for whoever knows the metrics token."""
    expected = identity.ports().metrics_token
    if not expected:
        raise Missing("Metrics are off: set KEYSTEAD_METRICS_TOKEN_FILE.", code="metrics.off")
    if not hmac.compare_digest((identity.header_token() or "").encode(), expected.encode()):
        raise NotSignedIn("The metrics token is needed, as Authorization: Bearer.", code="metrics.token")
    return Response(_measured(), mimetype=None, content_type=CONTENT_TYPE_LATEST)


def _measured() -> bytes:
    ports = identity.ports()
    registry = CollectorRegistry()
    ready = Gauge("keystead_index_ready", "1 when everything has been read once.", registry=registry)
    stale = Gauge("keystead_index_stale_seconds", "How long Vault could not be followed.", registry=registry)
    ready.set(1 if ports.index.ready else 0)
    now = ports.clock()
    since = ports.index.stale_since
    stale.set((now - since).total_seconds() if since else 0)
    if ports.index.ready:
        snapshot = ports.index.snapshot()
        states = Gauge("keystead_certificates", "Certificates by state.", ["state"], registry=registry)
        expires = Gauge(
            "keystead_certificate_expires_timestamp_seconds",
            "When a certificate stops working: the earliest end in its chain.",
            ["certificate", "used"],
            registry=registry,
        )
        for view in snapshot.certificates.values():
            states.labels(state_of(view, now)).inc()
            if view.facts is not None and not view.deleted:
                used = "yes" if len(snapshot.used_by(view.name)) else "no"
                expires.labels(view.name, used).set(view.facts.not_after.timestamp())
        consumers = Gauge("keystead_consumers", "Consumers, by whether they are bound.", ["bound"], registry=registry)
        for consumer in snapshot.consumers:
            consumers.labels("yes" if snapshot.bound_to(consumer) else "no").inc()
    return generate_latest(registry) + generate_latest(cast("Requests", current_app.extensions[_EXTENSION]).registry)
