"""What the checks found, sorted for a page: each finding beside its field, the rest above. The key is never in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from flask import request
from flask_wtf import FlaskForm

from service.inventory.elsewhere import Offer
from service.pki.bundle import Checked
from service.pki.finding import Finding
from service.pki.pem import MAX_FIELD_BYTES
from service.pki.reading import Given

FIELDS: Final = ("name", "private_key", "passphrase", "certificate", "ca")
MAX_FILES: Final = 20
"""Files for one field."""
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


@dataclass(frozen=True, slots=True)
class Order:
    """The chain as pasted and as stored: each a name, and for what was pasted whether it is kept."""

    pasted: tuple[tuple[str, bool], ...]
    stored: tuple[str, ...]


def order_of(checked: Checked) -> Order | None:
    """How the chain was put in order; None when it is stored as it was pasted."""
    links = [block for block in checked.blocks if block.until is not None and block.kept_in != "ca"]
    places = [block.place for block in links if block.place is not None]
    if checked.facts is None or (len(places) == len(links) and places == sorted(places)):
        return None
    pasted = tuple((f"{block.what} {block.whose}", block.place is not None) for block in links)
    kept = sorted((block for block in links if block.place is not None), key=lambda block: block.place or 0)
    return Order(pasted, tuple(f"{block.what} {block.whose}" for block in kept))


def given(form: FlaskForm, field: str) -> Given:
    """What a field was given: its text, and the files that a browser without JavaScript sent along."""
    files: list[bytes] = []
    for file in request.files.getlist(f"{field}-file")[:MAX_FILES]:
        file.stream.seek(0)  # the same request may be checked twice
        files.append(file.stream.read(MAX_FIELD_BYTES + 1))
    text = form[field].data or ""
    return [text, *files] if any(files) else text


def complete(form: FlaskForm, offers: Sequence[Offer]) -> None:
    """Add the intermediates that are offered to CERT."""
    form["certificate"].data = "".join([form["certificate"].data or "", "\n", *(offer.certificate for offer in offers)])


def keep_files(form: FlaskForm, checked: Checked | None) -> None:
    """What a browser without JavaScript sent as files stays in the page as text; a key does not come back."""
    if checked is None:
        return
    for field, kept in (("certificate", checked.certificate), ("ca", checked.ca)):
        if kept and any(request.files.getlist(f"{field}-file")):
            form[field].data = kept


def context(
    checked: Checked | None, findings: Iterable[Finding], *, key_kept: bool = False, offers: Sequence[Offer] = ()
) -> dict[str, Any]:
    """What `_understood.html` needs. Hands on the facts; of the key only that one was read."""
    found = list(findings)
    told = sort(found)
    return {
        "checked": checked,
        "blocks": checked.blocks if checked else (),
        "order": order_of(checked) if checked else None,
        "offers": offers,
        "facts": checked.facts if checked else None,
        "by_field": told.by_field,
        "general": told.general,
        "mismatched": any(it.code in MISMATCH_CODES for it in found),
        "key_kept": key_kept,
    }
