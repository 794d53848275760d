"""Lists of certificates: searched, filtered, sorted and paged from a snapshot. Reads no Vault."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal, TypeAlias

from service.index.states import CertificateState, Filter
from service.index.views import CertificateView, Snapshot

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
        Malformed: `query.unknown-status`, `query.unknown-sort`, `query.limit`, `query.cursor`.
    """
    raise NotImplementedError
