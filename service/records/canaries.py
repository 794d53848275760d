"""A rotation that one consumer tries first. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from service.records.fields import is_count, text


@dataclass(frozen=True, slots=True)
class Canary:
    """One consumer is given the newest version of a certificate; the others stay at the one before, until it ends.

    Attributes:
        certificate: its name.
        consumer: who tries it.
        base: the version at which the others stay.
        version: the one that is tried.
        until: when it must be seen serving, or everything returns.
        by: who asked for it.
        job: what tells how it ended.
    """

    certificate: str
    consumer: str
    base: int
    version: int
    until: datetime
    by: str
    job: str
    document_version: int = 0

    def to_data(self) -> dict[str, Any]:
        """The stored document."""
        return {
            "consumer": self.consumer,
            "base": self.base,
            "version": self.version,
            "until": self.until.isoformat(),
            "by": self.by,
            "job": self.job,
        }

    @staticmethod
    def from_data(certificate: str, data: Mapping[str, Any], version: int) -> Canary:
        """The record of a stored document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        base, tried, until = data.get("base"), data.get("version"), datetime.fromisoformat(text(data, "until"))
        if not is_count(base) or not is_count(tried) or until.tzinfo is None:
            raise ValueError("base, version or until is not what it should be")
        return Canary(
            certificate=certificate,
            consumer=text(data, "consumer"),
            base=cast("int", base),
            version=cast("int", tried),
            until=until,
            by=text(data, "by", default=""),
            job=text(data, "job", default=""),
            document_version=version,
        )
