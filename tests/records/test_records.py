"""Names, typed text, documents, annotations."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import Refused
from service.records import (
    Annotations,
    Cluster,
    Provider,
    Relay,
    Status,
    cluster_consumer,
    cluster_host,
    is_name,
    read_annotations,
    read_cluster_url,
    read_comment,
    read_host,
    read_name,
    relay_consumer,
    slug,
)

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize("name", ["a", "0", "a-b.c", "x" * 63, "a..b", "a--b"])
def test_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ["", "-a", "a-", ".a", "a.", "A", "a_b", "a b", "a/b", "x" * 64, "ä", "a\n", "*", "+"])
def test_what_is_no_name(name: str) -> None:
    assert not is_name(name)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Relays EU (west)", "relays-eu-west"),
        ("  Straße & Öl  ", "strasse-ol"),
        ("*.example.com", "example.com"),
        ("a_b//c", "a-b-c"),
        ("--..--", ""),
        ("日本", ""),
        ("x" * 100, "x" * 63),
        ("x" * 62 + "-y", "x" * 62),
    ],
)
def test_slugs(text: str, name: str) -> None:
    assert slug(text) == name


@given(st.text(max_size=200))
def test_a_slug_is_a_name_or_nothing(text: str) -> None:
    name = slug(text)
    assert name == "" or is_name(name)


@given(st.text(max_size=200))
def test_a_typed_name_becomes_a_name_or_is_refused(text: str) -> None:
    try:
        name, display = read_name(text)
    except Refused:
        return
    assert is_name(name)
    assert display == text.strip()


def test_a_name_stays_what_it_is() -> None:
    assert read_name("relays-eu") == ("relays-eu", "relays-eu")


def test_consumers_are_named_by_their_owner() -> None:
    assert relay_consumer("eu") == "relay-eu"
    assert cluster_consumer("a", "b-c") == cluster_consumer("a-b", "c") == "provider-a-b-c"


@given(st.text(max_size=300))
def test_a_typed_host_is_read_or_refused_and_reading_it_again_changes_nothing(text: str) -> None:
    try:
        host = read_host(text)
    except Refused:
        return
    assert read_host(host) == host
    assert host.isascii()


@given(st.text(max_size=300))
def test_a_typed_url_is_read_or_refused_and_reading_it_again_changes_nothing(text: str) -> None:
    for typed in (text, f"https://{text}", f"https://c.example/{text}"):
        try:
            url = read_cluster_url(typed)
        except Refused:
            continue
        assert read_cluster_url(url) == url
        assert "@" not in url.split("/")[2]
        assert cluster_host(url)


@pytest.mark.parametrize(
    ("typed", "url"),
    [
        ("https://C.example:6443/", "https://c.example:6443"),
        ("HTTPS://c.example/api/v1", "https://c.example/api/v1"),
        ("tcp://[2001:db8::1]:2376", "tcp://[2001:db8::1]:2376"),
        ("https://bücher.example", "https://xn--bcher-kva.example"),
    ],
)
def test_urls_in_their_normal_form(typed: str, url: str) -> None:
    assert read_cluster_url(typed) == url


RELAY = Relay("eu", "EU", "r.example", 443, "mtls", "cert", "swarm", enabled=True, comment="x\ny", version=3)
PROVIDER = Provider(
    "p",
    "P",
    "swarm",
    "private",
    enabled=False,
    multi_cluster="active-passive",
    comment="",
    clusters=(Cluster("a", "https://c.example", "sni.example", cert_auth=True, certificate="cert"),),
    version=2,
)
STATUS = Status("relay-eu", "cert", 4, "ab" * 32, "serving", "", 7, NOW, version=9)


def test_a_record_is_what_was_stored() -> None:
    assert Relay.from_data("eu", RELAY.to_data(), 3) == RELAY
    assert Provider.from_data("p", PROVIDER.to_data(), 2) == PROVIDER
    assert Status.from_data("relay-eu", STATUS.to_data(), 9, NOW) == STATUS


@pytest.mark.parametrize("junk", [None, 1, True, [], {}, "x" * 10, "../../etc", -1, 10**30, [1], {"a": 1}])
@pytest.mark.parametrize("field", sorted({*RELAY.to_data(), *PROVIDER.to_data(), *STATUS.to_data()}))
def test_junk_in_any_field_is_a_value_error_or_taken_as_text(field: str, junk: object) -> None:
    for read, data in (
        (lambda data: Relay.from_data("eu", data, 1), RELAY.to_data()),
        (lambda data: Provider.from_data("p", data, 1), PROVIDER.to_data()),
        (lambda data: Status.from_data("c", data, 1, NOW), STATUS.to_data()),
    ):
        try:
            read({**data, field: junk})
        except ValueError:
            continue


def test_a_binding_to_what_is_no_name_is_no_binding() -> None:
    for certificate in ("*", "a/b", "+", "../x"):
        with pytest.raises(ValueError, match="name"):
            Relay.from_data("eu", {**RELAY.to_data(), "certificate": certificate}, 1)


@given(st.text(max_size=100), st.text(max_size=300), st.dictionaries(st.text(max_size=8), st.text(max_size=100)))
def test_annotations_are_kept_as_typed_within_vaults_limits(
    display_name: str, comment: str, labels: dict[str, str]
) -> None:
    try:
        said = read_annotations(display_name=display_name, comment=comment, labels=labels)
    except Refused:
        return
    stored = said.to_custom_metadata()
    assert all(0 < len(value.encode()) <= 512 and value.isprintable() for value in stored.values())
    assert all(len(key.encode()) <= 128 and key.isprintable() for key in stored)
    assert len(stored) <= 64
    assert Annotations.from_custom_metadata(stored) == said


def test_annotations_written_by_hand_are_taken_as_they_stand() -> None:
    said = Annotations.from_custom_metadata({"comment": "C:\\temp\\", "other": "x", "label:a": 'say "hi"'})
    assert (said.comment, said.labels) == ("C:\\temp\\", {"a": 'say "hi"'})


def test_a_comment_keeps_its_lines() -> None:
    assert read_comment(" a\r\nb\rc\t\n") == "a\nb\nc"
