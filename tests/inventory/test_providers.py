"""Container providers and their clusters."""

from __future__ import annotations

import pytest

from service.errors import InUse, Missing, Refused, Stale
from service.inventory import Inventory, NewCluster
from service.worker.reconcile import reconcile
from tests import material
from tests.inventory.conftest import Desk, can_read, log_in_as, make_desk
from tests.inventory.test_certificates import create, paste

URL = "https://cluster.example.com:6443"


def provider(inventory: Inventory, name: str, *clusters: NewCluster, **more: object) -> None:
    fields = {"kind": "kubernetes", "multi_cluster": "active-active", **more}
    inventory.providers.create(name=name, clusters=clusters, **fields)  # type: ignore[arg-type]


def client_certificate(inventory: Inventory, name: str) -> None:
    create(inventory, name, paste("platform.example.com", usages=material.CLIENT))


def test_a_provider_is_disabled_when_created_and_enabled_by_hand(inventory: Inventory, name: str) -> None:
    created = inventory.providers.create(
        name=f"Swarm {name}",
        kind="swarm",
        visibility="public",
        clusters=[NewCluster("One", "tcp://swarm.example:2376/", server_name="Swarm.Example")],
    )
    assert (created.name, created.display_name, created.enabled) == (f"swarm-{name}", f"Swarm {name}", False)
    assert (created.kind, created.visibility, created.multi_cluster) == ("swarm", "public", "none")
    cluster = created.clusters[0]
    assert (cluster.name, cluster.url, cluster.server_name) == ("one", "tcp://swarm.example:2376", "swarm.example")
    assert inventory.providers.get(created.name) == created
    assert inventory.providers.update(created.name, enabled=True).enabled


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://c.example",
        "ftp://c.example",
        "c.example:2376",
        "https://",
        "https://u:p@c.example",
        "https://@c.example",
        "https://c.example/?a=b",
        "https://c.example#",
        "https://c.example:0",
        "https://c.example:99999",
        "https://c.exa mple",
        "https://c.example\\x",
        "javascript:alert(1)",
        "https://[::1",
        "https://" + "x" * 2100,
    ],
)
def test_urls_that_are_refused(inventory: Inventory, name: str, url: str) -> None:
    with pytest.raises(Refused) as refused:
        provider(inventory, name, NewCluster("a", url))
    assert refused.value.findings[0].field == "url"


@pytest.mark.parametrize("field", ["kind", "visibility", "multi_cluster"])
def test_words_that_are_not_known_are_refused(inventory: Inventory, name: str, field: str) -> None:
    with pytest.raises(Refused) as refused:
        provider(inventory, name, **{field: "other"})
    assert refused.value.findings[0].field == field


def test_clusters_are_counted_and_told_apart(inventory: Inventory, name: str) -> None:
    with pytest.raises(Refused) as refused:
        provider(inventory, name, NewCluster("a", URL), NewCluster("A", URL))
    assert refused.value.code == "clusters.duplicate"
    with pytest.raises(Refused) as refused:
        provider(inventory, name, NewCluster("a", URL), NewCluster("b", URL), multi_cluster="none")
    assert refused.value.code == "clusters.too-many"
    with pytest.raises(Refused):
        provider(inventory, name, *(NewCluster(f"c{number}", URL) for number in range(65)))


def test_two_clusters_that_would_be_one_consumer_are_refused(desk: Desk, name: str) -> None:
    provider(desk.inventory, name, NewCluster("b-c", URL))
    with pytest.raises(InUse) as problem:
        provider(desk.inventory, f"{name}-b", NewCluster("c", URL))
    assert problem.value.code == "consumer.ambiguous"
    assert problem.value.conflicts == (f"provider-{name}-b-c",)
    other = make_desk(desk.instance)
    provider(desk.inventory, f"{name}-b")
    with pytest.raises(InUse):
        other.inventory.providers.add_cluster(f"{name}-b", NewCluster("c", URL))


def test_a_name_taken_in_the_same_moment_is_given_back(desk: Desk, name: str) -> None:
    """Her index has not seen the other cluster; what she wrote is put back before anybody may be that consumer."""
    behind = make_desk(desk.instance)
    behind.inventory.providers.create(name=f"{name}-b", kind="swarm")
    record = {**behind.inventory.providers.get(f"{name}-b").to_data(), "display_name": name}
    record["clusters"] = [
        {"name": "b-c", "url": URL, "server_name": "", "cert_auth": False, "certificate": ""},
    ]
    desk.instance.root.documents.write(f"providers/{name}", record, expect_version=0)
    with pytest.raises(InUse) as problem:
        behind.inventory.providers.add_cluster(f"{name}-b", NewCluster("c", URL))
    assert problem.value.code == "consumer.ambiguous"
    assert behind.inventory.providers.get(f"{name}-b").clusters == ()
    desk.instance.root.documents.destroy(f"providers/{name}")


