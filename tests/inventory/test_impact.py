"""What a change does to consumers, worked out from two bundles; and rotations through the inventory."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from service.inventory.differences import differences, in_words
from service.inventory.fit import Need, impacts
from service.pki.facts import BundleFacts, read_facts
from service.pki.finding import Severity
from tests import material
from tests.material import NOW, Issued

ROOT = material.root("Root A")
ISSUER = material.intermediate(ROOT, "Issuer A")
KEY = material.ec_key()
CLIENTS, MORE_CLIENTS = material.root("Clients 2025"), material.root("Clients 2026")
EU = Need("relay-eu", ("eu.example.com",), "server", mtls=False)
US = Need("relay-us", ("us.example.com",), "server", mtls=True)
SWARM = Need("swarm-eu", (), "client", mtls=False)


def facts(*hosts: str, ca: str = "", issuer: Issued = ISSUER, days: float = 90, key: material.Key = KEY) -> BundleFacts:
    leaf = material.issue(hosts[0], hosts=hosts, issuer=issuer, days=days, key=key, usages=material.BOTH)
    return read_facts(leaf.chain, ca)


def told(*needs: Need, old: BundleFacts | None, new: BundleFacts) -> set[tuple[str, str, str]]:
    found = impacts(needs, old, new, NOW)
    assert all(one.message.startswith(f"{one.consumer}: ") for one in found)
    return {(one.consumer, one.code, str(one.severity)) for one in found}


def test_the_same_names_key_issuer_and_ca_in_a_later_certificate_are_no_impact():
    assert told(EU, SWARM, old=facts("eu.example.com"), new=facts("eu.example.com", days=120)) == set()


def test_a_lost_name_is_an_error_for_the_consumer_that_needs_it_and_a_warning_otherwise():
    old, new = facts("eu.example.com", "us.example.com", "old.example.com"), facts("us.example.com")
    found = impacts((EU, Need("relay-us", ("us.example.com",), "server", mtls=False)), old, new, NOW)
    assert [(one.consumer, one.code) for one in found] == [
        ("relay-eu", "host.not-covered"),
        ("relay-eu", "names.lost"),
        ("relay-us", "names.lost"),
    ]
    assert [one.harmful for one in found] == [True, False, False]
    assert "old.example.com" in found[1].message
    assert "eu.example.com" not in found[1].message.removeprefix("relay-eu")


def test_a_name_under_a_new_wildcard_is_not_lost_and_the_wildcard_is_gained():
    found = differences(facts("eu.example.com", "us.example.com"), facts("*.example.com"))
    assert (found.lost, found.gained) == ((), ("*.example.com",))
    back = differences(facts("*.example.com"), facts("eu.example.com"))
    assert (back.lost, back.gained) == (("*.example.com",), ())


def test_a_wildcard_that_goes_away_is_told_where_every_host_stays_covered():
    old, new = facts("*.example.com"), facts("eu.example.com")
    assert told(EU, old=old, new=new) == {("relay-eu", "names.lost", "warning")}


def test_gained_names_and_another_issuer_are_worth_knowing():
    other = material.intermediate(material.root("Root B"), "Issuer B")
    old, new = facts("eu.example.com"), facts("eu.example.com", "192.0.2.7", issuer=other)
    assert told(EU, old=old, new=new) == {
        ("relay-eu", "names.gained", "info"),
        ("relay-eu", "issuer.changed", "info"),
    }


@pytest.mark.parametrize(
    ("key", "words"),
    [(material.ec_key(ec.SECP384R1()), "EC 256 to EC 384"), (material.rsa_key(), "EC 256 to RSA 2048")],
)
def test_another_kind_or_size_of_key_is_a_warning(key: material.Key, words: str):
    found = impacts((SWARM,), facts("eu.example.com"), facts("eu.example.com", key=key), NOW)
    assert [(one.code, one.severity) for one in found] == [("key-type.changed", Severity.WARNING)]
    assert words in found[0].message


def test_a_new_certificate_that_ends_before_the_old_is_a_warning():
    found = impacts((EU,), facts("eu.example.com", days=90), facts("eu.example.com", days=60), NOW)
    assert [(one.code, one.harmful) for one in found] == [("expiry.earlier", False)]
    assert f"{NOW + timedelta(days=60):%Y-%m-%d}" in found[0].message


def test_authorities_that_come_and_go_concern_relays_with_mtls_alone():
    hosts = ("eu.example.com", "us.example.com")
    old, new = facts(*hosts, ca=CLIENTS.pem), facts(*hosts, ca=MORE_CLIENTS.pem)
    assert told(EU, US, SWARM, old=old, new=new) == {
        ("relay-us", "ca.dropped", "error"),
        ("relay-us", "ca.added", "warning"),
    }
    both = facts(*hosts, ca=CLIENTS.pem + MORE_CLIENTS.pem)
    assert told(US, old=old, new=both) == {("relay-us", "ca.added", "warning")}
    assert told(US, old=old, new=facts(*hosts)) == {("relay-us", "ca.missing", "error")}


def test_an_authority_whose_certificate_was_renewed_with_its_key_neither_comes_nor_goes():
    renewed = material.root("Clients 2025, renewed", key=CLIENTS.key)
    old, new = facts("us.example.com", ca=CLIENTS.pem), facts("us.example.com", ca=renewed.pem)
    assert told(US, old=old, new=new) == set()


def test_what_was_wrong_before_is_told_and_is_no_new_harm():
    old, new = facts("us.example.com"), facts("us.example.com", days=100)
    found = impacts((EU,), old, new, NOW)
    assert [(one.code, one.harmful) for one in found] == [("host.not-covered", False)]
    assert found[0].message.endswith("It was so before.")


def test_without_anything_before_all_that_is_wrong_is_news_and_nothing_is_compared():
    assert told(EU, US, old=None, new=facts("us.example.com", ca=CLIENTS.pem)) == {
        ("relay-eu", "host.not-covered", "error")
    }


def test_at_most_five_names_are_written_out_and_none_of_them_raw():
    names = tuple(f"n{number}.example.com" for number in range(7))
    found = impacts((EU,), facts("eu.example.com", *names), facts("eu.example.com"), NOW)
    assert "n4.example.com and 2 more" in found[0].message
    assert "n5.example.com" not in found[0].message
    assert in_words(("evil\x1b[31m\nname",)) == "evil\ufffd[31m\ufffdname"


def test_each_of_hundreds_of_consumers_is_told_of_thousands_of_lost_names_once():
    hosts = tuple(f"n{number}.example.com" for number in range(2000))
    needs = tuple(Need(f"relay-{number}", (), "server", mtls=False) for number in range(500))
    found = impacts(needs, facts("eu.example.com", *hosts), facts("eu.example.com"), NOW)
    assert len(found) == 500
