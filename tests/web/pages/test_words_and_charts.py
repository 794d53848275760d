"""How times and shares read, how a list pages, and what the expiry chart draws. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree as ET

import pytest

from service.web import filters
from service.web.charts import Expiry, expiry_timeline
from service.web.pages.frame import local_path
from service.web.pages.paging import PAGE_SIZE, Place, cursor_pager, slice_rows

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("later", "said"),
    [
        (timedelta(days=9, hours=1), "in 9 days"),
        (timedelta(days=1), "in 1 day"),
        (timedelta(days=59), "in 59 days"),
        (timedelta(days=90), "in 3 months"),
        (timedelta(days=800), "in 2 years"),
        (timedelta(hours=1), "in 1 hour"),
        (timedelta(seconds=20), "in under a minute"),
        (timedelta(seconds=-20), "just now"),
        (timedelta(hours=-5), "5 hours ago"),
    ],
)
def test_a_time_reads_relative_to_now(later: timedelta, said: str) -> None:
    assert filters.relative(NOW + later, NOW) == said


def test_an_absolute_time_names_its_zone() -> None:
    assert filters.absolute(NOW) == "1 Jun 2026, 12:00 UTC"
    assert filters.iso(NOW) == "2026-06-01T12:00:00Z"


@pytest.mark.parametrize(("days", "used"), [(-10, 0), (0, 0), (50, 50), (100, 100), (300, 100)])
def test_the_validity_used_stays_between_none_and_all(days: int, used: int) -> None:
    start = NOW
    assert filters.validity_used(start + timedelta(days=100), start, start + timedelta(days=days)) == used


def test_counts_agree_with_their_noun() -> None:
    assert [filters.plural(count, "relay") for count in (0, 1, 2, 12_000)] == [
        "0 relays",
        "1 relay",
        "2 relays",
        "12,000 relays",
    ]


def test_the_chart_is_well_formed_names_every_mark_and_carries_no_style() -> None:
    hostile = Expiry('<b>"x"&', "/certificates/x?a=1&b=2", NOW + timedelta(days=40), 2)
    unused = Expiry("unused", "/certificates/u", NOW + timedelta(days=10), 0)
    over = Expiry("over", "/certificates/o", NOW - timedelta(days=900), 1)
    far = Expiry("far", "/certificates/f", NOW + timedelta(days=900), 1)
    for narrow in (False, True):
        drawn = str(expiry_timeline([hostile, unused, over, far], NOW, chart_id="t", narrow=narrow))
        tree = ET.fromstring(drawn)
        marks = {a.get("aria-label"): a.find("circle") for a in tree.iter("a")}
        assert list(marks) == [
            "over: expires 2 years ago, used by 1 consumer",
            "unused: expires in 10 days, not used",
            '<b>"x"&: expires in 40 days, used by 2 consumers',
        ]
        kinds = [mark.get("class") for mark in marks.values() if mark is not None]
        assert kinds == ["bound wrong", "unbound due", "bound ok"]
        assert not any("style" in element.attrib for element in tree.iter())


def test_a_crowded_day_is_counted_instead_of_drawn_over_the_edge() -> None:
    many = [Expiry(f"c{number}", "/", NOW + timedelta(days=200), 0) for number in range(60)]
    tree = ET.fromstring(str(expiry_timeline(many, NOW, chart_id="t")))
    assert all(int(circle.get("cy", "0")) > 0 for circle in tree.iter("circle"))
    assert any(text.text == "+53" for text in tree.iter("text"))


def test_short_lists_page_by_place() -> None:
    rows = list(range(120))

    def href(**more: object) -> str:
        return str(more)

    first = slice_rows(rows, "", href)
    assert (first.pager.first, first.pager.last, first.pager.total, first.pager.previous_href) == (1, 50, 120, None)
    last = slice_rows(rows, "100", href)
    assert (last.rows, last.pager.next_href) == (tuple(range(100, 120)), None)
    for nonsense in ("-1", "x", "99999", "9" * 30, "٣"):
        assert slice_rows(rows, nonsense, href).rows[0] in {0, 3}


def test_a_cursor_list_keeps_its_place_and_finds_the_way_back() -> None:
    def href(**more: object) -> dict[str, object]:  # type: ignore[misc]
        return {key: value for key, value in more.items() if value is not None}

    place, seen = Place("", "", ""), []
    for number in range(1, 5):
        pager = cursor_pager(place, shown=PAGE_SIZE, total=200, next_cursor=f"c{number}", href=href)  # type: ignore[arg-type]
        seen.append((pager.first, pager.last))
        onward: dict[str, object] = pager.next_href  # type: ignore[assignment]
        place = Place(str(onward["cursor"]), str(onward.get("trail", "")), str(onward["start"]))
    assert seen == [(1, 50), (51, 100), (101, 150), (151, 200)]
    back = cursor_pager(place, shown=0, total=200, next_cursor=None, href=href)  # type: ignore[arg-type]
    assert back.previous_href == {"cursor": "c3", "trail": "c1~c2", "start": 150}


@pytest.mark.parametrize("target", ["//x", "/\\x", "https://x", "x", "", None, "/a\nb", "/a b", "/\tb"])
def test_only_paths_of_this_site_are_followed(target: str | None) -> None:
    assert local_path(target) is None


def test_a_path_of_this_site_is_followed() -> None:
    assert local_path("/certificates?q=a%20b") == "/certificates?q=a%20b"
