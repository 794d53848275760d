"""The stored documents as typed records, and names as paths. Pure: it speaks to no Vault.

A record is made either from what a person typed (the `read_…` functions put it into its normal form, or refuse it with
a finding beside its field) or from a stored document (`from_data`, which raises `ValueError` for a document that was
written by hand and cannot be understood).
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias, cast, get_args
from urllib.parse import urlsplit

import idna

from service.errors import Refused
from service.pki.finding import Field, Finding, Severity

TlsMode: TypeAlias = Literal["tls", "mtls"]
ProviderKind: TypeAlias = Literal["swarm", "kubernetes"]
Visibility: TypeAlias = Literal["public", "private"]
MultiCluster: TypeAlias = Literal["none", "active-passive", "active-active"]
StatusState: TypeAlias = Literal["installed", "serving", "failed"]
Purpose: TypeAlias = Literal["server", "client"]

MAX_NAME_CHARACTERS: Final = 63
"""A name is also a DNS label's length: it appears in file names, role names and URLs."""
MAX_DISPLAY_NAME_CHARACTERS: Final = 120
MAX_COMMENT_BYTES: Final = 512
"""Vault's limit for one value of custom_metadata, where a certificate's comment lives; the same everywhere."""
MAX_URL_CHARACTERS: Final = 2048
MAX_HOST_CHARACTERS: Final = 253
"""RFC 1035 §2.3.4, without the final dot."""
MAX_CLUSTERS: Final = 64
"""Far above any provider; keeps one document small."""
MAX_STATUS_DETAIL_CHARACTERS: Final = 500
CLUSTER_SCHEMES: Final = frozenset({"https", "tcp"})
"""`tcp` is how Docker writes its TLS endpoint (`tcp://host:2376`)."""

BUNDLES: Final = "bundles"
RELAYS: Final = "relays"
PROVIDERS: Final = "providers"
STATUSES: Final = "status"

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?")


def refusal(code: str, message: str, hint: str = "", *, field: Field) -> Refused:
    """A problem with one field, as the checks report theirs."""
    finding = Finding(code=code, severity=Severity.ERROR, message=message, hint=hint, field=field)
    return Refused(message, code=code, findings=(finding,))


# Names and paths


def is_name(text: str) -> bool:
    """Whether it is a name: 1 to 63 of `a-z 0-9 . -`, starting and ending with a letter or digit."""
    return _NAME.fullmatch(text) is not None


def slug(text: str) -> str:
    """The name that a free text becomes: `Relays EU (west)` → `relays-eu-west`; empty when nothing of it can stay."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    joined = re.sub(r"[^a-z0-9.]+", "-", plain)
    joined = re.sub(r"-*\.[.-]*", ".", joined)
    return joined.strip("-.")[:MAX_NAME_CHARACTERS].rstrip("-.")


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


def bundle_path(name: str) -> str:
    """Where a certificate's bundle is stored."""
    return f"{BUNDLES}/{name}"


def relay_path(name: str) -> str:
    """Where a relay is stored."""
    return f"{RELAYS}/{name}"


def provider_path(name: str) -> str:
    """Where a container provider is stored, with its clusters."""
    return f"{PROVIDERS}/{name}"


def status_path(consumer: str) -> str:
    """Where a consumer says what it has installed."""
    return f"{STATUSES}/{consumer}"


def relay_consumer(relay: str) -> str:
    """The consumer that a relay is."""
    return f"relay-{relay}"


def cluster_consumer(provider: str, cluster: str) -> str:
    """The consumer that a provider's cluster is. Two pairs can give one name: `a`, `b-c` and `a-b`, `c`."""
    return f"provider-{provider}-{cluster}"


# Records


