"""What people type, put into its normal form or refused with a finding beside its field. Pure."""

from __future__ import annotations

import ipaddress
import unicodedata
from typing import Final
from urllib.parse import urlsplit

import idna

from service.errors import Refused
from service.pki.finding import Field, Finding, Severity
from service.pki.reading import holds_key
from service.records.names import is_name, slug

MAX_DISPLAY_NAME_CHARACTERS: Final = 120
MAX_COMMENT_BYTES: Final = 512
"""Vault's limit for one value of custom_metadata, where a certificate's comment lives; the same everywhere."""
MAX_URL_CHARACTERS: Final = 2048
MAX_HOST_CHARACTERS: Final = 253
"""RFC 1035 §2.3.4, without the final dot."""
CLUSTER_SCHEMES: Final = frozenset({"https", "tcp"})
"""`tcp` is how Docker writes its TLS endpoint (`tcp://host:2376`)."""


def refusal(code: str, message: str, hint: str = "", *, field: Field) -> Refused:
    """A problem with one field, as the checks report theirs."""
    finding = Finding(code=code, severity=Severity.ERROR, message=message, hint=hint, field=field)
    return Refused(message, code=code, findings=(finding,))


def read_name(text: str) -> tuple[str, str]:
    """The name and the display name that a typed name becomes.

    Raises:
        Refused: `name.illegal`.
    """
    display = read_line(text, limit=MAX_DISPLAY_NAME_CHARACTERS, field="name", what="name")
    name = display if is_name(display) else slug(display)
    if not name:
        raise refusal(
            "name.illegal",
            "The name has no letter a-z and no digit." if display else "The name is empty.",
            "Use letters, digits, dots and hyphens, for example relays-eu.",
            field="name",
        )
    return name, display


def read_line(text: str, *, limit: int, field: Field, what: str) -> str:
    """One line of text, without surrounding space.

    Raises:
        Refused: too long (`text.too-long`), with control characters (`text.control-character`), or a private key
            pasted into the wrong field (`text.private-key`).
    """
    line = text.strip()
    refuse_key(line, field=field, what=what)
    if len(line) > limit:
        message = f"The {what} has {len(line)} characters; at most {limit} are kept."
        raise refusal("text.too-long", message, field=field)
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in line):
        message = f"The {what} has a control character or a line break in it."
        raise refusal("text.control-character", message, "Type it again by hand.", field=field)
    return line


def refuse_key(text: str, *, field: Field, what: str) -> None:
    """Everybody who may look at the instance sees what is typed here: no key stands in it, in any form that is read.

    Raises:
        Refused: `text.private-key`; the text is not quoted.
    """
    if holds_key(text):
        message = f"The {what} holds a private key. It was not stored."
        raise refusal("text.private-key", message, "Paste the key into KEY.", field=field)


def read_display_name(text: str, name: str) -> str:
    """A display name as it is stored: the name itself when nothing was typed.

    Raises:
        Refused: `text.too-long`, `text.control-character`.
    """
    limit = MAX_DISPLAY_NAME_CHARACTERS
    return read_line(text, limit=limit, field="display_name", what="display name") or name


def read_comment(text: str) -> str:
    """A comment: lines of text, at most 512 bytes of UTF-8.

    Raises:
        Refused: `text.too-long`, `text.control-character`, `text.private-key`.
    """
    refuse_key(text, field="comment", what="comment")
    comment = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if any(unicodedata.category(character) in {"Cc", "Cs"} and character not in "\n\t" for character in comment):
        raise refusal("text.control-character", "The comment has a control character in it.", field="comment")
    size = len(comment.encode())
    if size > MAX_COMMENT_BYTES:
        message = f"The comment is {size} bytes long; at most {MAX_COMMENT_BYTES} are kept."
        raise refusal("text.too-long", message, "Shorten it.", field="comment")
    return comment


def read_host(text: str, *, field: Field = "host") -> str:
    """A host as it is stored: an IP address, or a DNS name in lower case with IDNA A-labels (RFC 5891).

    Raises:
        Refused: `host.illegal`.
    """
    typed = read_line(text, limit=MAX_HOST_CHARACTERS + 2, field=field, what="host")
    hint = "Give a name such as relay.example.com, or an IP address, without scheme and port."
    bare = typed[1:-1] if typed.startswith("[") and typed.endswith("]") else typed
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        pass
    else:
        if getattr(address, "scope_id", None):
            raise refusal("host.illegal", "The address names a network interface (%…).", hint, field=field)
        return address.compressed
    try:
        name = idna.encode(typed.removesuffix("."), uts46=True, std3_rules=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        name = ""
    labels = name.split(".")
    if not name or len(name) > MAX_HOST_CHARACTERS or labels[-1].isdigit():
        raise refusal("host.illegal", "The host is no DNS name and no IP address.", hint, field=field)
    return name


def read_port(port: int) -> int:
    """A TCP port.

    Raises:
        Refused: `port.illegal`.
    """
    if isinstance(port, bool) or not 1 <= port <= 65535:
        raise refusal("port.illegal", "The port is not a number from 1 to 65535.", field="port")
    return port


def read_choice(value: str, choices: tuple[str, ...], *, field: Field) -> str:
    """One of a few words.

    Raises:
        Refused: `choice.unknown`.
    """
    if value not in choices:
        message = f"{field} must be one of {', '.join(choices)}."
        raise refusal("choice.unknown", message, field=field)
    return value


def read_cluster_url(text: str) -> str:
    """The URL of a cluster, in its normal form.

    Raises:
        Refused: `url.illegal`.
    """
    hint = "Give a URL such as https://cluster.example:6443 or tcp://swarm.example:2376."

    def illegal(message: str) -> Refused:
        return refusal("url.illegal", message, hint, field="url")

    typed = read_line(text, limit=MAX_URL_CHARACTERS, field="url", what="URL")
    if any(character.isspace() or character == "\\" for character in typed):
        raise illegal("The URL has a space or a backslash in it.")
    try:
        parts = urlsplit(typed)
        port = parts.port
    except ValueError:
        raise illegal("The URL cannot be read.") from None
    if parts.scheme not in CLUSTER_SCHEMES:
        raise illegal("The URL must start with https:// or tcp://.")
    if parts.username is not None or parts.password is not None or "@" in parts.netloc:
        raise illegal("The URL carries a user name or a password; it must not.")
    if parts.query or parts.fragment or typed.endswith(("?", "#")):
        raise illegal("The URL has a query or a fragment; it must not.")
    if not parts.hostname or port == 0:
        raise illegal("The URL names no host, or no port that exists.")
    host = read_host(parts.hostname, field="url")
    netloc = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{netloc}{f':{port}' if port else ''}{parts.path.rstrip('/')}"


def cluster_host(url: str) -> str:
    """The host in a cluster's URL."""
    return urlsplit(url).hostname or ""
