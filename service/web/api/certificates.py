"""Certificates."""

from __future__ import annotations

from typing import Annotated

from flask import request
from msgspec import UNSET, Meta, Struct, UnsetType

from service.errors import Malformed
from service.index import ListQuery
from service.index.listing import DEFAULT_LIMIT, MAX_LIMIT
from service.web import identity
from service.web.api import shapes
from service.web.api.operation import PREFIX, Answer, Query, call, expected_version
from service.web.api.words import FILTERS, SORTS

TAG = "certificates"
Labels = Annotated[dict[str, str], Meta(max_length=32)]
Codes = Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=1000)]


class NewCertificate(Struct, forbid_unknown_fields=True):
    """A certificate to register. All of it may stand in one field; what belongs elsewhere is put there."""

    name: str
    private_key: str = ""
    certificate: str = ""
    ca: str | None = None
    passphrase: str | None = None
    comment: str = ""
    labels: Labels = {}


class Rotation(Struct, forbid_unknown_fields=True):
    """A rotation. What is absent is kept; `ca: ""` removes the CA; `accept` names harmful impacts.

    `keep_ca_until` (a day, `2027-01-31`) keeps the authorities that this would drop beside the new ones. `canary` names
    the relay that gets it first: the others follow when it is seen serving, and all returns by itself when it is not.
    """

    private_key: str | None = None
    certificate: str | None = None
    ca: str | None = None
    passphrase: str | None = None
    keep_ca_until: Annotated[str, Meta(max_length=40)] | None = None
    accept: Codes = []
    canary: Annotated[str, Meta(max_length=80)] | None = None


class ClientToCheck(Struct, forbid_unknown_fields=True):
    """A client's certificate, PEM, with its intermediates. Its key is not needed."""

    certificate: str


class Description(Struct, forbid_unknown_fields=True):
    """What people read about a certificate. What is absent is kept."""

    display_name: str | UnsetType = UNSET
    comment: str | UnsetType = UNSET
    labels: Labels | UnsetType = UNSET


@call(
    "GET",
    "/certificates",
    tag=TAG,
    summary="List certificates.",
    answer=shapes.CertificateRows,
    problems=(400, 401, 503),
    query=(
        Query(
            "q",
            "Words that must occur in name, comment, labels, host names, issuer or fingerprint.",
            {"type": "string"},
        ),
        Query("status", "Only these.", {"type": "string", "enum": list(FILTERS), "default": "all"}),
        Query("sort", "`-` first turns it round.", {"type": "string", "enum": list(SORTS), "default": "name"}),
        Query(
            "limit",
            "How many.",
            {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT},
        ),
        Query("cursor", "`next_cursor` of the page before.", {"type": "string"}),
    ),
)
def list_certificates() -> shapes.CertificateRows:
    """`GET /certificates`."""
    given = request.args
    try:
        limit = int(given.get("limit", DEFAULT_LIMIT))
    except ValueError:
        raise Malformed(f"limit must be a number from 1 to {MAX_LIMIT}.", code="query.limit") from None
    query = ListQuery(
        q=given.get("q", ""),
        status=given.get("status", "") or "all",
        sort=given.get("sort", "") or "name",
        limit=limit,
        cursor=given.get("cursor", ""),
    )
    return shapes.certificate_rows(identity.inventory().certificates.list(query))


@call(
    "POST",
    "/certificates",
    tag=TAG,
    summary="Register a certificate.",
    status=201,
    body=NewCertificate,
    answer=shapes.CertificateShape,
    problems=(400, 401, 403, 409, 413, 415, 422, 503),
)
def create_certificate(body: NewCertificate) -> Answer:
    """`POST /certificates`."""
    profile = identity.inventory().certificates.create(
        name=body.name,
        private_key=body.private_key,
        certificate=body.certificate,
        ca=body.ca,
        passphrase=body.passphrase,
        comment=body.comment,
        labels=body.labels,
    )
    where = f"{PREFIX}/certificates/{profile.view.name}"
    return Answer(shapes.certificate(profile), profile.view.version, where)


