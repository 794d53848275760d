"""Lists of certificates: searched, filtered, sorted and paged from a snapshot. Reads no Vault."""

from __future__ import annotations

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias, get_args

from service.errors import Malformed
from service.index.states import CertificateState, Filter, state_of
from service.index.views import CertificateView, Snapshot, Users

Sort: TypeAlias = Literal[
    "name", "-name", "expires", "-expires", "issuer", "-issuer", "updated", "-updated", "used", "-used"
]
MAX_LIMIT: Final = 200
DEFAULT_LIMIT: Final = 50
MAX_SEARCH_CHARACTERS: Final = 200


@dataclass(frozen=True, slots=True)
class ListQuery:
    """What a list shows.

    Attributes:
        q: each word of it must occur in the name, comment, a label, a host name, the issuer or the fingerprint.
        status: one of `Filter`, for example `expiring`.
        sort: a key of `Sort`; a leading `-` turns it round.
        limit: 1 to 200.
        cursor: `next_cursor` of the page before; empty for the first page.
    """

    q: str = ""
    status: str = Filter.ALL
    sort: str = "name"
    limit: int = DEFAULT_LIMIT
    cursor: str = ""


@dataclass(frozen=True, slots=True)
class ListItem:
    """A row of a list. `used` is how many relays and clusters are bound to it."""

    view: CertificateView
    state: CertificateState
    relays: int
    clusters: int

    @property
    def used(self) -> int:
        """How many consumers are bound to it."""
        return self.relays + self.clusters


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a list.

    Attributes:
        next_cursor: for the page after; None on the last one. It stays good when certificates come and go.
        counts: of what `q` finds, by filter.
        total: how many `q` and `status` find.
    """

    items: tuple[ListItem, ...]
    next_cursor: str | None
    counts: Mapping[Filter, int]
    total: int


def list_certificates(snapshot: Snapshot, query: ListQuery, now: datetime) -> Page:
    """One page of the certificates.

    Raises:
        Malformed: `query.unknown-status`, `query.unknown-sort`, `query.limit`, `query.cursor`, `query.too-long`.
    """
    status, order, downwards, words = _checked(query)
    counts = dict.fromkeys(Filter, 0)
    rows: list[_Row] = []
    for row in _ordered(snapshot, order):
        if words and not row.view.finds(words):
            continue
        filters = _filters_of(row, now)
        for one in filters:
            counts[one] += 1
        if status in filters:
            rows.append(row)
    total = len(rows)
    if downwards:
        rows.reverse()
    if query.cursor:
        after = _read_cursor(query)
        keys = [row.keys[order] for row in rows]
        start = bisect_left(keys, True, key=lambda key: key < after) if downwards else bisect_right(keys, after)
        rows = rows[start:]
    page = rows[: query.limit]
    more = len(rows) > len(page)
    return Page(
        items=tuple(
            ListItem(row.view, state_of(row.view, now), relays=len(row.users.relays), clusters=len(row.users.clusters))
            for row in page
        ),
        next_cursor=_cursor(query.sort, page[-1].keys[order]) if more else None,
        counts=counts,
        total=total,
    )


_Key: TypeAlias = tuple[str, str]
"""What a row is sorted by, as text, and its name."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A certificate with what it is sorted by."""

    view: CertificateView
    users: Users
    keys: Mapping[str, _Key]


_NEVER = datetime.max.replace(tzinfo=UTC)


def _rows(snapshot: Snapshot) -> tuple[_Row, ...]:
    return tuple(_row(view, snapshot.used_by(view.name)) for view in snapshot.certificates.values())


def _row(view: CertificateView, users: Users) -> _Row:
    facts = view.facts
    expires = facts.not_after if facts else _NEVER
    issuer = (facts.leaf.issuer_common_name or facts.leaf.issuer).casefold() if facts else ""
    texts = {
        "name": view.display_name.casefold(),
        "expires": expires.isoformat(),
        "issuer": issuer,
        "updated": view.updated_at.isoformat(timespec="microseconds"),
        "used": f"{len(users):08d}",
    }
    return _Row(view, users, {key: (text, view.name) for key, text in texts.items()})


def _ordered(snapshot: Snapshot, order: str) -> tuple[_Row, ...]:
    rows = snapshot.remembered("rows", _rows)
    return snapshot.remembered(f"rows by {order}", lambda _: tuple(sorted(rows, key=lambda row: row.keys[order])))


def _filters_of(row: _Row, now: datetime) -> tuple[Filter, ...]:
    state = state_of(row.view, now)
    if state is CertificateState.DELETED:
        return (Filter.DELETED,)
    return (Filter.ALL, _OF_STATE[state], Filter.IN_USE if len(row.users) else Filter.UNUSED)


_OF_STATE = {state: Filter(state.value) for state in CertificateState}


def _checked(query: ListQuery) -> tuple[Filter, str, bool, tuple[str, ...]]:
    """The filter, the key to sort by, whether downwards, and the words to search for."""
    if query.status not in set(Filter):
        message = f"There is no status {query.status[:40]!r}; there are {', '.join(Filter)}."
        raise Malformed(message, code="query.unknown-status")
    if query.sort not in get_args(Sort):
        message = f"There is no order {query.sort[:40]!r}; there are {', '.join(get_args(Sort))}."
        raise Malformed(message, code="query.unknown-sort")
    if not 1 <= query.limit <= MAX_LIMIT:
        raise Malformed(f"The limit must be 1 to {MAX_LIMIT}.", code="query.limit")
    if len(query.q) > MAX_SEARCH_CHARACTERS:
        raise Malformed(f"The search is longer than {MAX_SEARCH_CHARACTERS} characters.", code="query.too-long")
    words = tuple(query.q.casefold().split())
    return Filter(query.status), query.sort.removeprefix("-"), query.sort.startswith("-"), words


def _cursor(sort: str, key: _Key) -> str:
    return base64.urlsafe_b64encode(json.dumps([sort, *key], ensure_ascii=False).encode()).decode().rstrip("=")


def _read_cursor(query: ListQuery) -> _Key:
    try:
        padded = query.cursor + "=" * (-len(query.cursor) % 4)
        sort, text, name = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError):
        sort, text, name = "", "", ""
    if sort != query.sort or not isinstance(text, str) or not isinstance(name, str):
        message = "The cursor is not of this list. Start again without one."
        raise Malformed(message, code="query.cursor")
    return text, name
