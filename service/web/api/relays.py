"""WebSocket relays."""

from __future__ import annotations

from flask import request
from msgspec import UNSET, Struct, UnsetType

from service.errors import Malformed
from service.web import identity
from service.web.api import shapes
from service.web.api.certificates import Codes
from service.web.api.operation import PREFIX, Answer, Query, call, expected_version
from service.web.api.words import TlsMode

TAG = "relays"
DEFAULT_TTL_S = 3600
TTL = (Query("ttl_s", "How long the wrapping token waits, in seconds.", {"type": "integer", "minimum": 60}),)


class NewRelay(Struct, forbid_unknown_fields=True):
    """A relay to register."""

    name: str
    host: str
    port: int
    tls_mode: TlsMode = "tls"
    certificate: str | None = None
    provider: str | None = None
    enabled: bool = True
    comment: str = ""
    accept: Codes = []


class RelayChange(Struct, forbid_unknown_fields=True):
    """A change of a relay. What is absent is kept; null removes the certificate or the provider."""

    display_name: str | UnsetType = UNSET
    host: str | UnsetType = UNSET
    port: int | UnsetType = UNSET
    tls_mode: TlsMode | UnsetType = UNSET
    certificate: str | UnsetType | None = UNSET
    provider: str | UnsetType | None = UNSET
    enabled: bool | UnsetType = UNSET
    comment: str | UnsetType = UNSET
    accept: Codes = []


class Binding(Struct, forbid_unknown_fields=True):
    """What a consumer is bound to; null unbinds it."""

    certificate: str | None
    accept: Codes = []


@call("GET", "/relays", tag=TAG, summary="Every relay.", answer=shapes.RelayList, problems=(401, 503))
def list_relays() -> shapes.RelayList:
    """`GET /relays`."""
    return shapes.RelayList(items=[shapes.relay(one) for one in identity.inventory().relays.list()])


@call(
    "POST",
    "/relays",
    tag=TAG,
    summary="Register a relay.",
    status=201,
    body=NewRelay,
    answer=shapes.RelayShape,
    problems=(400, 401, 403, 409, 415, 422, 503),
)
def create_relay(body: NewRelay) -> Answer:
    """`POST /relays`."""
    made = identity.inventory().relays.create(
        name=body.name,
        host=body.host,
        port=body.port,
        tls_mode=body.tls_mode,
        certificate=body.certificate or None,
        provider=body.provider or None,
        enabled=body.enabled,
        comment=body.comment,
        accept=body.accept,
    )
    return Answer(shapes.relay(made), made.version, f"{PREFIX}/relays/{made.name}")


@call("GET", "/relays/<name>", tag=TAG, summary="One relay.", answer=shapes.RelayShape, problems=(401, 404, 503))
def get_relay(name: str) -> Answer:
    """`GET /relays/{name}`."""
    one = identity.inventory().relays.get(name)
    return Answer(shapes.relay(one), one.version)


@call(
    "PATCH",
    "/relays/<name>",
    tag=TAG,
    summary="Change a relay.",
    body=RelayChange,
    answer=shapes.RelayShape,
    problems=(400, 401, 403, 404, 412, 415, 422, 503),
    conditional="optional",
)
def update_relay(name: str, body: RelayChange) -> Answer:
    """`PATCH /relays/{name}`."""
    changed = identity.inventory().relays.update(
        name,
        expect_version=expected_version(required=False),
        display_name=None if body.display_name is UNSET else body.display_name,
        host=None if body.host is UNSET else body.host,
        port=None if body.port is UNSET else body.port,
        tls_mode=None if body.tls_mode is UNSET else body.tls_mode,
        certificate=None if body.certificate is UNSET else body.certificate or "",
        provider=None if body.provider is UNSET else body.provider or "",
        enabled=None if body.enabled is UNSET else body.enabled,
        comment=None if body.comment is UNSET else body.comment,
        accept=body.accept,
    )
    return Answer(shapes.relay(changed), changed.version)


@call(
    "DELETE",
    "/relays/<name>",
    tag=TAG,
    summary="Remove a relay and every credential of it.",
    status=204,
    problems=(401, 403, 404, 412, 503),
    conditional="optional",
)
def delete_relay(name: str) -> Answer:
    """`DELETE /relays/{name}`."""
    identity.inventory().relays.delete(name, expect_version=expected_version(required=False))
    return Answer(None)


@call(
    "PUT",
    "/relays/<name>/certificate",
    tag=TAG,
    summary="Bind a relay to a certificate, or unbind it.",
    body=Binding,
    answer=shapes.RelayShape,
    problems=(400, 401, 403, 404, 412, 415, 422, 503),
    conditional="optional",
)
def bind_relay(name: str, body: Binding) -> Answer:
    """`PUT /relays/{name}/certificate`."""
    bound = identity.inventory().relays.bind(
        name, body.certificate or None, expect_version=expected_version(required=False), accept=body.accept
    )
    return Answer(shapes.relay(bound), bound.version)


@call(
    "POST",
    "/relays/<name>/enrollment",
    tag=TAG,
    summary="Credentials for one agent, shown once.",
    status=201,
    answer=shapes.EnrollmentShape,
    problems=(400, 401, 403, 404, 503),
    query=TTL,
)
def enroll_relay(name: str) -> shapes.EnrollmentShape:
    """`POST /relays/{name}/enrollment`."""
    return shapes.enrollment(identity.inventory().relays.enroll(name, ttl_s()))


@call(
    "DELETE",
    "/relays/<name>/enrollment",
    tag=TAG,
    summary="Revoke every credential and token of a relay.",
    status=204,
    problems=(401, 403, 404, 503),
)
def revoke_relay(name: str) -> Answer:
    """`DELETE /relays/{name}/enrollment`."""
    identity.inventory().relays.revoke(name)
    return Answer(None)


def ttl_s() -> int:
    """`ttl_s` of the query.

    Raises:
        Malformed: it is no number.
    """
    try:
        return int(request.args.get("ttl_s", DEFAULT_TTL_S))
    except ValueError:
        raise Malformed("ttl_s must be a number of seconds.", code="enrollment.ttl") from None
