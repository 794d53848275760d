"""Pages of a list. Certificates page by cursor, the short lists by place; both draw the same pager."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

Row = TypeVar("Row")

PAGE_SIZE: Final = 50
MAX_TRAIL: Final = 10
"""Cursors of former pages that a link carries, so that "Previous" works without state on the server. Further back,
"Previous" leads to the first page: a request line has to stay under gunicorn's 4094 bytes."""
TRAIL_SEPARATOR: Final = "~"


@dataclass(frozen=True, slots=True)
class Pager:
    """What the pager shows: rows `first` to `last` of `total`, counted from 1."""

    first: int
    last: int
    total: int
    previous_href: str | None
    next_href: str | None


@dataclass(frozen=True, slots=True)
class Slice(Generic[Row]):
    """The rows of one page."""

    rows: tuple[Row, ...]
    pager: Pager


def slice_rows(rows: Sequence[Row], start_text: str, href: Callable[..., str]) -> Slice[Row]:
    """One page of rows that are all at hand.

    Args:
        start_text: the query parameter `start`, untrusted; anything but a place in the list is the beginning.
        href: the page's URL for keyword arguments (`start=None` leaves it out).
    """
    start = int(start_text) if start_text.isdecimal() and len(start_text) < 9 else 0
    if start >= len(rows):
        start = 0
    shown = tuple(rows[start : start + PAGE_SIZE])
    before = max(0, start - PAGE_SIZE)
    return Slice(
        shown,
        Pager(
            first=start + 1 if shown else 0,
            last=start + len(shown),
            total=len(rows),
            previous_href=href(start=before or None) if start else None,
            next_href=href(start=start + PAGE_SIZE) if start + PAGE_SIZE < len(rows) else None,
        ),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where in a cursor list a page is, as its URL says. All of it is untrusted and only ever handed on.

    Attributes:
        cursor: of this page; empty on the first.
        trail: the cursors of the pages before, oldest first, joined; without the first page, which has none.
        start: how many rows come before.
    """

    cursor: str
    trail: str
    start: str


def cursor_pager(place: Place, *, shown: int, total: int, next_cursor: str | None, href: Callable[..., str]) -> Pager:
    """The pager of a page of `shown` rows out of `total`."""
    before = int(place.start) if place.cursor and place.start.isdecimal() and len(place.start) < 9 else 0
    trail = [part for part in place.trail.split(TRAIL_SEPARATOR) if part][-MAX_TRAIL:] if place.cursor else []
    before = min(before, max(total - shown, 0))
    previous_href = next_href = None
    if place.cursor:
        back = trail[-1] if trail else None
        start = max(0, before - PAGE_SIZE) if back else None
        previous_href = href(cursor=back, trail=TRAIL_SEPARATOR.join(trail[:-1]) or None, start=start)
    if next_cursor:
        onward = [*trail, place.cursor][-MAX_TRAIL:] if place.cursor else []
        next_href = href(cursor=next_cursor, trail=TRAIL_SEPARATOR.join(onward) or None, start=before + shown)
    return Pager(
        first=before + 1 if shown else 0,
        last=before + shown,
        total=total,
        previous_href=previous_href,
        next_href=next_href,
    )
