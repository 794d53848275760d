"""The next version, prepared in advance."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from service.inventory.staging import Staged
from service.web import identity
from service.web.api.certificates import Codes
from service.web.api.facts import FactsShape, facts
from service.web.api.operation import PREFIX, Answer, call
from service.web.api.rollouts import JobShape, job_shape
from service.web.api.words import Moment

TAG = "certificates"


class StagedBundle(msgspec.Struct, forbid_unknown_fields=True):
    """The next version. What is absent is kept; `activate_at` (RFC 3339) lets the worker make it current then."""

    private_key: str | None = None
    certificate: str | None = None
    ca: str | None = None
    passphrase: str | None = None
    activate_at: Annotated[str, Meta(max_length=40)] | None = None
    accept: Codes = []


class Activation(msgspec.Struct, forbid_unknown_fields=True):
    """`accept` names harmful impacts."""

    accept: Codes = []


class StagedShape(msgspec.Struct, frozen=True):
    """What stands ready, without its key. `keeps_key`: the current key stays."""

    name: str
    version: int
    facts: FactsShape | None
    certificate: str
    ca: str
    staged_by: str
    staged_at: Moment
    keeps_key: bool
    activate_at: Moment | None


@call(
    "PUT",
    "/certificates/<name>/staged",
    tag=TAG,
    summary="Prepare the next version: checked, stored apart, given to nobody.",
    body=StagedBundle,
    answer=StagedShape,
    problems=(400, 401, 403, 404, 409, 412, 413, 415, 422, 503),
)
def stage_certificate(name: str, body: StagedBundle) -> StagedShape:
    """`PUT /certificates/{name}/staged`."""
    return _shape(
        identity.inventory().certificates.stage(
            name,
            private_key=body.private_key,
            certificate=body.certificate,
            ca=body.ca,
            passphrase=body.passphrase,
            activate_at=body.activate_at,
            accept=body.accept,
        )
    )


@call(
    "GET",
    "/certificates/<name>/staged",
    tag=TAG,
    summary="What stands ready, without its key.",
    answer=StagedShape,
    problems=(401, 404, 503),
)
def staged_certificate(name: str) -> StagedShape:
    """`GET /certificates/{name}/staged`."""
    return _shape(identity.inventory().certificates.staged(name))


@call(
    "DELETE",
    "/certificates/<name>/staged",
    tag=TAG,
    summary="Discard what stands ready.",
    status=204,
    problems=(401, 403, 404, 503),
)
def discard_certificate(name: str) -> Answer:
    """`DELETE /certificates/{name}/staged`."""
    identity.inventory().certificates.discard(name)
    return Answer(None)


@call(
    "POST",
    "/certificates/<name>/activate",
    tag=TAG,
    summary="Make current what stands ready: the worker does it.",
    status=202,
    body=Activation,
    empty_body=True,
    answer=JobShape,
    problems=(400, 401, 403, 404, 409, 415, 422, 503),
)
def activate_certificate(name: str, body: Activation) -> Answer:
    """`POST /certificates/{name}/activate`."""
    job = identity.inventory().certificates.activate(name, accept=body.accept)
    return Answer(job_shape(job), location=f"{PREFIX}/jobs/{job.id}")


def _shape(one: Staged) -> StagedShape:
    return StagedShape(
        name=one.name,
        version=one.version,
        facts=facts(one.facts),
        certificate=one.certificate,
        ca=one.ca,
        staged_by=one.by,
        staged_at=one.at,
        keeps_key=one.keeps_key,
        activate_at=one.activate_at,
    )
