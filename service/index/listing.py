"""Lists of certificates: searched, filtered, sorted and paged from a snapshot. Reads no Vault."""

from __future__ import annotations

import base64
import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Final, Literal, TypeAlias, get_args

from service.errors import Malformed
from service.index.states import EXPIRES_SOON, CertificateState, Filter, state_of
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
    rows = _ordered(snapshot, order)
    if words:
        rows = tuple(row for row in rows if row[2].finds(words))
    counts = dict.fromkeys(Filter, 0)
    found: list[_Row] = []
    soon = now + EXPIRES_SOON
    for row in rows:
        view = row[2]
        expires_at = view.expires_at
        if expires_at is not None and expires_at > soon and not view.deleted:
            state = CertificateState.OK  # nearly all are
        else:
            state = state_of(view, now)
        if state is CertificateState.DELETED:
            counts[Filter.DELETED] += 1
            if status is Filter.DELETED:
                found.append(row)
            continue
        of_state, of_use = _OF_STATE[state], Filter.IN_USE if len(row[3]) else Filter.UNUSED
        counts[Filter.ALL] += 1
        counts[of_state] += 1
        counts[of_use] += 1
        if status is Filter.ALL or status is of_state or status is of_use:
            found.append(row)
    start = _start(found, query, downwards=downwards) if query.cursor else 0
    if downwards:
        found.reverse()
    page = found[start : start + query.limit]
    more = start + len(page) < len(found)
    return Page(
        items=tuple(
            ListItem(view, state_of(view, now), relays=len(users.relays), clusters=len(users.clusters))
            for _, _, view, users in page
        ),
        next_cursor=_cursor(query.sort, page[-1][:2]) if more else None,
        counts=counts,
        total=len(found),
    )


_Key: TypeAlias = tuple[str, str]
"""What a row is sorted by, as text, and its name."""
_Row: TypeAlias = tuple[str, str, CertificateView, Users]
"""A row's key, and what it shows."""


def _start(found: list[_Row], query: ListQuery, *, downwards: bool) -> int:
    """Where the page after the cursor starts. `found` is sorted upwards."""
    after = _read_cursor(query)
    if downwards:
        return len(found) - bisect_left(found, after, key=_key)
    return bisect_right(found, after, key=_key)


def _key(row: _Row) -> _Key:
    return row[:2]


def _ordered(snapshot: Snapshot, order: str) -> tuple[_Row, ...]:
    """Every certificate, sorted; once for each snapshot and order."""

    def sort(snapshot: Snapshot) -> tuple[_Row, ...]:
        used = snapshot.used_by
        if order == "used":
            rows = [(f"{len(used(name)):08d}", name, view, used(name)) for name, view in snapshot.certificates.items()]
        else:
            rows = [(view.sort_texts[order], name, view, used(name)) for name, view in snapshot.certificates.items()]
        return tuple(sorted(rows, key=itemgetter(0, 1)))

    return snapshot.remembered(f"certificates by {order}", sort)


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