def test_binding_a_cluster_gives_its_consumer_the_bundle_alone(desk: Desk, name: str) -> None:
    client_certificate(desk.inventory, name)
    provider(desk.inventory, name, NewCluster("a", URL, cert_auth=True), NewCluster("b", URL, cert_auth=True))
    a, b = (log_in_as(desk.instance, f"provider-{name}-{cluster}") for cluster in ("a", "b"))
    bound = desk.inventory.providers.bind_cluster(name, "a", name)
    assert [cluster.certificate for cluster in bound.clusters] == [name, None]
    assert (can_read(a, name), can_read(b, name)) == (True, False)
    assert desk.index.snapshot().used_by(name).consumers == (f"provider-{name}-a",)
    with pytest.raises(InUse) as problem:
        desk.inventory.certificates.delete(name)
    assert problem.value.conflicts == (f"provider-{name}-a",)
    desk.inventory.providers.bind_cluster(name, "a", None)
    assert not can_read(a, name)


def test_a_cluster_with_certificate_authentication_needs_a_client_certificate(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste("platform.example.com", usages=material.SERVER))
    provider(desk.inventory, name, NewCluster("a", URL, cert_auth=True), NewCluster("b", URL))
    with pytest.raises(Refused) as refused:
        desk.inventory.providers.bind_cluster(name, "a", name)
    assert "purpose.client-auth" in {finding.code for finding in refused.value.findings}
    assert desk.inventory.providers.bind_cluster(name, "b", name).clusters[1].certificate == name
    with pytest.raises(Refused):
        desk.inventory.providers.update_cluster(name, "b", cert_auth=True)


def test_binding_to_nothing_is_refused(inventory: Inventory, name: str) -> None:
    with pytest.raises(Refused) as refused:
        provider(inventory, name, NewCluster("a", URL, certificate="nothing"))
    assert refused.value.code == "binding.unknown-certificate"
    with pytest.raises(Missing):
        inventory.providers.get(name)


def test_a_removed_cluster_is_nobody_any_more(desk: Desk, name: str) -> None:
    client_certificate(desk.inventory, name)
    provider(desk.inventory, name, NewCluster("a", URL, certificate=name), NewCluster("b", URL))
    a = log_in_as(desk.instance, f"provider-{name}-a")
    assert can_read(a, name)
    left = desk.inventory.providers.remove_cluster(name, "a")
    assert [cluster.name for cluster in left.clusters] == ["b"]
    assert not can_read(a, name)
    assert f"provider-{name}-a" not in desk.instance.worker.consumers.names()
    assert reconcile(desk.instance.worker) == ()


def test_a_deleted_provider_takes_its_clusters_along_unless_a_relay_names_it(desk: Desk, name: str) -> None:
    client_certificate(desk.inventory, name)
    provider(desk.inventory, name, NewCluster("a", URL, certificate=name))
    desk.inventory.relays.create(name=name, host="r.example", port=443, provider=name)
    with pytest.raises(InUse) as problem:
        desk.inventory.providers.delete(name)
    assert problem.value.conflicts == (f"relay-{name}",)
    desk.inventory.relays.update(name, provider="")
    desk.inventory.providers.delete(name)
    with pytest.raises(Missing):
        desk.inventory.providers.get(name)
    assert f"provider-{name}-a" not in desk.instance.worker.consumers.names()


def test_clusters_are_changed_one_by_one_at_the_version_that_was_seen(desk: Desk, name: str) -> None:
    provider(desk.inventory, name, NewCluster("a", URL, server_name="x.example"))
    changed = desk.inventory.providers.update_cluster(name, "a", expect_version=1, server_name="", url="tcp://b:1")
    assert (changed.clusters[0].server_name, changed.clusters[0].url, changed.version) == (None, "tcp://b:1", 2)
    with pytest.raises(Stale):
        desk.inventory.providers.add_cluster(name, NewCluster("b", URL), expect_version=1)
    with pytest.raises(InUse) as problem:
        desk.inventory.providers.add_cluster(name, NewCluster("a", URL))
    assert problem.value.code == "cluster.exists"
    with pytest.raises(Missing):
        desk.inventory.providers.update_cluster(name, "nothing", url=URL)


def test_a_provider_with_a_broken_display_name_or_taken_name_is_refused(inventory: Inventory, name: str) -> None:
    provider(inventory, name)
    with pytest.raises(InUse) as problem:
        provider(inventory, name)
    assert problem.value.code == "provider.exists"
    with pytest.raises(Refused):
        inventory.providers.update(name, display_name="a\nb")
    with pytest.raises(Missing):
        inventory.providers.get("../x")


def test_clusters_enrol_and_are_revoked_like_relays(desk: Desk, name: str) -> None:
    client_certificate(desk.inventory, name)
    provider(desk.inventory, name, NewCluster("a", URL, certificate=name))
    assert desk.inventory.providers.enroll_cluster(name, "a", 120).role_id
    a = log_in_as(desk.instance, f"provider-{name}-a")
    desk.inventory.providers.revoke_cluster(name, "a")
    assert not can_read(a, name)
    assert can_read(log_in_as(desk.instance, f"provider-{name}-a"), name)
    with pytest.raises(Missing):
        desk.inventory.providers.enroll_cluster(name, "b", 120)
