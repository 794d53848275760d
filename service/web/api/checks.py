"""Checking without storing."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from service.web import identity
from service.web.api import shapes
from service.web.api.operation import call

Host = Annotated[str, Meta(max_length=253)]


class CheckRequest(Struct, forbid_unknown_fields=True):
    """What to check. With the `name` of a certificate, as its rotation: what is absent is kept."""

    private_key: str | None = None
    certificate: str | None = None
    ca: str | None = None
    passphrase: str | None = None
    hosts: Annotated[list[Host], Meta(max_length=100)] = []
    purpose: Literal["server", "client"] | None = None
    name: str | None = None
    keep_ca_until: Annotated[str, Meta(max_length=40)] | None = None


@call(
    "POST",
    "/checks",
    tag="checks",
    summary="The findings about pasted material, and what it would do to consumers. Stores nothing.",
    body=CheckRequest,
    answer=shapes.CheckShape,
    problems=(400, 401, 404, 409, 413, 415, 422),
    changes=False,
)
def check(body: CheckRequest) -> shapes.CheckShape:
    """`POST /checks`."""
    report = identity.inventory().certificates.check(
        private_key=body.private_key,
        certificate=body.certificate,
        ca=body.ca,
        passphrase=body.passphrase,
        hosts=body.hosts,
        purpose=body.purpose,
        name=body.name,
        keep_ca_until=body.keep_ca_until,
    )
    return shapes.check(report)
