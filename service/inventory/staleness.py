"""Two people at once: what the second one is told."""

from __future__ import annotations

from service.errors import Problem, Stale
from service.index import Snapshot
from service.inventory.acting import Acting
from service.records import BUNDLES, PROVIDERS, RELAYS


def stale(acting: Acting, path: str, seen_version: int) -> Stale:
    """The problem that a record is no longer at the version a person saw: what it is at now, by whom, since when."""
    folder, _, name = path.partition("/")
    try:
        snapshot: Snapshot | None = acting.index.refresh((path,))
    except Problem:
        snapshot = None
    current, said = _now(snapshot, folder, name) if snapshot else (0, ())
    if current == 0:
        detail = f"{name} was changed or removed by somebody else meanwhile. Nothing was changed."
    else:
        detail = f"{name} is at version {current}; you saw version {seen_version}. Nothing was changed; look again."
    return Stale(detail, conflicts=said)


def check_version(acting: Acting, path: str, *, expected: int | None, current: int) -> None:
    """Hold a record against the version a person saw; None: as it is.

    Raises:
        Stale.
    """
    if expected is not None and expected != current:
        raise stale(acting, path, expected)


def _now(snapshot: Snapshot, folder: str, name: str) -> tuple[int, tuple[str, ...]]:
    """The version of a record, and what the journal says of its last change."""
    version = 0
    by = ""
    match folder:
        case "bundles" if name in snapshot.certificates:
            view = snapshot.certificates[name]
            version, by = view.version, view.changed_by
        case "relays" if name in snapshot.relays:
            version = snapshot.relays[name].version
        case "providers" if name in snapshot.providers:
            version = snapshot.providers[name].version
        case _:
            pass
    kinds = {BUNDLES: ("certificate",), RELAYS: ("relay", "binding"), PROVIDERS: ("provider", "binding")}[folder]
    names = {name, f"relay-{name}"} if folder == RELAYS else {name}
    for change in reversed(snapshot.changes):
        of_cluster = folder == PROVIDERS and change.kind == "binding" and change.name.startswith(f"provider-{name}-")
        if change.kind in kinds and (change.name in names or of_cluster):
            return version, (f"{change.action} by {change.by} at {change.at:%Y-%m-%d %H:%M:%S} UTC",)
    return version, (f"version {version} by {by}",) if by else ()
