"""Making what consumers may read equal to the bindings: after a crash, or when somebody changed Vault by hand.

`actions` compares and decides (pure); `reconcile` reads, and carries it out with `settle`, which looks at the record
again before and after each write. So it may run at any time, beside people and beside other workers.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias

from service.index.scan import read_documents
from service.inventory.consumers import Consumer, Record, cluster, relay, settle
from service.inventory.recording import bindings_of
from service.records import PROVIDERS, RELAYS, Provider, Relay, is_name, provider_path, relay_path
from vault.errors import NotFound
from vault.session import Vault

Deed: TypeAlias = Literal["make", "bind", "unbind", "remove"]


@dataclass(frozen=True, slots=True)
class Action:
    """One thing to put right.

    Attributes:
        deed: `make` a role that is missing, `bind` or `unbind` what reads the wrong thing, `remove` what has no record.
        wanted: the certificate that the record names.
        found: the certificate that Vault lets it read.
    """

    deed: Deed
    consumer: str
    wanted: str | None
    found: str | None

    def __str__(self) -> str:
        return f"{self.deed} {self.consumer} ({self.found or 'nothing'} → {self.wanted or 'nothing'})"


@dataclass(frozen=True, slots=True)
class Records:
    """What the records want.

    Attributes:
        wanted: each consumer, with the certificate its record names.
        unreadable: paths of records that cannot be understood; what their consumers may read stays as it is.
        ambiguous: consumers that two clusters would be: they may read nothing until one of them has another name.
    """

    wanted: Mapping[Consumer, str | None]
    unreadable: tuple[str, ...] = ()
    ambiguous: tuple[str, ...] = ()


def wanted_of(records: Iterable[Relay | Provider], unreadable: Iterable[str] = ()) -> Records:
    """What records want of Vault."""
    wanted: dict[Consumer, str | None] = {}
    seen: dict[str, Consumer] = {}
    ambiguous: set[str] = set()
    for record in records:
        for consumer, certificate in bindings_of(record).items():
            if consumer.name in seen:
                ambiguous.add(consumer.name)
            seen[consumer.name] = consumer
            wanted[consumer] = certificate
    return Records(
        {consumer: certificate for consumer, certificate in wanted.items() if consumer.name not in ambiguous},
        tuple(unreadable),
        tuple(sorted(ambiguous)),
    )


def actions(records: Records, bound: Mapping[str, str | None]) -> tuple[Action, ...]:
    """What has to be done so that `bound` (each consumer in Vault and what it may read) is what the records want.

    What takes access away comes first.
    """
    wanted = {consumer.name: certificate for consumer, certificate in records.wanted.items()}
    found: list[Action] = []
    for name, certificate in bound.items():
        if name in wanted:
            if wanted[name] != certificate:
                found.append(Action("bind" if wanted[name] else "unbind", name, wanted[name], certificate))
        elif name in records.ambiguous:
            if certificate is not None:
                found.append(Action("unbind", name, None, certificate))
        elif not _of_unreadable(name, records.unreadable):
            found.append(Action("remove", name, None, certificate))
    found += [Action("make", name, certificate, None) for name, certificate in wanted.items() if name not in bound]
    order: tuple[Deed, ...] = ("remove", "unbind", "bind", "make")
    return tuple(sorted(found, key=lambda action: (order.index(action.deed), action.consumer)))


def reconcile(vault: Vault) -> tuple[Action, ...]:
    """Put right what differs, and return what that was; `()` when all was well.

    Raises:
        vault.errors.VaultError: what was put right so far stays; run it again.
    """
    bound = vault.consumers.bindings()  # before the records: what was made meanwhile is not taken for left over
    records = read_records(vault)
    todo = actions(records, bound)
    consumers = {consumer.name: consumer for consumer in records.wanted}
    for action in todo:
        if action.consumer in consumers:
            settle(vault, consumers[action.consumer])
        elif action.consumer in records.ambiguous:
            with suppress(NotFound):
                vault.consumers.bind(action.consumer, None, {})
        else:
            _remove(vault, action.consumer)
    return todo


def read_records(vault: Vault) -> Records:
    """What is stored of relays and container providers at this moment."""
    paths = [relay_path(name) for name in vault.documents.list(RELAYS)]
    paths += [provider_path(name) for name in vault.documents.list(PROVIDERS)]
    records: list[Relay | Provider] = []
    unreadable: list[str] = []
    for path, document in read_documents(vault, paths).items():
        folder, _, name = path.partition("/")
        record_type: type[Relay | Provider] = Relay if folder == RELAYS else Provider
        try:
            records.append(record_type.from_data(name, document.data, document.version))
        except ValueError:
            unreadable.append(path)
    return wanted_of(records, unreadable)


def _remove(vault: Vault, name: str) -> None:
    """End a consumer that no record names; looked for again before and after, since it may just be made."""
    possible = list(_possible(name))
    for _ in range(2):
        for consumer in possible:
            if consumer.wanted(vault) is not Record.GONE:
                settle(vault, consumer)
                return
        vault.consumers.revoke(name)


def _possible(name: str) -> Iterator[Consumer]:
    """Every relay or cluster whose consumer would have this name."""
    kind, _, rest = name.partition("-")
    if kind == "relay" and is_name(rest):
        yield relay(rest)
    if kind == "provider":
        for position, character in enumerate(rest):
            if character == "-" and is_name(rest[:position]) and is_name(rest[position + 1 :]):
                yield cluster(rest[:position], rest[position + 1 :])


def _of_unreadable(name: str, paths: Iterable[str]) -> bool:
    for path in paths:
        folder, _, owner = path.partition("/")
        if name == f"relay-{owner}" if folder == RELAYS else name.startswith(f"provider-{owner}-"):
            return True
    return False
