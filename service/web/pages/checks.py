"""What the checks found, sorted for a page: each finding beside its field, the rest above. The key is never in it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from service.pki.bundle import Checked
from service.pki.finding import Finding

FIELDS: Final = ("name", "private_key", "passphrase", "certificate", "ca")
MISMATCH_CODES: Final = frozenset({"key.mismatch", "key.kept-mismatch"})


@dataclass(frozen=True, slots=True)
class Sorted:
    """Findings by the field they concern; `general` concern none of the form's."""

    by_field: dict[str, list[Finding]]
    general: list[Finding]


def sort(findings: Iterable[Finding]) -> Sorted:
    """Put each finding beside its field."""
    by_field: dict[str, list[Finding]] = {field: [] for field in FIELDS}
    general: list[Finding] = []
    for finding in findings:
        by_field.get(finding.field or "", general).append(finding)
    return Sorted(by_field, general)


def without_missing(findings: Iterable[Finding], given: frozenset[str]) -> list[Finding]:
    """The findings to show while a person is still typing: not that a field, still empty, is missing."""
    return [it for it in findings if not (it.code.endswith(".missing") and it.field not in given)]


def context(checked: Checked | None, findings: Iterable[Finding], *, key_kept: bool = False) -> dict[str, Any]:
    """What `_understood.html` needs. Hands on the facts; of the key only that one was read."""
    found = list(findings)
    told = sort(found)
    return {
        "checked": checked,
        "facts": checked.facts if checked else None,
        "by_field": told.by_field,
        "general": told.general,
        "mismatched": any(it.code in MISMATCH_CODES for it in found),
        "key_kept": key_kept,
    }
