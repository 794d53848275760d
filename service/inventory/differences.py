"""What changes from one bundle to another, whoever uses it. Pure; worked out once per change, in linear time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from service.pki.codes import shown
from service.pki.coverage import MAX_NAMES_SHOWN, a_label
from service.pki.facts import BundleFacts, CertificateFacts


@dataclass(frozen=True, slots=True)
class Differences:
    """Old against new.

    Attributes:
        lost: names that were covered and are not any more, as they stood; a name under a new wildcard is not lost.
        gained: names that were not covered before.
        key_type: `("RSA 2048", "EC 256")` when it changes.
        issuer: the titles of the old and the new issuer when it changes.
        added, dropped: authorities of the CA field, by public key: an authority with a renewed certificate stays.
        ends: the old and the new end (of the whole chain) when the new one comes first.
    """

    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()
    key_type: tuple[str, str] | None = None
    issuer: tuple[str, str] | None = None
    added: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()
    ends: tuple[datetime, datetime] | None = None

    def lost_beside(self, hosts: Iterable[str]) -> tuple[str, ...]:
        """The lost names that cover none of these hosts."""
        needed = {pattern for host in hosts for pattern in _patterns(host)}
        return tuple(name for name in self.lost if a_label(name) not in needed)


NO_DIFFERENCES = Differences()


def differences(old: BundleFacts, new: BundleFacts) -> Differences:
    """What changes from `old` to `new`."""
    key_types = _key_type(old.leaf), _key_type(new.leaf)
    issuers = old.leaf.issuer_title, new.leaf.issuer_title
    return Differences(
        lost=_names_beyond(old.leaf, new.leaf),
        gained=_names_beyond(new.leaf, old.leaf),
        key_type=key_types if key_types[0] != key_types[1] else None,
        issuer=issuers if old.leaf.issuer != new.leaf.issuer else None,
        added=tuple(one.title for one in authorities_beyond(new, old)),
        dropped=tuple(one.title for one in authorities_beyond(old, new)),
        ends=(old.not_after, new.not_after) if new.not_after < old.not_after else None,
    )


def authorities_beyond(some: BundleFacts, others: BundleFacts) -> tuple[CertificateFacts, ...]:
    """The authorities of one CA field whose key stands in no certificate of the other."""
    known = {one.spki_sha256 for one in others.ca}
    return tuple(one for one in some.ca if one.spki_sha256 not in known)


def in_words(names: tuple[str, ...]) -> str:
    """At most `MAX_NAMES_SHOWN` names, fit to be shown, and how many more there are."""
    more = f" and {len(names) - MAX_NAMES_SHOWN} more" if len(names) > MAX_NAMES_SHOWN else ""
    return ", ".join(shown(name) for name in names[:MAX_NAMES_SHOWN]) + more


def _names_beyond(some: CertificateFacts, others: CertificateFacts) -> tuple[str, ...]:
    names = {a_label(name) for name in (*others.dns_names, *others.ip_addresses)}
    return tuple(dict.fromkeys(name for name in (*some.dns_names, *some.ip_addresses) if not names & _patterns(name)))


def _patterns(host: str) -> set[str]:
    """The names of a certificate that cover a host (RFC 9525 §6.3); a wildcard is covered by itself alone."""
    name = a_label(host)
    first, dot, rest = name.partition(".")
    return {name, f"*.{rest}"} if first and dot and "." in rest else {name}


def _key_type(leaf: CertificateFacts) -> str:
    return f"{leaf.key_algorithm} {leaf.key_size_bits}" if leaf.key_algorithm in {"RSA", "EC"} else leaf.key_algorithm
