"""How times, shares and names read on a page. Pure: `now` is an argument, nothing is looked up."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from service.index.states import EXPIRES_SOON
from service.pki.reading import holds_key

ExpiryState = Literal["ok", "due", "wrong"]

_UNITS: Final = (
    ("year", 365 * 86_400),
    ("month", 30 * 86_400),
    ("day", 86_400),
    ("hour", 3_600),
    ("minute", 60),
)


def plural(count: int, one: str, many: str | None = None) -> str:
    """`1 relay`, `3 relays`; thousands are grouped."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def span(seconds: float) -> str:
    """The length of a time span in its largest sensible unit: `9 days`, `3 months`, `under a minute`.

    A unit is left for the next larger one only from two of it on, so `50 days` stays days.
    """
    for unit, length in _UNITS:
        count = int(seconds // length)
        if count >= 2 or (count == 1 and unit in {"day", "hour", "minute"}):
            return plural(count, unit)
    return "under a minute"


def relative(at: datetime, now: datetime) -> str:
    """A time as seen from now: `in 9 days`, `3 hours ago`, `just now`."""
    seconds = (at - now).total_seconds()
    if abs(seconds) < 60:
        return "in under a minute" if seconds > 0 else "just now"
    return f"in {span(seconds)}" if seconds > 0 else f"{span(-seconds)} ago"


def absolute(at: datetime) -> str:
    """`24 Nov 2026, 00:44 UTC`."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y, %H:%M} UTC"


def day(at: datetime) -> str:
    """`24 Nov 2026`."""
    at = at.astimezone(UTC)
    return f"{at.day} {at:%b %Y}"


def iso(at: datetime) -> str:
    """RFC 3339 in UTC, whole seconds, for `datetime` attributes."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def expiry_state(not_after: datetime, now: datetime) -> ExpiryState:
    """Whether a certificate that ends then is fine, due or over."""
    if not_after <= now:
        return "wrong"
    return "due" if not_after - now <= EXPIRES_SOON else "ok"


def validity_used(not_after: datetime, not_before: datetime, now: datetime) -> int:
    """The share of the validity that has passed, in percent, 0 to 100."""
    whole = (not_after - not_before).total_seconds()
    if whole <= 0:
        return 100
    return max(0, min(100, math.floor(100 * (now - not_before).total_seconds() / whole)))


def fingerprint(hexadecimal: str) -> str:
    """A fingerprint in pairs: `ab:cd:…`, as browsers and openssl show it."""
    pairs = (hexadecimal[at : at + 2] for at in range(0, len(hexadecimal), 2))
    return ":".join(pairs).upper()


def organisation(distinguished_name: str) -> str:
    """The part of an issuer's name that people know it by: its common name, else its organisation, else all of it."""
    parts = dict(part.split("=", 1) for part in reversed(distinguished_name.split(",")) if "=" in part)
    trimmed = {key.strip(): value.strip() for key, value in parts.items()}
    return trimmed.get("CN") or trimmed.get("O") or distinguished_name


USAGE_WORDS: Final[Mapping[str, str]] = {
    "serverAuth": "server",
    "clientAuth": "client",
    "codeSigning": "code signing",
    "emailProtection": "e-mail",
    "timeStamping": "time stamping",
    "OCSPSigning": "OCSP",
    "anyExtendedKeyUsage": "any purpose",
}


def usages(extended_key_usages: tuple[str, ...]) -> str:
    """What a certificate may be used for, in words; no extension means no restriction (RFC 5280 §4.2.1.12)."""
    return ", ".join(USAGE_WORDS.get(usage, usage) for usage in extended_key_usages) or "not restricted"


def without_key(field: Any) -> Any:  # noqa: ANN401 - a field of WTForms, which has no types for it
    """A form's field, emptied when a private key was pasted into it: no page gives a key back, wherever it was put."""
    if isinstance(field.data, str) and holds_key(field.data):
        field.data = ""
    return field


FILTERS: Final[Mapping[str, Callable[..., Any]]] = {
    "plural": plural,
    "span": span,
    "relative": relative,
    "absolute": absolute,
    "day": day,
    "iso": iso,
    "expiry_state": expiry_state,
    "validity_used": validity_used,
    "fingerprint": fingerprint,
    "organisation": organisation,
    "usages": usages,
    "without_key": without_key,
}
"""By the name that templates use."""
