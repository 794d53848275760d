"""Tags and lengths of DER and BER (X.690 §8.1, §10.1), bounded: the gate before any library reads what was pasted."""

from __future__ import annotations

from typing import NamedTuple

INTEGER, BIT_STRING, OCTET_STRING, OID = 0x02, 0x03, 0x04, 0x06
SEQUENCE, SET = 0x30, 0x31
UTC_TIME, GENERALIZED_TIME = 0x17, 0x18
TAGGED = 0xA0
"""`[0]`, constructed; `[1]` is one more."""
MAX_ELEMENTS = 512
"""Children of one element: a PKCS#7 file of a trust store holds a few hundred certificates."""
MAX_DEPTH = 16
_CONSTRUCTED = 0x20


class Malformed(ValueError):
    """Not DER, or not of the expected shape. The text quotes none of it."""


class Element(NamedTuple):
    """One element: its tag, and where it begins, where its content begins, and where it ends, in bytes."""

    tag: int
    at: int
    start: int
    end: int


def element(der: bytes, at: int = 0, limit: int | None = None) -> Element:
    """The element that begins at `at`.

    Raises:
        Malformed: a tag of more than one byte, an indefinite length, more than 16 MB, or an end after `limit`.
    """
    limit = len(der) if limit is None else limit
    if at + 2 > limit or der[at] & 0x1F == 0x1F:
        raise Malformed
    length, start = der[at + 1], at + 2
    if length & 0x80:
        count = length & 0x7F
        if not 1 <= count <= 3 or start + count > limit:
            raise Malformed
        length = int.from_bytes(der[start : start + count], "big")
        start += count
    if start + length > limit:
        raise Malformed
    return Element(der[at], at, start, start + length)


def children(der: bytes, parent: Element) -> list[Element]:
    """What an element holds, in order.

    Raises:
        Malformed: it is not DER, or holds more than `MAX_ELEMENTS`.
    """
    found: list[Element] = []
    at = parent.start
    while at < parent.end:
        found.append(element(der, at, parent.end))
        at = found[-1].end
        if len(found) > MAX_ELEMENTS:
            raise Malformed
    return found


def whole(der: bytes, tag: int = SEQUENCE) -> Element:
    """The one element that all of it is.

    Raises:
        Malformed: it is none, of another tag, or something follows.
    """
    found = element(der)
    if found.tag != tag or found.end != len(der):
        raise Malformed
    return found


def expect(elements: list[Element], place: int, tag: int) -> Element:
    """The element at a place, when it has the tag.

    Raises:
        Malformed: there is none, or it has another tag.
    """
    if place >= len(elements) or elements[place].tag != tag:
        raise Malformed
    return elements[place]


def content(der: bytes, one: Element) -> bytes:
    """The bytes inside an element."""
    return der[one.start : one.end]


def number(der: bytes, one: Element) -> int:
    """An INTEGER's value (X.690 §8.3)."""
    return int.from_bytes(content(der, one), "big", signed=True)


def first(data: bytes) -> bytes:
    """The first element, without what follows it.

    Raises:
        Malformed: there is none.
    """
    return data[: element(data).end]


def definite(ber: bytes) -> bytes:
    """BER with indefinite lengths and divided strings (X.690 §8.1.3.6, §8.7.3), as older tools write it, with DER's.

    Raises:
        Malformed: it does not end, or is nested too deeply.
    """
    made, end = _definite(ber, 0, len(ber), MAX_DEPTH)
    if end != len(ber):
        raise Malformed
    return made


def _definite(ber: bytes, at: int, limit: int, depth: int) -> tuple[bytes, int]:
    if depth == 0 or at + 2 > limit:
        raise Malformed
    tag = ber[at]
    if ber[at + 1] != 0x80:
        one = element(ber, at, limit)
        if not tag & _CONSTRUCTED:
            return ber[at : one.end], one.end
        start, end, ends_itself = one.start, one.end, False
    else:
        start, end, ends_itself = at + 2, limit, True
    parts: list[bytes] = []
    while start < end:
        if ends_itself and ber[start : start + 2] == b"\0\0":
            return _joined(tag, parts), start + 2
        part, start = _definite(ber, start, end, depth - 1)
        parts.append(part)
        if len(parts) > MAX_ELEMENTS:
            raise Malformed
    if ends_itself:
        raise Malformed
    return _joined(tag, parts), end


def _joined(tag: int, parts: list[bytes]) -> bytes:
    if tag == OCTET_STRING | _CONSTRUCTED:
        tag, parts = OCTET_STRING, [part[element(part).start :] for part in parts]
    return encode(tag, b"".join(parts))


def encode(tag: int, value: bytes) -> bytes:
    """An element in DER."""
    length = len(value)
    if length < 0x80:
        return bytes((tag, length)) + value
    size = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(size))) + size + value