@dataclass(frozen=True, slots=True)
class Relay:
    """A WebSocket relay: a TLS or mTLS endpoint.

    Attributes:
        host: DNS name (lower case, IDNA A-labels) or IP address (compressed).
        certificate: the certificate it is bound to.
        provider: the container provider it runs on, if one.
        version: of the stored document; 0 before it is stored.
    """

    name: str
    display_name: str
    host: str
    port: int
    tls_mode: TlsMode
    certificate: str | None
    provider: str | None
    enabled: bool
    comment: str
    version: int = 0

    @property
    def consumer(self) -> str:
        """The consumer that it is."""
        return relay_consumer(self.name)

    def to_data(self) -> dict[str, Any]:
        """The stored document."""
        return {
            "display_name": self.display_name,
            "host": self.host,
            "port": self.port,
            "tls_mode": self.tls_mode,
            "certificate": self.certificate or "",
            "provider": self.provider or "",
            "enabled": self.enabled,
            "comment": self.comment,
        }

    @staticmethod
    def from_data(name: str, data: Mapping[str, Any], version: int) -> Relay:
        """The record of a stored document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        return Relay(
            name=name,
            display_name=_text(data, "display_name", default=name),
            host=_text(data, "host"),
            port=_port(data),
            tls_mode=cast("TlsMode", _choice(data, "tls_mode", get_args(TlsMode))),
            certificate=_optional_name(data, "certificate"),
            provider=_optional_name(data, "provider"),
            enabled=_flag(data, "enabled"),
            comment=_text(data, "comment", default=""),
            version=version,
        )


@dataclass(frozen=True, slots=True)
class Cluster:
    """One cluster of a container provider.

    Attributes:
        url: `https://…` or `tcp://…`, without user, query and fragment.
        server_name: the name its certificate must carry (SNI), when it is not the URL's host.
        cert_auth: whether the platform proves itself to the cluster with the certificate.
        certificate: the certificate it is bound to.
    """

    name: str
    url: str
    server_name: str | None
    cert_auth: bool
    certificate: str | None

    def to_data(self) -> dict[str, Any]:
        """Its part of the provider's document."""
        return {
            "name": self.name,
            "url": self.url,
            "server_name": self.server_name or "",
            "cert_auth": self.cert_auth,
            "certificate": self.certificate or "",
        }

    @staticmethod
    def from_data(data: Mapping[str, Any]) -> Cluster:
        """The record of its part of a provider's document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        name = _text(data, "name")
        if not is_name(name):
            raise ValueError("a cluster's name is not a name")
        return Cluster(
            name=name,
            url=_text(data, "url"),
            server_name=_text(data, "server_name", default="") or None,
            cert_auth=_flag(data, "cert_auth"),
            certificate=_optional_name(data, "certificate"),
        )


@dataclass(frozen=True, slots=True)
class Provider:
    """A container provider. `version` is that of the stored document, which holds the clusters too; 0 before."""

    name: str
    display_name: str
    kind: ProviderKind
    visibility: Visibility
    enabled: bool
    multi_cluster: MultiCluster
    comment: str
    clusters: tuple[Cluster, ...]
    version: int = 0

    def cluster(self, name: str) -> Cluster | None:
        """The cluster of that name."""
        return next((cluster for cluster in self.clusters if cluster.name == name), None)

    def consumer(self, cluster: str) -> str:
        """The consumer that a cluster of it is."""
        return cluster_consumer(self.name, cluster)

    def to_data(self) -> dict[str, Any]:
        """The stored document."""
        return {
            "display_name": self.display_name,
            "kind": self.kind,
            "visibility": self.visibility,
            "enabled": self.enabled,
            "multi_cluster": self.multi_cluster,
            "comment": self.comment,
            "clusters": [cluster.to_data() for cluster in self.clusters],
        }

    @staticmethod
    def from_data(name: str, data: Mapping[str, Any], version: int) -> Provider:
        """The record of a stored document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        clusters = data.get("clusters") or []
        if not isinstance(clusters, list) or not all(isinstance(cluster, dict) for cluster in clusters):
            raise ValueError("clusters is not a list of objects")
        return Provider(
            name=name,
            display_name=_text(data, "display_name", default=name),
            kind=cast("ProviderKind", _choice(data, "kind", get_args(ProviderKind))),
            visibility=cast("Visibility", _choice(data, "visibility", get_args(Visibility))),
            enabled=_flag(data, "enabled"),
            multi_cluster=cast("MultiCluster", _choice(data, "multi_cluster", get_args(MultiCluster))),
            comment=_text(data, "comment", default=""),
            clusters=tuple(Cluster.from_data(cluster) for cluster in clusters),
            version=version,
        )


