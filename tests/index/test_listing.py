"""Lists: searched, filtered, sorted, paged."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime, timedelta

import pytest

from service.errors import Malformed
from service.index import CertificateState, Filter, ListQuery, Page, Snapshot, list_certificates
from service.index.scan import content_of
from service.index.views import CertificateView, view_of
from service.records import Annotations, Relay
from tests import material
from vault.documents import PublicHalf

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


def view(
    name: str, *, days: float = 90, deleted: bool = False, broken: bool = False, **said: object
) -> CertificateView:
    pem = "no PEM" if broken else material.paste(f"{name}.example.com", now=NOW, days=days).certificate
    content = content_of(PublicHalf(f"bundles/{name}", {"certificate": pem}, 1, NOW, {}))
    return view_of(
        name=name,
        annotations=Annotations(**said),  # type: ignore[arg-type]
        version=1,
        facts=None if deleted else content.facts,
        certificate="" if deleted else content.certificate,
        ca="",
        changed_by="ada",
        created_at=NOW,
        updated_at=NOW + timedelta(seconds=len(name)),
        deleted=deleted,
        problem="" if deleted else content.problem,
    )


def relay(name: str, certificate: str) -> Relay:
    return Relay(name, name, f"{certificate}.example.com", 443, "tls", certificate, None, enabled=True, comment="")


VIEWS = [
    view("alpha", comment="for the Müller team", labels={"env": "prod"}),
    view("bravo", days=20),
    view("charlie", days=-5),
    view("delta", deleted=True),
    view("echo", broken=True),
    view("foxtrot", display_name="Zulu"),
]
SNAPSHOT = Snapshot(
    {it.name: it for it in VIEWS}, {"r": relay("r", "alpha"), "s": relay("s", "alpha")}, {}, {}, (), {}, 0, NOW
)


def listed(**query: object) -> Page:
    return list_certificates(SNAPSHOT, ListQuery(**query), NOW)  # type: ignore[arg-type]


def names(**query: object) -> list[str]:
    return [item.view.name for item in listed(**query).items]


def test_the_deleted_are_left_out_unless_asked_for() -> None:
    assert names() == ["alpha", "bravo", "charlie", "echo", "foxtrot"]
    assert names(status="deleted") == ["delta"]


@pytest.mark.parametrize(
    ("status", "found"),
    [
        ("ok", ["alpha", "foxtrot"]),
        ("expiring", ["bravo"]),
        ("expired", ["charlie"]),
        ("problem", ["echo"]),
        ("in-use", ["alpha"]),
        ("unused", ["bravo", "charlie", "echo", "foxtrot"]),
    ],
)
def test_filters(status: str, found: list[str]) -> None:
    assert names(status=status) == found


def test_counts_are_of_what_the_search_finds_whatever_the_filter() -> None:
    counts = listed(status="expired").counts
    assert counts[Filter.ALL] == 5
    assert counts[Filter.DELETED] == counts[Filter.EXPIRED] == counts[Filter.PROBLEM] == 1
    assert counts[Filter.UNUSED] == 4
    assert listed(q="alpha").counts[Filter.ALL] == 1


@pytest.mark.parametrize(
    "q", ["ALPHA", "alpha.example", "müller TEAM", "env:prod", "zulu", "  zulu ", "Test Intermediate foxtrot"]
)
def test_searches_that_find_one(q: str) -> None:
    assert len(names(q=q)) == 1


def test_a_search_finds_a_fingerprint_and_a_serial() -> None:
    facts = VIEWS[0].facts
    assert facts is not None
    assert names(q=facts.leaf.fingerprint_sha256[:16]) == names(q=facts.leaf.serial) == ["alpha"]


def test_a_search_for_what_is_not_there_finds_nothing() -> None:
    page = listed(q="nothing-of-that-kind")
    assert (page.items, page.next_cursor, page.total) == ((), None, 0)


@pytest.mark.parametrize(
    ("sort", "found"),
    [
        ("name", ["alpha", "bravo", "charlie", "echo", "foxtrot"]),
        ("-name", ["foxtrot", "echo", "charlie", "bravo", "alpha"]),
        ("expires", ["charlie", "bravo", "alpha", "foxtrot", "echo"]),
        ("-used", ["alpha", "foxtrot", "echo", "charlie", "bravo"]),
        ("updated", ["echo", "alpha", "bravo", "charlie", "foxtrot"]),
    ],
)
def test_orders(sort: str, found: list[str]) -> None:
    assert names(sort=sort) == found


@pytest.mark.parametrize("sort", ["name", "-name", "expires", "-expires", "issuer", "-issuer", "used", "-updated"])
@pytest.mark.parametrize("limit", [1, 2, 3])
def test_pages_together_are_the_whole_list(sort: str, limit: int) -> None:
    found: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        page = listed(sort=sort, limit=limit, cursor=cursor)
        assert page.total == 5
        found += [item.view.name for item in page.items]
        cursor = page.next_cursor
    assert found == names(sort=sort)


def test_a_cursor_keeps_its_place_when_its_row_is_gone() -> None:
    cursor = listed(limit=2).next_cursor
    assert cursor
    rest = Snapshot({it.name: it for it in VIEWS if it.name != "bravo"}, {}, {}, {}, (), {}, 0, NOW)
    page = list_certificates(rest, ListQuery(limit=2, cursor=cursor), NOW)
    assert [item.view.name for item in page.items] == ["charlie", "echo"]


@pytest.mark.parametrize(
    "cursor", ["x", "%", "é", "e30", base64.b64encode(json.dumps(["-name", "a", "a"]).encode()).decode()]
)
def test_a_cursor_of_another_list_is_refused(cursor: str) -> None:
    with pytest.raises(Malformed) as problem:
        listed(cursor=cursor)
    assert problem.value.code == "query.cursor"


@pytest.mark.parametrize("query", [{"status": "x"}, {"sort": "x"}, {"limit": 0}, {"limit": 201}, {"q": "x" * 201}])
def test_a_query_that_makes_no_sense_is_refused(query: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        listed(**query)


def test_a_row_says_its_state_and_who_uses_it() -> None:
    row = listed(q="alpha").items[0]
    assert (row.state, row.relays, row.clusters, row.used) == (CertificateState.OK, 2, 0, 2)


@pytest.mark.parametrize(
    ("days", "state"),
    [(30.01, CertificateState.OK), (30, CertificateState.EXPIRING), (0, CertificateState.EXPIRED)],
)
def test_the_edges_of_expiry(days: float, state: CertificateState) -> None:
    it = view("edge", days=days)
    page = list_certificates(Snapshot({"edge": it}, {}, {}, {}, (), {}, 0, NOW), ListQuery(), NOW)
    assert page.items[0].state is state
