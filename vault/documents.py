"""Versioned documents (KV v2) with compare-and-set, and with a public half that can be read without the secret one.

The public half is kept as field *names*: KV v2's `subkeys` endpoint returns a version's field names without values,
under a permission of its own. A document written with `public={"certificate": "<PEM>"}` holds
`"public": {"certificate": {"<PEM>": ""}}`, and `read_public` finds `<PEM>` among the names (ADR 0001).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from vault.errors import Denied, NotFound, Rejected, Unsupported
from vault.wire import LISTING_TIMEOUT_S, Json, Server, Wire

PUBLIC = "public"
"""The field that holds the public half. No document has a field of its own by this name."""


@dataclass(frozen=True, slots=True)
class VersionInfo:
    """One version of a document. `deleted_at` is None while it can be read."""

    number: int
    created_at: datetime
    deleted_at: datetime | None
    destroyed: bool


@dataclass(frozen=True, slots=True)
class Document:
    """One version of a document, without its public half. The repr shows no values: they may be secret."""

    path: str
    data: Mapping[str, Any]
    version: int
    created_at: datetime
    custom_metadata: Mapping[str, str]

    def __repr__(self) -> str:
        return f"Document(path={self.path!r}, version={self.version})"


@dataclass(frozen=True, slots=True)
class PublicHalf:
    """What is public about one version of a document. A field that is empty in it is absent from `values`."""

    path: str
    values: Mapping[str, str]
    version: int
    created_at: datetime
    custom_metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Metadata:
    """A document's versions, oldest first, and its custom_metadata. `current_version` is 0 before the first write."""

    path: str
    current_version: int
    created_at: datetime
    updated_at: datetime
    versions: tuple[VersionInfo, ...]
    custom_metadata: Mapping[str, str]

    @property
    def current(self) -> VersionInfo | None:
        """The current version, deleted or not; None when there is none."""
        return next((version for version in self.versions if version.number == self.current_version), None)


class Documents:
    """The documents of one KV v2 mount, as one token sees them. Paths are below the mount: `bundles/eu`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._server: Server = wire.server

    def read(self, path: str, version: int | None = None) -> Document:
        """Read a version (the current one when None), secrets included.

        Raises:
            NotFound, VersionGone, Denied, Unreachable.
        """
        answer = self._wire.call("GET", self._at("data", path), f"read {path}", params=_version(version))
        return document_of(path, answer)

    def write(
        self, path: str, data: Mapping[str, Any], *, expect_version: int, public: Mapping[str, str] | None = None
    ) -> int:
        """Write a new version in one step and return its number.

        Args:
            expect_version: the version this replaces; 0 when the document must not exist yet.
            public: its public half, by field; an empty value is left out.

        Raises:
            Conflict: another version is current. Also Denied, Unreachable.
        """
        answer = self._wire.call(
            "POST",
            self._at("data", path),
            f"write {path}",
            body=write_body(data, expect_version=expect_version, public=public),
            compare_and_set=(path, expect_version),
        )
        return int(answer["data"]["version"])

    def patch(
        self,
        path: str,
        changes: Mapping[str, Any],
        *,
        expect_version: int,
        public: Mapping[str, str] | None = None,
        former_public: Mapping[str, str] | None = None,
    ) -> int:
        """Change fields of the current version unseen (RFC 7396) and return the new version's number.

        Args:
            changes: fields to set; None removes one. Fields not named stay as they are.
            public: the whole new public half; None leaves it as it is.
            former_public: the public half of `expect_version`, whose names have to go; read when not given.

        Raises:
            Conflict: another version is current. NotFound, VersionGone, Denied, Unreachable.
        """
        if PUBLIC in changes:
            raise ValueError(f"{PUBLIC!r} is changed by the argument of that name")
        body = dict(changes)
        if public is not None:
            if former_public is None:
                former_public = self.read_public(path, expect_version).values
            body[PUBLIC] = _public_changes(public, former_public)
        answer = self._wire.call(
            "PATCH",
            self._at("data", path),
            f"change {path}",
            body={"options": {"cas": expect_version}, "data": body},
            compare_and_set=(path, expect_version),
        )
        return int(answer["data"]["version"])

    def read_public(self, path: str, version: int | None = None) -> PublicHalf:
        """Read what is public about a version. Needs no permission to read its secrets.

        Raises:
            NotFound, VersionGone, Denied, Unreachable.
        """
        answer = self._wire.call(
            "GET", self._at("subkeys", path), f"read the public half of {path}", params=_version(version)
        )
        return public_half_of(path, answer)

    def metadata(self, path: str) -> Metadata:
        """Read a document's versions and custom_metadata."""
        answer = self._wire.call("GET", self._at("metadata", path), f"read the metadata of {path}")
        return metadata_of(path, answer["data"])

    def list(self, folder: str) -> tuple[str, ...]:
        """The names in a folder, sorted; `()` when it is empty or does not exist."""
        try:
            answer = self._wire.call(
                "LIST", self._at("metadata", folder), f"list {folder}", timeout_s=LISTING_TIMEOUT_S
            )
        except NotFound:
            return ()
        return tuple(answer["data"]["keys"])

    def list_metadata(self, folder: str) -> Mapping[str, Metadata]:
        """The metadata of every document in a folder, by name.

        OpenBao answers in one request. HashiCorp Vault has no such request: there each document is asked for.
        """
        detailed = self.list_detailed(folder)
        if detailed is not None:
            return detailed
        found: dict[str, Metadata] = {}
        for name in self.list(folder):
            if name.endswith("/"):
                continue
            try:
                found[name] = self.metadata(f"{folder}/{name}")
            except NotFound:  # destroyed since it was listed
                continue
        return found

    def list_detailed(self, folder: str) -> Mapping[str, Metadata] | None:
        """The same in one request; None when the server knows no such request (HashiCorp Vault)."""
        if not self._server.detailed_listing:
            return None
        path = self._at("detailed-metadata", folder)
        try:
            answer = self._wire.call("LIST", path, f"list {folder} with metadata", timeout_s=LISTING_TIMEOUT_S)
        except NotFound:
            return {}
        except (Unsupported, Denied):  # a policy written for HashiCorp Vault does not know the path either
            return None
        return {
            name: metadata_of(f"{folder}/{name}", data)
            for name, data in answer["data"]["key_info"].items()
            if not name.endswith("/")
        }

    def annotate(self, path: str, custom_metadata: Mapping[str, str]) -> None:
        """Replace the custom_metadata. There is no compare-and-set for it: the last writer wins."""
        self._wire.call(
            "POST",
            self._at("metadata", path),
            f"annotate {path}",
            body={"custom_metadata": dict(custom_metadata)},
        )

    def delete(self, path: str, version: int) -> None:
        """Delete one version; `undelete` brings it back."""
        self._wire.call("POST", self._at("delete", path), f"delete {path}", body={"versions": [version]})

    def undelete(self, path: str, version: int) -> None:
        """Bring a deleted version back. A destroyed one stays gone, without an error: Vault gives none."""
        self._wire.call("POST", self._at("undelete", path), f"undelete {path}", body={"versions": [version]})

    def destroy(self, path: str) -> None:
        """Destroy every version and the metadata, for ever. Nothing happens when there is nothing."""
        self._wire.call("DELETE", self._at("metadata", path), f"destroy {path}")

    def _at(self, endpoint: str, path: str) -> str:
        return f"{self._server.mount}/{endpoint}/{path}"