@dataclass(frozen=True, slots=True)
class Status:
    """What a consumer says it has installed. A consumer may write anything here: nothing of it is trusted.

    Attributes:
        certificate: the certificate's name; empty when the consumer did not say.
        certificate_version: the version installed; 0 when none is.
        fingerprint_sha256: of the installed leaf, lower hex; may be empty.
        sessions: open connections, when it knows.
        at: when Vault stored it.
    """

    consumer: str
    certificate: str
    certificate_version: int
    fingerprint_sha256: str
    state: StatusState
    detail: str
    sessions: int | None
    at: datetime
    version: int = 0

    def to_data(self) -> dict[str, Any]:
        """The stored document."""
        return {
            "certificate": self.certificate,
            "version": self.certificate_version,
            "fingerprint_sha256": self.fingerprint_sha256,
            "state": self.state,
            "detail": self.detail,
            "sessions": self.sessions,
        }

    @staticmethod
    def from_data(consumer: str, data: Mapping[str, Any], version: int, at: datetime) -> Status:
        """The record of a stored document.

        Raises:
            ValueError: a field is missing or is not what it should be.
        """
        certificate_version = data.get("version")
        sessions = data.get("sessions")
        fingerprint = _text(data, "fingerprint_sha256", default="").lower()
        if not _is_count(certificate_version) or not (sessions is None or _is_count(sessions)):
            raise ValueError("version or sessions is not a count")
        if not re.fullmatch(r"(?:[0-9a-f]{64})?", fingerprint):
            raise ValueError("fingerprint_sha256 is not 64 hexadecimal digits")
        return Status(
            consumer=consumer,
            certificate=_optional_name(data, "certificate") or "",
            certificate_version=cast("int", certificate_version),
            fingerprint_sha256=fingerprint,
            state=cast("StatusState", _choice(data, "state", get_args(StatusState))),
            detail=_text(data, "detail", default="")[:MAX_STATUS_DETAIL_CHARACTERS],
            sessions=sessions,
            at=at,
            version=version,
        )


# What people type


def read_line(text: str, *, limit: int, field: Field, what: str) -> str:
    """One line of text, without surrounding space.

    Raises:
        Refused: too long (`text.too-long`), or with control characters (`text.control-character`).
    """
    line = text.strip()
    if len(line) > limit:
        message = f"The {what} has {len(line)} characters; at most {limit} are kept."
        raise refusal("text.too-long", message, field=field)
    if any(unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"} for character in line):
        message = f"The {what} has a control character or a line break in it."
        raise refusal("text.control-character", message, "Type it again by hand.", field=field)
    return line


def read_comment(text: str) -> str:
    """A comment: lines of text, at most 512 bytes of UTF-8.

    Raises:
        Refused: `text.too-long`, `text.control-character`.
    """
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


# What is stored


def _text(data: Mapping[str, Any], field: str, *, default: str | None = None) -> str:
    value = data.get(field, default)
    if value is None:
        value = default
    if not isinstance(value, str):
        raise ValueError(f"{field} is not a text")  # noqa: TRY004 - every unreadable document is one kind of error
    return value


def _optional_name(data: Mapping[str, Any], field: str) -> str | None:
    value = _text(data, field, default="")
    if value and not is_name(value):
        raise ValueError(f"{field} is not a name")
    return value or None


def _choice(data: Mapping[str, Any], field: str, choices: tuple[str, ...]) -> str:
    value = _text(data, field)
    if value not in choices:
        raise ValueError(f"{field} is none of {', '.join(choices)}")
    return value


def _flag(data: Mapping[str, Any], field: str) -> bool:
    value = data.get(field)
    if not isinstance(value, bool):
        raise ValueError(f"{field} is neither true nor false")  # noqa: TRY004
    return value


def _port(data: Mapping[str, Any]) -> int:
    value = data.get("port")
    if not _is_count(value) or not 1 <= cast("int", value) <= 65535:
        raise ValueError("port is not a number from 1 to 65535")
    return cast("int", value)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
