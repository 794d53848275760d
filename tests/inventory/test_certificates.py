"""Certificates: create, rotate, annotate, delete, restore, destroy."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from service.errors import InUse, Missing, NotAllowed, Refused, Stale
from service.index import CertificateState, ListQuery
from service.inventory import Inventory
from service.inventory.clusters import NewCluster
from tests import material
from tests.inventory.conftest import Desk, make_desk, now
from tests.material import BOTH, issue, rsa_keys_with_a_prime_in_common
from tests.pki.test_issuance import public


def paste(*hosts: str, **options: object) -> material.Paste:
    return material.paste(*hosts, now=datetime.now(UTC), **options)  # type: ignore[arg-type]


def create(inventory: Inventory, name: str, pasted: material.Paste, **more: object) -> None:
    inventory.certificates.create(
        name=name,
        private_key=pasted.key,
        certificate=pasted.certificate,
        ca=pasted.ca,
        **more,  # type: ignore[arg-type]
    )


def test_a_created_certificate_has_a_profile_without_its_key(inventory: Inventory, name: str) -> None:
    pasted = paste("relay.example.com", "b.example.com", client_ca=True)
    profile = inventory.certificates.create(
        name=name,
        private_key=pasted.key,
        certificate=pasted.certificate,
        ca=pasted.ca,
        comment="two\nlines \\ and ünïcode 🔑",
        labels={"team": "web", "env": ""},
    )
    assert profile.view.version == 1
    assert profile.view.certificate == pasted.certificate
    assert profile.view.ca == pasted.ca
    assert profile.view.comment == "two\nlines \\ and ünïcode 🔑"
    assert profile.view.labels == {"env": "", "team": "web"}
    assert profile.view.changed_by == "ada"
    assert profile.view.facts is not None
    assert profile.view.facts.leaf.dns_names == ("relay.example.com", "b.example.com")
    assert profile.state is CertificateState.OK
    assert len(profile.users) == 0
    assert pasted.key not in repr(profile)


def test_what_is_stored_is_the_key_the_chain_and_the_ca(desk: Desk, name: str) -> None:
    pasted = paste(client_ca=True)
    create(desk.inventory, name, pasted)
    stored = desk.instance.worker.documents.read(f"bundles/{name}")
    assert stored.data == {"private_key": pasted.key, "certificate": pasted.certificate, "ca": pasted.ca}


def test_a_free_text_name_becomes_a_name_and_stays_as_the_display_name(inventory: Inventory, name: str) -> None:
    pasted = paste()
    profile = inventory.certificates.create(
        name=f"Relays Über {name}", private_key=pasted.key, certificate=pasted.certificate
    )
    assert profile.view.name == f"relays-uber-{name}"
    assert profile.view.display_name == f"Relays Über {name}"


@pytest.mark.parametrize("illegal", ["", "   ", "证书", "...", "a\x00b", "x" * 121, "\ud800"])
def test_an_illegal_name_is_refused_beside_its_field(inventory: Inventory, illegal: str) -> None:
    pasted = paste()
    with pytest.raises(Refused) as refused:
        inventory.certificates.create(name=illegal, private_key=pasted.key, certificate=pasted.certificate)
    assert refused.value.findings[0].field == "name"


@pytest.mark.parametrize("path", ["../x", "a/b", "A", "", "x" * 64, "a b", "%2e%2e", "a\x00", "-a"])
def test_a_path_that_is_no_name_is_missing(inventory: Inventory, path: str) -> None:
    with pytest.raises(Missing):
        inventory.certificates.get(path)
    with pytest.raises(Missing):
        inventory.certificates.delete(path)


def test_a_name_that_is_taken_is_said_to_exist(inventory: Inventory, name: str) -> None:
    create(inventory, name, paste())
    with pytest.raises(InUse) as problem:
        create(inventory, name, paste())
    assert problem.value.code == "certificate.exists"
    assert inventory.certificates.get(name).view.version == 1


def test_two_people_who_create_the_same_name_at_once_make_one(desk: Desk, name: str) -> None:
    other = make_desk(desk.instance, who="grace")
    first = paste()
    create(desk.inventory, name, first)
    with pytest.raises(InUse) as problem:  # her index has not seen it
        create(other.inventory, name, paste(), comment="lost")
    assert problem.value.code == "certificate.exists"
    view = other.inventory.certificates.get(name).view
    assert (view.certificate, view.comment) == (first.certificate, "")


def test_a_key_that_does_not_match_is_refused_and_nothing_is_written(desk: Desk, name: str) -> None:
    pasted, other = paste(), paste()
    with pytest.raises(Refused) as refused:
        desk.inventory.certificates.create(name=name, private_key=other.key, certificate=pasted.certificate)
    assert "key.mismatch" in {finding.code for finding in refused.value.findings}
    assert name not in desk.instance.root.documents.list("bundles")


@pytest.mark.parametrize("comment", ["x" * 513, "é" * 257, "a\x07"])
def test_a_comment_that_vault_would_not_keep_is_refused(inventory: Inventory, name: str, comment: str) -> None:
    with pytest.raises(Refused) as refused:
        create(inventory, name, paste(), comment=comment)
    assert refused.value.findings[0].field == "comment"


@pytest.mark.parametrize("labels", [{"": "x"}, {"A B": "x"}, {"a": "x" * 121}, {f"k{i}": "" for i in range(33)}])
def test_a_label_that_vault_would_not_keep_is_refused(inventory: Inventory, name: str, labels: dict[str, str]) -> None:
    with pytest.raises(Refused) as refused:
        create(inventory, name, paste(), labels=labels)
    assert refused.value.findings[0].field == "labels"


def test_rotation_writes_one_new_version(desk: Desk, name: str) -> None:
    certificates = desk.inventory.certificates
    create(desk.inventory, name, paste(client_ca=True))
    new = paste(client_ca=True)
    profile = certificates.rotate(name, expect_version=1, private_key=new.key, certificate=new.certificate, ca=new.ca)
    assert profile.view.version == 2
    stored = desk.instance.worker.documents.read(f"bundles/{name}")
    assert stored.data == {"private_key": new.key, "certificate": new.certificate, "ca": new.ca}


def test_rotation_without_a_key_keeps_it_and_takes_a_new_leaf_of_the_same_key(desk: Desk, name: str) -> None:
    first = paste(client_ca=True)
    create(desk.inventory, name, first)
    renewed = paste(key=first.leaf.key)
    profile = desk.inventory.certificates.rotate(name, expect_version=1, certificate=renewed.certificate)
    stored = desk.instance.worker.documents.read(f"bundles/{name}")
    assert stored.data == {"private_key": first.key, "certificate": renewed.certificate, "ca": first.ca}
    assert (profile.view.version, profile.view.certificate, profile.view.ca) == (2, renewed.certificate, first.ca)


def test_rotation_without_a_key_refuses_a_leaf_of_another_key(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    with pytest.raises(Refused) as refused:
        desk.inventory.certificates.rotate(name, expect_version=1, certificate=paste().certificate)
    assert "key.mismatch" in {finding.code for finding in refused.value.findings}
    assert desk.instance.root.documents.metadata(f"bundles/{name}").current_version == 1


def test_the_ca_alone_can_be_replaced_and_removed(desk: Desk, name: str) -> None:
    first = paste(client_ca=True)
    create(desk.inventory, name, first)
    ca = material.root("Other Clients", now=datetime.now(UTC)).pem
    certificates = desk.inventory.certificates
    assert certificates.rotate(name, expect_version=1, ca=ca).view.ca == ca
    assert certificates.rotate(name, expect_version=2, ca="").view.ca == ""
    stored = desk.instance.worker.documents.read(f"bundles/{name}")
    assert stored.data == {"private_key": first.key, "certificate": first.certificate, "ca": ""}


def test_the_same_material_makes_no_version(desk: Desk, name: str) -> None:
    pasted = paste(client_ca=True)
    create(desk.inventory, name, pasted)
    certificates = desk.inventory.certificates
    again = certificates.rotate(
        name, expect_version=1, private_key=pasted.key, certificate=pasted.certificate, ca=pasted.ca
    )
    assert again.view.version == 1
    assert certificates.rotate(name, expect_version=1).view.version == 1
    assert desk.instance.root.documents.metadata(f"bundles/{name}").current_version == 1


def test_the_second_of_two_people_gets_told_what_changed(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    other = make_desk(desk.instance, who="grace")
    mine, hers = paste(), paste()
    desk.inventory.certificates.rotate(name, expect_version=1, private_key=mine.key, certificate=mine.certificate)
    with pytest.raises(Stale) as problem:
        other.inventory.certificates.rotate(name, expect_version=1, private_key=hers.key, certificate=hers.certificate)
    assert "version 2" in problem.value.detail
    assert any("by ada" in conflict for conflict in problem.value.conflicts)
    assert desk.instance.worker.documents.read(f"bundles/{name}").data["certificate"] == mine.certificate


def test_annotating_makes_no_version_and_keeps_what_is_not_named(inventory: Inventory, name: str) -> None:
    create(inventory, name, paste(), comment="kept", labels={"team": "web"})
    view = inventory.certificates.annotate(name, display_name="Shown").view
    assert (view.display_name, view.comment, view.labels, view.version) == ("Shown", "kept", {"team": "web"}, 1)
    view = inventory.certificates.annotate(name, comment="", labels={}, display_name=name).view
    assert (view.display_name, view.comment, view.labels) == (name, "", {})


def test_a_deleted_certificate_can_be_restored(inventory: Inventory, name: str) -> None:
    pasted = paste()
    create(inventory, name, pasted)
    inventory.certificates.delete(name, expect_version=1)
    assert inventory.certificates.get(name).state is CertificateState.DELETED
    assert name not in {item.view.name for item in inventory.certificates.list(ListQuery(limit=200)).items}
    with pytest.raises(InUse) as problem:
        create(inventory, name, paste())
    assert problem.value.code == "certificate.exists"
    assert "restored" in problem.value.detail
    profile = inventory.certificates.restore(name)
    assert (profile.view.version, profile.view.certificate) == (1, pasted.certificate)


def test_a_deleted_certificate_cannot_be_rotated(inventory: Inventory, name: str) -> None:
    create(inventory, name, paste())
    inventory.certificates.delete(name)
    with pytest.raises(InUse) as problem:
        inventory.certificates.rotate(name, expect_version=1, ca="")
    assert problem.value.code == "certificate.deleted"


def test_a_destroyed_certificate_leaves_its_name_free(inventory: Inventory, name: str) -> None:
    create(inventory, name, paste(), comment="old")
    inventory.certificates.destroy(name)
    with pytest.raises(Missing):
        inventory.certificates.get(name)
    new = paste()
    create(inventory, name, new)
    view = inventory.certificates.get(name).view
    assert (view.version, view.certificate, view.comment) == (1, new.certificate, "")


def test_deleting_with_a_stale_version_is_refused(inventory: Inventory, name: str) -> None:
    create(inventory, name, paste())
    with pytest.raises(Stale):
        inventory.certificates.delete(name, expect_version=7)


def test_versions_tell_facts_and_who(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste("one.example"))
    new = paste("two.example")
    other = make_desk(desk.instance, who="grace")
    other.inventory.certificates.rotate(name, expect_version=1, private_key=new.key, certificate=new.certificate)
    second, first = desk.inventory.certificates.versions(name)
    assert (second.number, second.changed_by, second.state) == (2, "grace", "current")
    assert (first.number, first.changed_by, first.state) == (1, "ada", "kept")
    assert first.facts is not None
    assert first.facts.leaf.dns_names == ("one.example",)


def test_an_auditor_sees_everything_and_changes_nothing(desk: Desk, name: str) -> None:
    create(desk.inventory, name, paste())
    auditor = make_desk(desk.instance, vault=desk.instance.auditor, who="eve")
    assert auditor.inventory.certificates.get(name).view.version == 1
    with pytest.raises(NotAllowed):
        create(auditor.inventory, f"{name}-x", paste())
    with pytest.raises(NotAllowed):
        auditor.inventory.certificates.delete(name)
    assert desk.inventory.certificates.get(name).view.version == 1


def test_a_bundle_written_by_hand_is_a_problem_and_a_rotation_puts_it_right(desk: Desk, name: str) -> None:
    documents = desk.instance.root.documents
    documents.write(f"bundles/{name}", {"private_key": "x", "certificate": "y"}, expect_version=0)
    documents.write(f"bundles/{name}-b", {"a": "x"}, expect_version=0, public={"certificate": "no PEM", "ca": "junk"})
    desk.index.rescan()
    for broken in (name, f"{name}-b"):
        profile = desk.inventory.certificates.get(broken)
        assert profile.state is CertificateState.PROBLEM
        assert profile.view.problem
        assert profile.coverages == {}
        with pytest.raises(Refused):
            desk.inventory.certificates.rotate(broken, expect_version=1, ca="")
        new = paste()
        fixed = desk.inventory.certificates.rotate(
            broken, expect_version=1, private_key=new.key, certificate=new.certificate
        )
        assert fixed.state is CertificateState.OK


def test_a_check_stores_nothing_and_says_what_create_would(desk: Desk, name: str) -> None:
    pasted = paste()
    report = desk.inventory.certificates.check(private_key=pasted.key, certificate=pasted.certificate)
    assert not report.checked.blocked
    bad = desk.inventory.certificates.check(private_key="-----BEGIN", certificate=pasted.certificate)
    assert bad.checked.blocked
    assert name not in desk.instance.root.documents.list("bundles")


def test_what_the_instance_holds_already_is_told(desk: Desk, name: str) -> None:
    certificates = desk.inventory.certificates
    first = paste("relay.example.com")
    certificates.create(name=name, private_key=first.key, certificate=first.certificate)
    again = certificates.check(private_key=first.key, certificate=first.certificate)
    assert [one.code for one in again.checked.findings] == ["certificate.elsewhere"]
    assert name in again.checked.findings[0].message
    renewed = issue(
        "relay.example.com", issuer=first.leaf.issuer, key=first.leaf.key, hosts=["relay.example.com"], now=now()
    )
    sharing = certificates.check(private_key=first.key, certificate=renewed.chain)
    assert [one.code for one in sharing.checked.findings] == ["key.reused"]
    rotation = certificates.check(private_key=first.key, certificate=renewed.chain, name=name)
    assert [(one.code, "version 1" in one.message) for one in rotation.checked.findings] == [("key.reused", True)]
    assert certificates.check(private_key=first.key, certificate=first.certificate, name=name).checked.findings == ()
    assert certificates.check(certificate=renewed.chain, name=name).checked.findings == ()


def test_a_missing_intermediate_that_the_instance_holds_is_offered(desk: Desk, name: str) -> None:
    certificates = desk.inventory.certificates
    first = paste("relay.example.com")
    certificates.create(name=name, private_key=first.key, certificate=first.certificate)
    other = issue("other.example.com", issuer=first.leaf.issuer, hosts=["other.example.com"], now=now())
    report = certificates.check(private_key=other.key_pem, certificate=other.pem)
    assert {"chain.incomplete", "chain.held-elsewhere"} <= {one.code for one in report.checked.findings}
    assert [offer.held_by for offer in report.offers] == [name]
    repaired = certificates.check(private_key=other.key_pem, certificate=other.pem + report.offers[0].certificate)
    assert repaired.checked.certificate == other.chain
    assert repaired.checked.findings == ()


def test_keys_with_a_prime_in_common_are_refused(desk: Desk, name: str) -> None:
    certificates = desk.inventory.certificates
    one, other = rsa_keys_with_a_prime_in_common()
    first = issue("a.example.com", key=one, hosts=["a.example.com"], now=now())
    certificates.create(name=name, private_key=first.key_pem, certificate=first.pem)
    second = issue("b.example.com", key=other, hosts=["b.example.com"], now=now())
    with pytest.raises(Refused) as refused:
        certificates.create(name=f"{name}-b", private_key=second.key_pem, certificate=second.pem)
    assert "key.shared-prime" in {finding.code for finding in refused.value.findings}


def test_the_end_of_public_client_certificates_is_told_ahead_where_a_cluster_shows_one(desk: Desk, name: str) -> None:
    key, chain, _ = public(now() - timedelta(days=1), 90, BOTH)
    certificates = desk.inventory.certificates
    certificates.create(name=name, private_key=key, certificate=chain)

    def told() -> list[set[str]]:
        checked = certificates.check(name=name, certificate=chain).checked
        return [{one.code for one in found} for found in (certificates.get(name).findings, checked.findings)]

    assert told() == [set(), set()]
    cluster = NewCluster("one", "https://swarm.example.com", cert_auth=True, certificate=name)
    desk.inventory.providers.create(name=name, kind="swarm", clusters=[cluster])
    assert told() == [{"purpose.client-auth-ending"}] * 2
