"""Times, and texts that are one of a few words (which the inventory checks: 422 with a finding), for `openapi.json`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, TypeAlias, get_args

from msgspec import Meta

from service import records
from service.index import CertificateState, Filter
from service.index.listing import Sort
from service.inventory.profile import VersionState
from service.pki.finding import Severity


def one_of(words: Iterable[str]) -> Meta:
    """A text that is one of these."""
    return Meta(extra_json_schema={"enum": list(words)})


Moment: TypeAlias = Annotated[datetime, Meta(tz=True)]
"""Aware, so that it is RFC 3339 in the answer."""
TlsMode: TypeAlias = Annotated[str, one_of(get_args(records.TlsMode))]
ProviderKind: TypeAlias = Annotated[str, one_of(get_args(records.ProviderKind))]
Visibility: TypeAlias = Annotated[str, one_of(get_args(records.Visibility))]
MultiCluster: TypeAlias = Annotated[str, one_of(get_args(records.MultiCluster))]
State: TypeAlias = Annotated[str, one_of(CertificateState)]
StateOfVersion: TypeAlias = Annotated[str, one_of(get_args(VersionState))]
FindingSeverity: TypeAlias = Annotated[str, one_of(Severity)]
FILTERS = tuple(str(word) for word in Filter)
SORTS = get_args(Sort)
