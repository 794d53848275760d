"""Consumers as Vault obeys them: making what a consumer may read equal to what its record says.

The record (`relays/<name>`, or a cluster in `providers/<name>`) is what people decided; the binding in Vault's identity
is what Vault obeys. Access is taken away before the record says so, and given only after the record says so; `settle`
makes the two equal after each change, whoever else is changing it at that moment (docs/adr/0002).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from service.records import Provider, Relay, cluster_consumer, provider_path, relay_consumer, relay_path
from vault.errors import NotFound
from vault.session import Vault

TRIES: Final = 8
"""Each round costs some 20 ms; somebody would have to change the same binding in every one of them."""


class Record(enum.Enum):
    """What there is to say of a consumer without naming a certificate."""

    GONE = "gone"
    """There is no such relay or cluster: nobody may be this consumer."""
    UNREADABLE = "unreadable"
    """The record was written by hand and cannot be understood. What Vault obeys stays as it is."""


Wanted = str | None | Record
"""The certificate a consumer's record names, or none."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """A relay, or one cluster of a provider: who it is, and where its record stands. `cluster` is None for a relay."""

    name: str
    path: str
    owner: str
    cluster: str | None = None

    @property
    def about(self) -> Mapping[str, str]:
        """The further documents that it may read."""
        return {"relay": self.owner} if self.cluster is None else {"provider": self.owner}

    def wanted(self, vault: Vault) -> Wanted:
        """What its record says at this moment."""
        try:
            document = vault.documents.read(self.path)
        except NotFound:
            return Record.GONE
        try:
            if self.cluster is None:
                return Relay.from_data(self.owner, document.data, document.version).certificate
            cluster = Provider.from_data(self.owner, document.data, document.version).cluster(self.cluster)
        except ValueError:
            return Record.UNREADABLE
        return Record.GONE if cluster is None else cluster.certificate


def relay(name: str) -> Consumer:
    """The consumer that a relay is."""
    return Consumer(relay_consumer(name), relay_path(name), name)


def cluster(provider: str, name: str) -> Consumer:
    """The consumer that a provider's cluster is."""
    return Consumer(cluster_consumer(provider, name), provider_path(provider), provider, name)


def withdraw(vault: Vault, consumer: Consumer) -> None:
    """Let it read nothing, from its next request on."""
    try:
        vault.consumers.bind(consumer.name, None, consumer.about)
    except NotFound:  # it never had credentials
        return


def settle(vault: Vault, consumer: Consumer) -> Wanted:
    """Make what it may read equal to its record, and return what that is.

    The record is read again after the write. So whoever writes the binding last has seen the newest record after it,
    and two people (or the worker) who settle at once end with what the record says.
    """
    wanted = consumer.wanted(vault)
    for _ in range(TRIES):
        if wanted is Record.GONE:
            vault.consumers.revoke(consumer.name)
        elif not isinstance(wanted, Record):
            _bind(vault, consumer, wanted)
        still = consumer.wanted(vault)
        if still == wanted:
            break
        wanted = still
    return wanted


def _bind(vault: Vault, consumer: Consumer, certificate: str | None) -> None:
    try:
        vault.consumers.bind(consumer.name, certificate, consumer.about)
    except NotFound:
        vault.consumers.ensure(consumer.name)
        vault.consumers.bind(consumer.name, certificate, consumer.about)
