"""Writing a relay's or a provider's record together with what its consumers may read, in the order of docs/adr/0002.

1. A consumer that loses or changes its certificate, or goes, may read nothing from here on.
2. The record is written, by compare-and-set.
3. What others did meanwhile is looked at: a certificate that was deleted, a consumer's name that was taken. Then the
   record is put back.
4. What each consumer may read is made equal to the record.

A crash after any of these leaves a consumer that may read less than its record says, never more. The worker's
reconciler finishes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TypeVar

from service.errors import Problem, Refused, Unavailable
from service.index.translation import problem_of, translated
from service.inventory.acting import UNFINISHED, Acting
from service.inventory.consumers import Consumer, cluster, relay, settle, withdraw
from service.inventory.staleness import stale
from service.pki.facts import BundleFacts
from service.records import (
    Provider,
    Relay,
    bundle_path,
    probe_path,
    provider_path,
    refusal,
    relay_path,
    status_path,
)
from vault.documents import Metadata
from vault.errors import Conflict, NotFound, VaultError
from vault.session import Vault

R = TypeVar("R", Relay, Provider)
Bindings = Mapping[Consumer, str | None]
UNDO_TRIES = 5
"""Each time somebody else wrote the same record in the same milliseconds."""


def bindings_of(record: Relay | Provider | None) -> Bindings:
    """Each consumer of a record and the certificate it is bound to."""
    if record is None:
        return {}
    if isinstance(record, Relay):
        return {relay(record.name): record.certificate}
    return {cluster(record.name, one.name): one.certificate for one in record.clusters}


def path_of(record: Relay | Provider) -> str:
    """Where a record is stored."""
    return relay_path(record.name) if isinstance(record, Relay) else provider_path(record.name)


def bindable(acting: Acting, certificate: str) -> BundleFacts:
    """The facts of a certificate that somebody is to be bound to.

    Raises:
        Refused: `binding.unknown-certificate`, `binding.unreadable-certificate`.
    """
    view = acting.index.snapshot().certificates.get(certificate)
    if view is None or view.deleted:
        view = acting.index.refresh().certificates.get(certificate)
    if view is None or view.deleted:
        raise unknown_certificate(certificate, deleted=view is not None)
    if view.facts is None:
        message = f"The certificate {certificate} cannot be read. {view.problem}"
        raise refusal("binding.unreadable-certificate", message, field="certificate")
    return view.facts


def present(acting: Acting, certificate: str | None) -> BundleFacts | None:
    """The facts of the certificate that somebody is bound to; None when to none, or when it cannot be read."""
    view = acting.index.snapshot().certificates.get(certificate) if certificate else None
    return view.facts if view else None


def unknown_certificate(certificate: str, *, deleted: bool) -> Refused:
    """The problem of a binding to nothing."""
    message = f"The certificate {certificate} was deleted." if deleted else f"There is no certificate {certificate}."
    hint = "Restore it, or choose another one." if deleted else "Create it first, or choose another one."
    return refusal("binding.unknown-certificate", message, hint, field="certificate")


def write(
    acting: Acting,
    former: R | None,
    record: R,
    *,
    objection: Callable[[], Problem | None] = lambda: None,
) -> R:
    """Write a record and make its consumers follow. Returns it with its new version.

    Args:
        former: what it replaces, as it is stored; None for a new record.
        objection: what speaks against it once it stands there for everybody to see.

    Raises:
        Stale: somebody else wrote it. InUse: whatever `objection` says. Refused: `binding.unknown-certificate`.
        Unavailable: `change.unfinished`: the record is written; the worker will finish what its consumers may read.
    """
    before, after = bindings_of(former), bindings_of(record)
    changing = [
        one for one in {**before, **after} if (one in before, before.get(one)) != (one in after, after.get(one))
    ]
    with translated():
        for consumer in changing:
            if before.get(consumer):
                withdraw(acting.vault, consumer)
    seen_version = former.version if former else 0
    version, problem = _store(acting, record, seen_version)
    if problem is None:
        record = replace(record, version=version)
        problem = _finish(acting, former, record, changing, objection)
    else:
        _settle_if_possible(acting, changing)
    if problem is not None:
        raise problem
    return record


def remove(acting: Acting, record: Relay | Provider) -> None:
    """Remove a record for ever, and everything its consumers ever got.

    Raises:
        Unavailable: `change.unfinished`: the record is gone, its consumers may read nothing, and the worker will remove
            their credentials.
    """
    consumers = list(bindings_of(record))
    with translated():
        for consumer in consumers:
            withdraw(acting.vault, consumer)
        acting.vault.documents.destroy(path_of(record))
    problem: Problem | None = None
    try:
        for consumer in consumers:
            settle(acting.vault, consumer)
            forget_reports(acting.vault, consumer.name)
    except VaultError as error:
        problem = _unfinished(error.what)
    if problem is not None:
        raise problem


def forget_reports(vault: Vault, consumer: str) -> None:
    """Destroy what was said of a consumer, by itself and by the worker."""
    vault.documents.destroy(status_path(consumer))
    vault.documents.destroy(probe_path(consumer))


def _store(acting: Acting, record: Relay | Provider, seen_version: int) -> tuple[int, Problem | None]:
    try:
        return acting.vault.documents.write(path_of(record), record.to_data(), expect_version=seen_version), None
    except Conflict:
        pass
    except VaultError as error:
        return 0, problem_of(error)
    return 0, stale(acting, path_of(record), seen_version)


def _finish(
    acting: Acting,
    former: R | None,
    record: R,
    changing: Iterable[Consumer],
    objection: Callable[[], Problem | None],
) -> Problem | None:
    """Steps 3 and 4."""
    try:
        problem = _bound_to_deleted(acting, former, record) or objection()
        if problem is not None:
            _put_back(acting, former, record)
        for consumer in changing:
            if consumer not in bindings_of(former):  # what a consumer of that name said in a former life
                forget_reports(acting.vault, consumer.name)
            settle(acting.vault, consumer)
    except VaultError as error:
        return _unfinished(error.what)
    except Problem as trouble:  # whether anything speaks against it could not be seen: nobody is given anything
        return _unfinished(trouble.detail)
    return problem


def _bound_to_deleted(acting: Acting, former: R | None, record: R) -> Problem | None:
    """Whether a certificate was deleted while somebody was being bound to it. Deleting looks for us likewise."""
    before = bindings_of(former)
    fresh = {name for one, name in bindings_of(record).items() if name and before.get(one) != name}
    for name in sorted(fresh):
        try:
            metadata: Metadata | None = acting.vault.documents.metadata(bundle_path(name))
        except NotFound:
            metadata = None
        current = metadata.current if metadata else None
        if current is None or current.destroyed or current.deleted_at is not None:
            return unknown_certificate(name, deleted=current is not None)
    return None


def _put_back(acting: Acting, former: R | None, record: R) -> None:
    """Undo the write of `record`; when others have written since, take back its bindings alone."""
    documents = acting.vault.documents
    path = path_of(record)
    if former is None:
        documents.destroy(path)
        return
    try:
        documents.write(path, former.to_data(), expect_version=record.version)
    except Conflict:
        pass
    else:
        return
    before, ours = bindings_of(former), bindings_of(record)
    taken_back = {one.cluster: before.get(one) for one in ours if ours[one] != before.get(one)}
    for _ in range(UNDO_TRIES):
        try:
            document = documents.read(path)
        except NotFound:
            return
        present = _unbound(type(record).from_data(record.name, document.data, document.version), taken_back, ours)
        try:
            documents.write(path, present.to_data(), expect_version=document.version)
        except Conflict:
            continue
        return


def _unbound(record: R, taken_back: Mapping[str | None, str | None], ours: Bindings) -> R:
    """The record with those of its bindings that are ours as they were before."""
    names = {one.cluster: certificate for one, certificate in ours.items()}
    if isinstance(record, Relay):
        mine = None in taken_back and record.certificate == names[None]
        return replace(record, certificate=taken_back[None]) if mine else record
    clusters = tuple(
        replace(one, certificate=taken_back[one.name])
        if one.name in taken_back and one.certificate == names[one.name]
        else one
        for one in record.clusters
    )
    return replace(record, clusters=clusters)


def _settle_if_possible(acting: Acting, consumers: Iterable[Consumer]) -> None:
    """Give back what was withdrawn for a record that could not be written; else the worker does."""
    try:
        for consumer in consumers:
            settle(acting.vault, consumer)
    except VaultError:
        return


def _unfinished(what: str) -> Unavailable:
    detail = (
        "The change is stored, but Vault did not take the rest of it "
        f"({what}). What consumers may read follows as soon as the worker can reach Vault."
    )
    return Unavailable(detail, code=UNFINISHED)
