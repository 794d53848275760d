"""What the index knows, and how it learns: by the journal's entries, or by comparing everything. Not thread-safe."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final, TypeVar

from service.index.scan import (
    Content,
    certificate_view,
    content_of,
    deleted,
    list_metadata,
    read_contents,
    read_documents,
    unreadable,
)
from service.index.views import CertificateView, Change, Snapshot, VersionView
from service.records import (
    BUNDLES,
    CANARIES,
    PROBES,
    PROVIDERS,
    RELAYS,
    STATUSES,
    Canary,
    Probe,
    Provider,
    Relay,
    Status,
    bundle_path,
    canary_path,
    is_name,
    provider_path,
    relay_path,
)
from vault.documents import Document, Metadata
from vault.errors import NotFound, Rejected
from vault.journal import Change as Entry
from vault.session import Vault

KEPT_CHANGES: Final = 200
"""What pages show of the past; the journal itself keeps about as many."""
TRIES: Final = 3
"""To read one certificate that is being rotated all the while."""
KEPT_VERSIONS: Final = 4096
"""Former versions that somebody looked at: some 10 kB each."""

T = TypeVar("T")
Seen = tuple[int, datetime]
"""A version's number and time: a name that was destroyed and used again counts from 1 again."""


class Contents:
    """Everything public as last read, and the versions it was read in, so that each is read once.

    Every method that takes a `Vault` may raise `vault.errors.VaultError`; what was read before stays as it was then.
    """

    def __init__(self, clock: Callable[[], datetime], *, reports: bool = True) -> None:
        self._clock = clock
        self._reports = reports
        self._certificates: dict[str, CertificateView] = {}
        self._metadata: dict[str, Metadata] = {}
        self._versions: dict[tuple[str, Seen], Content] = {}
        self._relays: dict[str, Relay] = {}
        self._providers: dict[str, Provider] = {}
        self._statuses: dict[str, Status] = {}
        self._probes: dict[str, Probe] = {}
        self._canaries: dict[str, Canary] = {}
        self._unreadable: dict[str, str] = {}
        self._seen: dict[str, Seen] = {}
        self._changes: tuple[Change, ...] = ()
        self._sequence = 0
        self._loaded = False
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """What is known now; the same object while nothing changes."""
        if self._snapshot is None:
            self._snapshot = Snapshot(
                certificates=_ordered(self._certificates),
                relays=_ordered(self._relays),
                providers=_ordered(self._providers),
                statuses=_ordered(self._statuses),
                probes=_ordered(self._probes),
                canaries=_ordered(self._canaries),
                changes=self._changes,
                unreadable=_ordered(self._unreadable),
                sequence=self._sequence,
                read_at=self._clock(),
            )
        return self._snapshot

    # Learning

    def follow(self, vault: Vault, paths: Collection[str] = ()) -> None:
        """Read the journal, then what it names, and `paths`; everything when the journal is too far ahead."""
        if not self._loaded:
            self.scan(vault)
            return
        try:
            read = vault.journal.read(after=self._sequence)
        except Rejected:  # broken by hand: the next scan tells what it would have told
            self._reload(vault, set(paths))
            return
        if read.gap:
            self.scan(vault)
            return
        touched = set(paths)
        for entry in read.changes:
            touched |= self._paths_of(entry)
        self._reload(vault, touched)
        if read.changes:
            self._note(read.changes, read.sequence)

    def scan(self, vault: Vault) -> None:
        """Compare everything with what is stored. What changes meanwhile is in the journal after its number here."""
        try:
            read = vault.journal.read()
            entries, sequence = read.changes, read.sequence
        except Rejected:
            entries, sequence = (), self._sequence
        self._scan_bundles(vault)
        self.scan_users(vault)
        self._scan_documents(vault, CANARIES)
        if self._reports:
            self.scan_statuses(vault)
        if sequence != self._sequence or not self._loaded:
            self._changes = ()
            self._note(entries, sequence)
        self._loaded = True

    def scan_users(self, vault: Vault) -> None:
        """Compare the relays and container providers with what is stored."""
        for folder in (RELAYS, PROVIDERS):
            self._scan_documents(vault, folder)

    def scan_statuses(self, vault: Vault) -> None:
        """Compare the statuses and probes with what is stored."""
        self._scan_documents(vault, STATUSES)
        self._scan_documents(vault, PROBES)

    # Versions of certificates

    def known_version(self, name: str, number: int) -> VersionView | None:
        """A version that was read before."""
        seen = self._seen_version(name, number)
        content = self._versions.get((name, seen)) if seen else None
        return _version_view(seen, content) if seen and content else None

    def read_version(self, vault: Vault, name: str, number: int) -> VersionView | None:
        """A version; None when there is none, or no longer."""
        if self._seen_version(name, number) is None:
            self._reload(vault, {bundle_path(name)})
        known = self.known_version(name, number)
        if known is not None:
            return known
        seen = self._seen_version(name, number)
        if seen is None:
            return None
        try:
            content = content_of(vault.documents.read_public(bundle_path(name), number))
        except Rejected as error:
            content = content_of(unreadable(error))
        except NotFound:
            return None
        self._remember(name, seen, content)
        return _version_view(seen, content)

    def versions(self, name: str) -> Metadata | None:
        """Which versions there are of a certificate."""
        return self._metadata.get(name)

    def _seen_version(self, name: str, number: int) -> Seen | None:
        metadata = self._metadata.get(name)
        found = [] if metadata is None else [one for one in metadata.versions if one.number == number]
        return (number, found[0].created_at) if found else None

    def _remember(self, name: str, seen: Seen, content: Content) -> None:
        if len(self._versions) >= KEPT_VERSIONS + len(self._certificates):
            current = {(view.name, (view.version, view.updated_at)) for view in self._certificates.values()}
            self._versions = {key: kept for key, kept in self._versions.items() if key in current}
        self._versions[name, seen] = content

    # Reading again

    def _paths_of(self, entry: Entry) -> set[str]:
        match entry.kind:
            case "certificate":
                return {bundle_path(entry.name)}
            case "canary" | "relay" | "provider":
                path = {"canary": canary_path, "relay": relay_path, "provider": provider_path}[entry.kind]
                return {path(entry.name)}
            case "binding" if entry.name.startswith("relay-"):
                return {relay_path(entry.name.removeprefix("relay-"))}
            case "binding":  # several providers may have a cluster of that consumer's name
                return {provider_path(name) for name in self._providers if entry.name.startswith(f"provider-{name}-")}
            case _:
                return set()

    def _reload(self, vault: Vault, paths: set[str]) -> None:
        bundles = {path.partition("/")[2] for path in paths if path.startswith(f"{BUNDLES}/")}
        for name in sorted(bundles):
            if is_name(name):
                self._reload_bundle(vault, name)
        documents = sorted(path for path in paths if not path.startswith(f"{BUNDLES}/"))
        found = read_documents(vault, [path for path in documents if _is_path(path)])
        for path in documents:
            document = found.get(path)
            if document is None:
                self._drop_document(path)
            elif self._seen.get(path) != (document.version, document.created_at):
                self._learn_document(document)

    def _reload_bundle(self, vault: Vault, name: str) -> None:
        for _ in range(TRIES):
            try:
                metadata = vault.documents.metadata(bundle_path(name))
            except NotFound:
                self._drop_bundle(name)
                return
            if not self._learn_bundles(vault, {name: metadata}):
                return

    def _scan_bundles(self, vault: Vault) -> None:
        found = list_metadata(vault, BUNDLES)
        for name in self._metadata.keys() - found.keys():
            self._drop_bundle(name)
        gone = {path for path in self._unreadable if path.startswith(f"{BUNDLES}/")} - {*map(bundle_path, found)}
        for path in gone:
            del self._unreadable[path]
            self._snapshot = None
        self._learn_bundles(vault, {name: one for name, one in found.items() if one != self._metadata.get(name)})

    def _learn_bundles(self, vault: Vault, changed: Mapping[str, Metadata]) -> set[str]:
        """Read the public half of each version that was not read before.

        Returns: those that were changed again meanwhile, and are left as they were: their entry is still to come.
        """
        now = self._clock()
        to_read: set[str] = set()
        for name, metadata in changed.items():
            if not is_name(name):
                self._say_unreadable(bundle_path(name), "this is not a certificate's name")
            elif metadata.current_version == 0:
                self._drop_bundle(name)  # somebody annotated a path where nothing is stored
            elif deleted(metadata, now):
                self._learn_bundle(name, metadata, None)
            elif (content := self._versions.get((name, _seen_of(metadata)))) is not None:
                self._learn_bundle(name, metadata, content)
            else:
                to_read.add(name)
        for name, (number, content) in read_contents(vault, sorted(to_read)).items():
            metadata = changed[name]
            if number is not None and number != metadata.current_version:
                continue
            to_read.remove(name)
            self._remember(name, _seen_of(metadata), content)
            self._learn_bundle(name, metadata, content)
        return to_read

    def _learn_bundle(self, name: str, metadata: Metadata, content: Content | None) -> None:
        self._metadata[name] = metadata
        self._certificates[name] = certificate_view(name, metadata, content)
        self._unreadable.pop(bundle_path(name), None)
        self._snapshot = None

    def _drop_bundle(self, name: str) -> None:
        if self._metadata.pop(name, None) is not None:
            del self._certificates[name]
            self._versions = {key: content for key, content in self._versions.items() if key[0] != name}
            self._snapshot = None

    def _scan_documents(self, vault: Vault, folder: str) -> None:
        found = {f"{folder}/{name}": metadata for name, metadata in list_metadata(vault, folder).items()}
        for path in [path for path in self._seen if path.startswith(f"{folder}/") and path not in found]:
            self._drop_document(path)
        now = self._clock()
        changed: list[str] = []
        for path, metadata in found.items():
            if metadata.current_version == 0 or deleted(metadata, now):
                self._drop_document(path)
            elif self._seen.get(path) != _seen_of(metadata):
                changed.append(path)
        for document in read_documents(vault, changed).values():
            self._learn_document(document)

    def _learn_document(self, document: Document) -> None:
        folder, _, name = document.path.partition("/")
        self._drop_document(document.path)
        self._seen[document.path] = (document.version, document.created_at)
        self._snapshot = None
        try:
            if folder not in {STATUSES, PROBES} and not is_name(name):
                raise ValueError("this is not a name")  # noqa: TRY301 - one kind of trouble, handled in one place
            match folder:
                case "relays":
                    self._relays[name] = Relay.from_data(name, document.data, document.version)
                case "providers":
                    self._providers[name] = Provider.from_data(name, document.data, document.version)
                case "canaries":
                    self._canaries[name] = Canary.from_data(name, document.data, document.version)
                case "probes":
                    self._probes[name] = Probe.from_data(name, document.data, document.version, document.created_at)
                case _:
                    at = document.created_at
                    self._statuses[name] = Status.from_data(name, document.data, document.version, at)
        except ValueError as error:
            self._say_unreadable(document.path, str(error))

    def _drop_document(self, path: str) -> None:
        folder, _, name = path.partition("/")
        if self._seen.pop(path, None) is not None:
            records: Mapping[str, dict[str, Any]]
            records = {
                RELAYS: self._relays,
                PROVIDERS: self._providers,
                STATUSES: self._statuses,
                PROBES: self._probes,
                CANARIES: self._canaries,
            }
            records[folder].pop(name, None)
            self._unreadable.pop(path, None)
            self._snapshot = None

    def _say_unreadable(self, path: str, reason: str) -> None:
        self._unreadable[path] = reason
        self._snapshot = None

    def _note(self, entries: Iterable[Entry], sequence: int) -> None:
        changes = (*self._changes, *(Change(**asdict(entry)) for entry in entries))
        self._changes = changes[-KEPT_CHANGES:]
        self._sequence = sequence
        self._snapshot = None


def _is_path(path: str) -> bool:
    """Whether something can be stored there; a consumer's name is longer than a name may be."""
    folder, _, name = path.partition("/")
    return is_name(name) or (folder in {STATUSES, PROBES} and "/" not in name)


def _seen_of(metadata: Metadata) -> Seen:
    current = metadata.current
    return (metadata.current_version, current.created_at if current else metadata.updated_at)


def _version_view(seen: Seen, content: Content) -> VersionView:
    return VersionView(
        number=seen[0],
        created_at=seen[1],
        facts=content.facts,
        certificate=content.certificate,
        ca=content.ca,
        changed_by=content.changed_by,
        problem=content.problem,
    )


def _ordered(records: Mapping[str, T]) -> Mapping[str, T]:
    return MappingProxyType(dict(sorted(records.items())))