@call(
    "GET",
    "/certificates/<name>",
    tag=TAG,
    summary="One certificate, without its key.",
    answer=shapes.CertificateShape,
    problems=(401, 404, 503),
)
def get_certificate(name: str) -> Answer:
    """`GET /certificates/{name}`."""
    profile = identity.inventory().certificates.get(name)
    return Answer(shapes.certificate(profile), profile.view.version)


@call(
    "PUT",
    "/certificates/<name>",
    tag=TAG,
    summary="Rotate: a new version under the same name. Without private_key the key is kept, unseen.",
    body=Rotation,
    answer=shapes.CertificateShape,
    problems=(400, 401, 403, 404, 409, 412, 413, 415, 422, 428, 503),
    conditional="required",
)
def rotate_certificate(name: str, body: Rotation) -> Answer:
    """`PUT /certificates/{name}`."""
    version = expected_version(required=True)
    assert version is not None  # noqa: S101 - required
    profile = identity.inventory().certificates.rotate(
        name,
        expect_version=version,
        private_key=body.private_key,
        certificate=body.certificate,
        ca=body.ca,
        passphrase=body.passphrase,
        keep_ca_until=body.keep_ca_until,
        accept=body.accept,
        canary=body.canary or None,
    )
    job = identity.inventory().certificates.canary(name)
    where = f"{PREFIX}/jobs/{job.job}" if job else ""
    return Answer(shapes.certificate(profile), profile.view.version, where)


@call(
    "PATCH",
    "/certificates/<name>",
    tag=TAG,
    summary="Change display name, comment or labels; no new version.",
    body=Description,
    answer=shapes.CertificateShape,
    problems=(400, 401, 403, 404, 415, 422, 503),
)
def annotate_certificate(name: str, body: Description) -> Answer:
    """`PATCH /certificates/{name}`."""
    profile = identity.inventory().certificates.annotate(
        name,
        display_name=None if body.display_name is UNSET else body.display_name,
        comment=None if body.comment is UNSET else body.comment,
        labels=None if body.labels is UNSET else body.labels,
    )
    return Answer(shapes.certificate(profile), profile.view.version)


@call(
    "DELETE",
    "/certificates/<name>",
    tag=TAG,
    summary="Delete; with permanent=true destroy every version. Refused while somebody uses it.",
    status=204,
    problems=(400, 401, 403, 404, 409, 412, 503),
    conditional="optional",
    query=(Query("permanent", "Destroy every version.", {"type": "boolean"}),),
)
def delete_certificate(name: str) -> Answer:
    """`DELETE /certificates/{name}`."""
    version = expected_version(required=False)
    certificates = identity.inventory().certificates
    permanent = request.args.get("permanent", "false")
    if permanent not in {"true", "false"}:
        raise Malformed("permanent must be true or false.", code="query.permanent")
    if permanent == "true":
        certificates.destroy(name, expect_version=version)
    else:
        certificates.delete(name, expect_version=version)
    return Answer(None)


@call(
    "POST",
    "/certificates/<name>/restore",
    tag=TAG,
    summary="Bring a deleted certificate back.",
    answer=shapes.CertificateShape,
    problems=(401, 403, 404, 409, 503),
)
def restore_certificate(name: str) -> Answer:
    """`POST /certificates/{name}/restore`."""
    profile = identity.inventory().certificates.restore(name)
    return Answer(shapes.certificate(profile), profile.view.version)


@call(
    "GET",
    "/certificates/<name>/versions",
    tag=TAG,
    summary="The facts of each version, who wrote it and when.",
    answer=shapes.Versions,
    problems=(401, 404, 503),
)
def certificate_versions(name: str) -> shapes.Versions:
    """`GET /certificates/{name}/versions`."""
    versions = identity.inventory().certificates.versions(name)
    return shapes.Versions(items=[shapes.version(one) for one in versions])


@call(
    "POST",
    "/certificates/<name>/client-checks",
    tag=TAG,
    summary="Whether an mTLS relay with this certificate would accept a client, and why not. Stores nothing.",
    body=ClientToCheck,
    answer=shapes.ClientCheck,
    problems=(400, 401, 404, 409, 413, 415, 422, 503),
    changes=False,
)
def check_client(name: str, body: ClientToCheck) -> shapes.ClientCheck:
    """`POST /certificates/{name}/client-checks`."""
    return shapes.client_check(identity.inventory().certificates.check_client(name, body.certificate))
