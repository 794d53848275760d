"""Name constraints (RFC 5280 §4.2.1.10): which names a CA may issue for. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.x509.oid import NameOID

MAX_COMPARISONS = 20_000
"""Names times subtrees: OpenSSL stops at 2^20, and refuses too."""

_Name = x509.GeneralName


@dataclass(frozen=True, slots=True)
class Subtrees:
    """What one CA lays down: names of a permitted form lie in a permitted subtree, and none in an excluded one."""

    permitted: tuple[_Name, ...]
    excluded: tuple[_Name, ...]


class TooMany(ValueError):
    """More names and subtrees than are compared."""


def names_of(certificate: x509.Certificate) -> tuple[_Name, ...]:
    """What constraints apply to: the alternative names, the subject, and the mail addresses in it.

    The common name is left out: RFC 5280 does not constrain it, and clients do not take it for a host (RFC 9525 §2).
    """
    names: list[_Name] = []
    try:
        names += certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        mails = certificate.subject.get_attributes_for_oid(NameOID.EMAIL_ADDRESS)
        names += [x509.RFC822Name(str(mail.value)) for mail in mails if str(mail.value).isascii()]
    if certificate.subject.rdns:
        names.append(x509.DirectoryName(certificate.subject))
    return tuple(names)


def violations(names: Sequence[_Name], laid_down: Iterable[Subtrees]) -> Iterator[tuple[_Name, str]]:
    """Each name that is not permitted, or excluded, with the word for it (6.1.3 (b) and (c)).

    Raises:
        TooMany.
    """
    compared = 0
    for subtrees in laid_down:
        compared += len(names) * (len(subtrees.permitted) + len(subtrees.excluded))
        if compared > MAX_COMPARISONS:
            raise TooMany
        for name in names:
            bounds = [one for one in subtrees.permitted if type(one) is type(name)]
            if bounds and not any(_within(name, one) for one in bounds):
                yield name, "not permitted"
            elif any(_within(name, one) for one in subtrees.excluded if type(one) is type(name)):
                yield name, "excluded"


def _within(name: _Name, bound: _Name) -> bool:
    match name, bound:
        case x509.DNSName(), x509.DNSName():
            return _below(name.value, bound.value)
        case x509.RFC822Name(), x509.RFC822Name():
            return _mail(name.value, bound.value)
        case x509.UniformResourceIdentifier(), x509.UniformResourceIdentifier():
            return _host_of_uri(name.value, bound.value)
        case x509.IPAddress(), x509.IPAddress():
            return _in_network(name.value, bound.value)
        case x509.DirectoryName(), x509.DirectoryName():
            given, wanted = _attributes(name.value), _attributes(bound.value)
            return given[: len(wanted)] == wanted
        case _:
            return name == bound


def _below(host: str, bound: str) -> bool:
    """The bound itself, or labels in front of it; an empty bound holds all; with a leading dot not itself."""
    host, bound = host.lower().rstrip("."), bound.lower().rstrip(".")
    return not bound or (host.endswith(bound) if bound.startswith(".") else host == bound or host.endswith("." + bound))


def _host_of_uri(uri: str, bound: str) -> bool:
    """One host, or (with a leading dot) all hosts of a domain; not those without a host."""
    host, bound = (urlsplit(uri).hostname or "").lower(), bound.lower()
    return bool(host) and (host.endswith(bound) if bound.startswith(".") else host == bound)


def _mail(address: str, bound: str) -> bool:
    """One mailbox, all of a host, or (with a leading dot) all of a domain's hosts."""
    if "@" in bound:
        box, _, host = bound.rpartition("@")
        own, _, own_host = address.rpartition("@")
        return own == box and own_host.lower() == host.lower()
    host = address.rpartition("@")[2].lower()
    return host.endswith(bound.lower()) if bound.startswith(".") else host == bound.lower()


def _in_network(address: object, network: object) -> bool:
    if isinstance(address, ipaddress.IPv4Address) and isinstance(network, ipaddress.IPv4Network):
        return address in network
    return (
        isinstance(address, ipaddress.IPv6Address) and isinstance(network, ipaddress.IPv6Network) and address in network
    )


def _attributes(name: x509.Name) -> list[frozenset[tuple[str, str]]]:
    """RFC 5280 §7.1: without regard to case and repeated white space."""
    return [frozenset((one.oid.dotted_string, _folded(str(one.value))) for one in rdn) for rdn in name.rdns]


def _folded(value: str) -> str:
    return " ".join(value.split()).casefold()
