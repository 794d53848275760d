"""Container providers and their clusters."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from service.errors import Missing
from service.inventory.providers import NewCluster
from service.records import Cluster, Provider
from service.web import identity
from service.web.api import shapes
from service.web.api.certificates import Codes
from service.web.api.operation import PREFIX, Answer, call, expected_version
from service.web.api.relays import TTL, Binding, ttl_s
from service.web.api.words import MultiCluster, ProviderKind, Visibility

TAG = "providers"


class ClusterBody(Struct, forbid_unknown_fields=True):
    """A cluster to register."""

    name: str
    url: str
    server_name: str | None = None
    cert_auth: bool = False
    certificate: str | None = None


class AddedCluster(ClusterBody, forbid_unknown_fields=True):
    """A cluster to add. `accept` names findings about its certificate that are accepted."""

    accept: Codes = []


class NewProvider(Struct, forbid_unknown_fields=True):
    """A provider to register. It is disabled until it is enabled."""

    name: str
    kind: ProviderKind
    visibility: Visibility = "private"
    enabled: bool = False
    multi_cluster: MultiCluster = "none"
    comment: str = ""
    clusters: Annotated[list[ClusterBody], Meta(max_length=64)] = []
    accept: Codes = []


class ProviderChange(Struct, forbid_unknown_fields=True):
    """A change of a provider. What is absent is kept."""

    display_name: str | UnsetType = UNSET
    visibility: Visibility | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    multi_cluster: MultiCluster | UnsetType = UNSET
    comment: str | UnsetType = UNSET


class ClusterChange(Struct, forbid_unknown_fields=True):
    """A change of a cluster. What is absent is kept; null removes the server name or the certificate."""

    url: str | UnsetType = UNSET
    server_name: str | UnsetType | None = UNSET
    cert_auth: bool | UnsetType = UNSET
    certificate: str | UnsetType | None = UNSET
    accept: Codes = []


@call(
    "GET", "/providers", tag=TAG, summary="Every container provider.", answer=shapes.ProviderList, problems=(401, 503)
)
def list_providers() -> shapes.ProviderList:
    """`GET /providers`."""
    return shapes.ProviderList(items=[shapes.provider(one) for one in identity.inventory().providers.list()])


@call(
    "POST",
    "/providers",
    tag=TAG,
    summary="Register a container provider; it is disabled until it is enabled.",
    status=201,
    body=NewProvider,
    answer=shapes.ProviderShape,
    problems=(400, 401, 403, 409, 415, 422, 503),
)
def create_provider(body: NewProvider) -> Answer:
    """`POST /providers`."""
    made = identity.inventory().providers.create(
        name=body.name,
        kind=body.kind,
        visibility=body.visibility,
        multi_cluster=body.multi_cluster,
        comment=body.comment,
        clusters=[_typed(one) for one in body.clusters],
        accept=body.accept,
    )
    return Answer(shapes.provider(made), made.version, f"{PREFIX}/providers/{made.name}")


@call(
    "GET",
    "/providers/<name>",
    tag=TAG,
    summary="One container provider.",
    answer=shapes.ProviderShape,
    problems=(401, 404, 503),
)
def get_provider(name: str) -> Answer:
    """`GET /providers/{name}`."""
    return _answer(identity.inventory().providers.get(name))


@call(
    "PATCH",
    "/providers/<name>",
    tag=TAG,
    summary="Change a container provider: enable it, for example.",
    body=ProviderChange,
    answer=shapes.ProviderShape,
    problems=(400, 401, 403, 404, 412, 415, 422, 503),
    conditional="optional",
)
def update_provider(name: str, body: ProviderChange) -> Answer:
    """`PATCH /providers/{name}`."""
    changed = identity.inventory().providers.update(
        name,
        expect_version=expected_version(required=False),
        display_name=None if body.display_name is UNSET else body.display_name,
        visibility=None if body.visibility is UNSET else body.visibility,
        enabled=None if body.enabled is UNSET else body.enabled,
        multi_cluster=None if body.multi_cluster is UNSET else body.multi_cluster,
        comment=None if body.comment is UNSET else body.comment,
    )
    return _answer(changed)


@call(
    "DELETE",
    "/providers/<name>",
    tag=TAG,
    summary="Remove a container provider with its clusters.",
    status=204,
    problems=(401, 403, 404, 409, 412, 503),
    conditional="optional",
)
def delete_provider(name: str) -> Answer:
    """`DELETE /providers/{name}`."""
    identity.inventory().providers.delete(name, expect_version=expected_version(required=False))
    return Answer(None)


@call(
    "POST",
    "/providers/<name>/clusters",
    tag=TAG,
    summary="Add a cluster.",
    status=201,
    body=AddedCluster,
    answer=shapes.ProviderShape,
    problems=(400, 401, 403, 404, 409, 412, 415, 422, 503),
    conditional="optional",
)
def add_cluster(name: str, body: AddedCluster) -> Answer:
    """`POST /providers/{name}/clusters`."""
    changed = identity.inventory().providers.add_cluster(
        name, _typed(body), expect_version=expected_version(required=False), accept=body.accept
    )
    return _answer(changed, f"{PREFIX}/providers/{name}/clusters/{changed.clusters[-1].name}")


@call(
    "GET",
    "/providers/<name>/clusters/<cluster>",
    tag=TAG,
    summary="One cluster.",
    answer=shapes.ClusterShape,
    problems=(401, 404, 503),
)
def get_cluster(name: str, cluster: str) -> Answer:
    """`GET /providers/{name}/clusters/{cluster}`."""
    provider = identity.inventory().providers.get(name)
    return Answer(shapes.cluster(provider, _cluster(provider, cluster)), provider.version)


@call(
    "PATCH",
    "/providers/<name>/clusters/<cluster>",
    tag=TAG,
    summary="Change a cluster.",
    body=ClusterChange,
    answer=shapes.ProviderShape,
    problems=(400, 401, 403, 404, 412, 415, 422, 503),
    conditional="optional",
)
def update_cluster(name: str, cluster: str, body: ClusterChange) -> Answer:
    """`PATCH /providers/{name}/clusters/{cluster}`."""
    changed = identity.inventory().providers.update_cluster(
        name,
        cluster,
        expect_version=expected_version(required=False),
        url=None if body.url is UNSET else body.url,
        server_name=None if body.server_name is UNSET else body.server_name or "",
        cert_auth=None if body.cert_auth is UNSET else body.cert_auth,
        certificate=None if body.certificate is UNSET else body.certificate or "",
        accept=body.accept,
    )
    return _answer(changed)


@call(
    "DELETE",
    "/providers/<name>/clusters/<cluster>",
    tag=TAG,
    summary="Remove a cluster and every credential of it.",
    status=204,
    problems=(401, 403, 404, 412, 503),
    conditional="optional",
)
def remove_cluster(name: str, cluster: str) -> Answer:
    """`DELETE /providers/{name}/clusters/{cluster}`."""
    identity.inventory().providers.remove_cluster(name, cluster, expect_version=expected_version(required=False))
    return Answer(None)


@call(
    "PUT",
    "/providers/<name>/clusters/<cluster>/certificate",
    tag=TAG,
    summary="Bind a cluster to a certificate, or unbind it.",
    body=Binding,
    answer=shapes.ProviderShape,
    problems=(400, 401, 403, 404, 412, 415, 422, 503),
    conditional="optional",
)
def bind_cluster(name: str, cluster: str, body: Binding) -> Answer:
    """`PUT /providers/{name}/clusters/{cluster}/certificate`."""
    changed = identity.inventory().providers.bind_cluster(
        name,
        cluster,
        body.certificate or None,
        expect_version=expected_version(required=False),
        accept=body.accept,
    )
    return _answer(changed)


@call(
    "POST",
    "/providers/<name>/clusters/<cluster>/enrollment",
    tag=TAG,
    summary="Credentials for one agent, shown once.",
    status=201,
    answer=shapes.EnrollmentShape,
    problems=(400, 401, 403, 404, 503),
    query=TTL,
)
def enroll_cluster(name: str, cluster: str) -> shapes.EnrollmentShape:
    """`POST /providers/{name}/clusters/{cluster}/enrollment`."""
    return shapes.enrollment(identity.inventory().providers.enroll_cluster(name, cluster, ttl_s()))


@call(
    "DELETE",
    "/providers/<name>/clusters/<cluster>/enrollment",
    tag=TAG,
    summary="Revoke every credential and token of a cluster.",
    status=204,
    problems=(401, 403, 404, 503),
)
def revoke_cluster(name: str, cluster: str) -> Answer:
    """`DELETE /providers/{name}/clusters/{cluster}/enrollment`."""
    identity.inventory().providers.revoke_cluster(name, cluster)
    return Answer(None)


def _answer(provider: Provider, location: str = "") -> Answer:
    return Answer(shapes.provider(provider), provider.version, location)


def _cluster(provider: Provider, name: str) -> Cluster:
    found = provider.cluster(name)
    if found is None:
        raise Missing(f"{provider.name} has no cluster {name}.", code="cluster.missing")
    return found


def _typed(body: ClusterBody) -> NewCluster:
    return NewCluster(
        name=body.name,
        url=body.url,
        server_name=body.server_name or "",
        cert_auth=body.cert_auth,
        certificate=body.certificate or "",
    )
