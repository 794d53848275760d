"""Charts as SVG, drawn here so that pages need no script. Pure: places and words in, one drawing out.

The drawing carries classes only, no style: `console.css` colours it for light and dark, and a strict
Content-Security-Policy stays whole. A chart has one message, a title, a description, and a table behind it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from markupsafe import Markup

from service.web import filters

WIDTH: Final = 1120
"""Units of the drawing; it scales with the page."""
NARROW_WIDTH: Final = 360
"""The drawing for phones: scaled down from WIDTH, its words could not be read."""
MARGIN: Final = 16
AXIS_Y: Final = 132
ROW_HEIGHT: Final = 16
MAX_STACK: Final = 7
"""Marks above one another; a further one is counted, not drawn."""
SPAN: Final = timedelta(days=365)
BEFORE: Final = timedelta(days=21)
"""What is shown of the time before today: expired certificates that still stand there."""
MAX_MARKS: Final = 400
"""A page of ten thousand links helps nobody; the table and the list have them all."""


@dataclass(frozen=True, slots=True)
class Expiry:
    """One certificate on the timeline. `href` is its page; `users` is how many consumers use it."""

    name: str
    href: str
    not_after: datetime
    users: int


def _mark(expiry: Expiry, now: datetime, x: int, y: int) -> Markup:
    state = filters.expiry_state(expiry.not_after, now)
    used = f"used by {filters.plural(expiry.users, 'consumer')}" if expiry.users else "not used"
    sentence = f"{expiry.name}: expires {filters.relative(expiry.not_after, now)}, {used}"
    kind = "bound" if expiry.users else "unbound"
    return Markup(
        '<a href="{href}" aria-label="{sentence}"><circle class="{kind} {state}" cx="{x}" cy="{y}" r="5">'
        "<title>{sentence}</title></circle></a>"
    ).format(href=expiry.href, sentence=sentence, kind=kind, state=state, x=x, y=y)


def _next_month(month: datetime) -> datetime:
    return (month + timedelta(days=32)).replace(day=1)


def expiry_timeline(expiries: Sequence[Expiry], now: datetime, *, chart_id: str, narrow: bool = False) -> Markup:
    """The next twelve months: one mark per certificate, filled when used, hollow when not, and today's line.

    Args:
        expiries: any order; those outside the shown time are left to the table, expired ones stand at the left edge.
        now: where today's line is.
        chart_id: makes the ids of title and description unique on the page.
        narrow: draw for a phone.
    """
    width = NARROW_WIDTH if narrow else WIDTH
    start, whole_s = now - BEFORE, (SPAN + BEFORE).total_seconds()

    def x_of(at: datetime) -> int:
        return MARGIN + round((width - 2 * MARGIN) * max(0.0, (at - start).total_seconds()) / whole_s)

    shown = sorted((e for e in expiries if e.not_after <= now + SPAN), key=lambda e: (e.not_after, e.name))
    used = sum(1 for expiry in shown if expiry.users)
    described = (
        f"{filters.plural(len(shown), 'certificate')} expire within twelve months or have expired, {used} of them used."
        if shown
        else "No certificate expires within twelve months."
    )
    parts = [
        Markup(
            '<svg class="expiry-chart" viewBox="0 0 {width} {height}" role="group" aria-labelledby="{id}-t {id}-d">'
            '<title id="{id}-t">When certificates expire</title><desc id="{id}-d">{described}</desc>'
        ).format(width=width, height=AXIS_Y + 28, id=chart_id, described=described)
    ]
    month = _next_month(now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0))
    index = 0
    while month <= now + SPAN:
        x = x_of(month)
        parts.append(Markup('<line class="gridline" x1="{x}" x2="{x}" y1="16" y2="{y}"/>').format(x=x, y=AXIS_Y))
        if x < width - 48 and (not narrow or index % 3 == 0):
            word = f"{month:%b}" if month.month != 1 else f"{month:%b %Y}"
            parts.append(Markup('<text x="{x}" y="{y}">{word}</text>').format(x=x + 4, y=AXIS_Y + 18, word=word))
        month, index = _next_month(month), index + 1
    today = x_of(now)
    parts.append(
        Markup(
            '<line class="axis" x1="{left}" x2="{right}" y1="{y}" y2="{y}"/>'
            '<line class="today" x1="{x}" x2="{x}" y1="16" y2="{y}"/>'
            '<text class="today-word" x="{x}" y="10" text-anchor="{anchor}">Today</text>'
        ).format(left=MARGIN, right=width - MARGIN, y=AXIS_Y, x=today, anchor="middle" if today > 40 else "start")
    )
    stacks: dict[int, int] = {}
    crowded: dict[int, int] = {}
    for expiry in shown[:MAX_MARKS]:
        column = round(x_of(expiry.not_after) / 13) * 13
        height = stacks.get(column, 0)
        if height >= MAX_STACK:
            crowded[column] = crowded.get(column, 0) + 1
            continue
        stacks[column] = height + 1
        parts.append(_mark(expiry, now, max(column, 7), AXIS_Y - 10 - height * ROW_HEIGHT))
    parts.extend(
        Markup('<text x="{x}" y="{y}" text-anchor="middle">+{more}</text>').format(x=column, y=12, more=more)
        for column, more in crowded.items()
        if abs(column - today) > 40
    )
    parts.append(Markup("</svg>"))
    return Markup("").join(parts)
