"""From a leaf up to a root: every path that the certificates at hand allow, the most lasting first (RFC 4158)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

from service.pki.facts import issued_by, name_key
from service.pki.link import Link

MAX_CHAIN = 10
"""Public chains have 2 to 4 certificates; TLS stacks stop at 10 (OpenSSL counts 100, mbed TLS 8)."""
MAX_SIGNATURES = 200
"""Signatures verified for one chain. An honest one needs as many as it has certificates; a crafted one, with every name
the same, would need the square of that. Go's `crypto/x509` stops at 100."""
MAX_PATHS = 16
"""A CA that was renewed and cross-signed has two to four."""


def climb(leaf: Link, links: Sequence[Link]) -> tuple[list[Link], list[Link]]:
    """The first path, and what it does not use."""
    path = next(paths(leaf, links))
    used = {link.position for link in path}
    return path, [link for link in links if link.position not in used]


def paths(leaf: Link, links: Sequence[Link]) -> Iterator[list[Link]]:
    """Paths from the leaf up, as far as issuers are there: names chain, signatures verify (6.1.3 (a)(1), (a)(4)).

    Of several issuers with one name (a renewed or cross-signed CA) the one that lasts longest comes first, so the order
    in which they were pasted does not matter. Each certificate is used once in a path. At least one path, at most 16.
    """
    return islice(_Climb(links).up([leaf]), MAX_PATHS)


class _Climb:
    def __init__(self, links: Sequence[Link]) -> None:
        lasting = sorted(links, key=lambda one: (one.facts.is_ca, one.facts.not_after, one.facts.fingerprint_sha256))
        self._by_subject: dict[str, list[Link]] = {}
        for link in reversed(lasting):
            self._by_subject.setdefault(name_key(link.facts.subject), []).append(link)
        self._signed: dict[tuple[int, int], bool] = {}

    def up(self, path: list[Link]) -> Iterator[list[Link]]:
        top, ended = path[-1], True
        if not top.facts.self_signed:
            for candidate in self._by_subject.get(name_key(top.facts.issuer), ()):
                if candidate not in path and self._issued(top, candidate):
                    ended = False
                    yield from self.up([*path, candidate])
        if ended:
            yield path

    def _issued(self, below: Link, above: Link) -> bool:
        pair = below.position, above.position
        if pair not in self._signed:
            if len(self._signed) >= MAX_SIGNATURES:
                return False
            self._signed[pair] = issued_by(below.certificate, above.certificate)
        return self._signed[pair]
