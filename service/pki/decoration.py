"""Undoing what mail programs, editors, web pages and configuration files do to PEM. Pure text in, pure text out.

Nothing here guesses at content: what is undone cannot be part of base64 (RFC 4648 §4) or of a BEGIN or END line.
"""

from __future__ import annotations

import html
import re

_DASHES = "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\ufe58\ufe63\uff0d\u00ad"
"""Hyphens, dashes, a minus sign: word processors put them for `-` and `--`."""
_QUOTES = "\u2018\u2019\u201c\u201d\u00ab\u00bb\u201e\u201a"
_INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\u200e\u200f\x00"
_SPACES = "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_LINE_ENDS = "\x0b\x0c\x85\u2028\u2029"
_CHARACTERS = str.maketrans(
    {
        **dict.fromkeys(_DASHES, "-"),
        **dict.fromkeys(_QUOTES, '"'),
        **dict.fromkeys(_INVISIBLE, ""),
        **dict.fromkeys(_SPACES, " "),
        **dict.fromkeys(_LINE_ENDS, "\n"),
    }
)
_ESCAPED_UNICODE = re.compile(r"\\{1,8}u00([0-7][0-9a-fA-F])")
_ESCAPED_BYTE = re.compile(r"\\{1,8}x([0-7][0-9a-fA-F])")
_ESCAPED_END = re.compile(r"\\{1,8}r\\{1,8}n|\\{1,8}[nr]")
_ESCAPED_OTHER = re.compile(r"\\{1,8}([/\"'t])")
_CONTINUED = re.compile(r"\\{1,8}[ \t]{0,8}\n")
_ENTITY = re.compile(r"&(?:#[0-9]{1,5}|#[xX][0-9a-fA-F]{1,4}|[A-Za-z]{2,10});")
_TAG = re.compile(r"</?[A-Za-z][^<>]{0,200}>")
_QUOTED_PRINTABLE = re.compile(r"=(?:3D|2B|2F|20|0A|0D|2D|09)")
_QUOTED_BYTE = re.compile(r"=([0-7][0-9A-F])")
_SOFT_BREAK = re.compile(r"=[ \t]{0,8}\n(?=[A-Za-z0-9+/])")
_PERCENT = re.compile(r"%(2B|2F|3D|20|0A|0D|2D)", re.IGNORECASE)
_ANSI = re.compile(r"\x1b\[[0-9;]{0,16}[A-Za-z]")


def undecorate(text: str) -> tuple[str, tuple[str, ...]]:
    """The plain text, LF, and in words what was undone; line ends, byte order marks and indentation are not told.

    Takes time proportional to the length of the text.
    """
    undone: list[str] = []
    plain = text.lstrip("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    if not plain.isascii():
        changed = plain.translate(_CHARACTERS)
        if any(character in plain for character in _DASHES):
            undone.append("typographic dashes")
        if changed != plain and not undone:
            undone.append("characters that cannot be seen or typed")
        plain = changed
    if "\x1b" in plain:
        plain = _ANSI.sub("", plain)
        undone.append("a terminal's colours")
    for marks, undo, word in _STEPS:
        if marks in plain:
            changed = undo(plain)
            if changed != plain:
                plain = changed
                undone.append(word)
    return plain, tuple(undone)


def _unescape(text: str) -> str:
    text = _CONTINUED.sub("\n", text)
    text = _ESCAPED_UNICODE.sub(_character, text)
    text = _ESCAPED_BYTE.sub(_character, text)
    text = _ESCAPED_END.sub("\n", text)
    return _ESCAPED_OTHER.sub(lambda found: " " if found[1] == "t" else found[1], text)


def _character(found: re.Match[str]) -> str:
    return chr(int(found[1], 16))


def _from_html(text: str) -> str:
    for _ in range(2):  # a page that shows an escaped page
        if not _ENTITY.search(text):
            break
        text = _ENTITY.sub(lambda found: html.unescape(found[0]), text)
    return text.translate(_CHARACTERS)


def _without_tags(text: str) -> str:
    return _TAG.sub("\n", text) if "BEGIN" in text else text


def _from_quoted_printable(text: str) -> str:
    """RFC 2045 §6.7. Base64 has `=` at its end only, never before a hexadecimal number or a further line."""
    text = _SOFT_BREAK.sub("", text)
    return _QUOTED_BYTE.sub(_character, text) if _QUOTED_PRINTABLE.search(text) else text


def _from_percent(text: str) -> str:
    return _PERCENT.sub(_character, text)


_STEPS = (
    ("&", _from_html, "HTML escapes"),
    ("<", _without_tags, "HTML tags"),
    ("=", _from_quoted_printable, "a mail's quoted-printable encoding"),
    ("%", _from_percent, "percent encoding"),
    ("\\", _unescape, "escaped line ends"),
)