def write_body(data: Mapping[str, Any], *, expect_version: int, public: Mapping[str, str] | None) -> Json:
    """The body of a KV v2 write."""
    if PUBLIC in data:
        raise ValueError(f"{PUBLIC!r} is set by the argument of that name")
    stored = dict(data)
    if public is not None:
        stored[PUBLIC] = {field: {value: ""} for field, value in public.items() if value}
    return {"options": {"cas": expect_version}, "data": stored}


def document_of(path: str, answer: Json) -> Document:
    """A document from the answer to a KV v2 read."""
    data, metadata = dict(answer["data"]["data"]), answer["data"]["metadata"]
    data.pop(PUBLIC, None)
    return Document(
        path=path,
        data=data,
        version=int(metadata["version"]),
        created_at=time_of(metadata["created_time"]),
        custom_metadata=metadata.get("custom_metadata") or {},
    )


def public_half_of(path: str, answer: Json) -> PublicHalf:
    """A public half from the answer to a `subkeys` read.

    Raises:
        Rejected: a field has several values: it was not written by this module.
    """
    names = (answer["data"]["subkeys"] or {}).get(PUBLIC) or {}
    values: dict[str, str] = {}
    for field, of_field in names.items():
        if not of_field:
            continue
        if len(of_field) != 1:
            raise Rejected(f"read the public half of {path}", status=200, reason=f"{field} has several values")
        values[field] = next(iter(of_field))
    metadata = answer["data"]["metadata"]
    return PublicHalf(
        path=path,
        values=values,
        version=int(metadata["version"]),
        created_at=time_of(metadata["created_time"]),
        custom_metadata=metadata.get("custom_metadata") or {},
    )


def metadata_of(path: str, data: Json) -> Metadata:
    """Metadata from the `data` of a KV v2 metadata read."""
    return Metadata(
        path=path,
        current_version=int(data["current_version"]),
        created_at=time_of(data["created_time"]),
        updated_at=time_of(data["updated_time"]),
        versions=tuple(
            VersionInfo(
                number=int(number),
                created_at=time_of(version["created_time"]),
                deleted_at=time_of(version["deletion_time"]) if version["deletion_time"] else None,
                destroyed=bool(version["destroyed"]),
            )
            for number, version in sorted(data["versions"].items(), key=lambda item: int(item[0]))
        ),
        custom_metadata=data.get("custom_metadata") or {},
    )


def time_of(text: str) -> datetime:
    """A time as Vault writes it (RFC 3339, nanoseconds), to the microsecond, aware."""
    return datetime.fromisoformat(text)


def _version(version: int | None) -> Mapping[str, str | int] | None:
    return None if version is None else {"version": version}


def _public_changes(public: Mapping[str, str], former: Mapping[str, str]) -> Mapping[str, Any]:
    """The merge patch that turns one public half into another: each field keeps exactly one name."""
    changes: dict[str, Any] = {}
    for field in {*public, *former}:
        new, old = public.get(field, ""), former.get(field, "")
        if not new:
            changes[field] = None
        elif new != old:
            changes[field] = {new: "", old: None} if old else {new: ""}
    return changes
