"""The rollout of a certificate: who is told, has fetched, has installed, and is seen serving its current version."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from flask import render_template
from flask.typing import ResponseReturnValue

from service.inventory.rollout import Progress, Rollout
from service.records import Step
from service.web import filters, identity
from service.web.pages import consumers, frame
from service.web.pages.blueprint import pages
from service.web.pages.certificate import profile, viewed
from service.web.pages.standing import Standing, of_progress

SHOWN: Final = 200
"""Rows: the stragglers first. Of thousands that serve it, nobody reads each."""
FAST_MS: Final = 700
"""Between two looks while the rollout is in progress, then less often."""
SLOW_MS: Final = 10_000
NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Cell:
    """One stage of one consumer: how long after the beginning, or which earlier version it is at."""

    word: str = ""
    at: datetime | None = None
    done: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One consumer."""

    title: str
    href: str
    consumer: str
    standing: Standing
    stages: tuple[Cell, ...]
    reason: str
    hint: str
    sessions: str


@dataclass(frozen=True, slots=True)
class Stage:
    """One of the four stages: how many of those that are wanted have come so far."""

    word: str
    done: int
    of: int

    @property
    def share(self) -> int:
        """In percent."""
        return 100 * self.done // self.of if self.of else 0


STAGES: Final = ("Told", "Fetched", "Installed", "Serving")


@pages.get("/certificates/<name>/rollout")
@identity.required
def certificate_rollout(name: str) -> ResponseReturnValue:
    """The whole page; for a script that asks again, the part that changes."""
    view = viewed(name)
    rollout = frame.inventory().certificates.rollout(name)
    shown = {
        "rollout": rollout,
        "sentence": sentence(rollout, frame.now()),
        "stages": _stages(rollout),
        "rows": [_row(one, rollout) for one in rollout.consumers[:SHOWN]],
        "left_out": max(0, len(rollout.consumers) - SHOWN),
        "sessions_before": sum(one.sessions_before or 0 for one in rollout.consumers),
        "again_ms": FAST_MS if rollout.state in {"in-progress", "canary"} else SLOW_MS,
        "stage_words": STAGES,
    }
    if frame.by_htmx():
        return render_template("certificates/_rollout.html", view=view, **shown)
    return profile("certificates/rollout.html", "rollout", view, **shown)


def sentence(rollout: Rollout, now: datetime) -> str:
    """How the rollout stands, in one sentence."""
    of = len(rollout.wanted)
    count = f"{rollout.serving} of {of} serving version {rollout.version}"
    if rollout.canary is not None and rollout.state == "canary":
        first = next((one.title for one in rollout.consumers if one.consumer == rollout.canary.consumer), "")
        held = filters.plural(sum(one.state == "held" for one in rollout.consumers), "other stays", "others stay")
        base = rollout.canary.base
        return f"{first} tries version {rollout.version} first. {held} at version {base} until it is seen serving."
    if rollout.state == "unused":
        return "No enabled consumer uses this certificate."
    if rollout.took_s is not None:
        return f"{count} after {duration(rollout.took_s)}."
    if rollout.state == "in-progress":
        began = max(one.begins_at for one in rollout.wanted)
        return f"{count}, {duration(max(0.0, (now - began).total_seconds()))} so far."
    names = [one.title for one in rollout.stragglers]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    verb = "does" if len(names) == 1 else "do"
    return f"{count}. {', '.join(names[:NAMED])}{more} {verb} not."


def duration(seconds: float) -> str:
    """`0.41 s`, `12 s`, `3 minutes`."""
    if seconds < 10:
        return f"{seconds:.2f} s"
    return f"{seconds:.0f} s" if seconds < 120 else filters.span(seconds)


def _stages(rollout: Rollout) -> list[Stage]:
    def done(step: Step | None) -> bool:
        return step is not None and step.version == rollout.version

    of = rollout.wanted
    counts = (
        sum(done(one.told) for one in of),
        sum(done(one.fetched) for one in of),
        sum(done(one.installed) for one in of),
        rollout.serving,
    )
    return [Stage(word, count, len(of)) for word, count in zip(STAGES, counts, strict=True)]


def _row(one: Progress, rollout: Rollout) -> Row:
    named = consumers.named(frame.snapshot(), one.consumer)
    cells = tuple(_cell(one, step, rollout.version) for step in (one.told, one.fetched, one.installed, one.serving))
    sessions = ""
    if one.sessions is not None:
        sessions = filters.plural(one.sessions, "session")
        if one.sessions_before:
            sessions += f", {one.sessions_before} of an earlier version"
    standing = of_progress(one, rollout.version)
    return Row(one.title, named.href, one.consumer, standing, cells, one.reason, one.hint, sessions)


def _cell(one: Progress, step: Step | None, version: int) -> Cell:
    if step is None:
        return Cell()
    after_s = one.after_s(step, version)
    if after_s is None:
        return Cell(f"version {step.version}", step.at)
    return Cell(duration(after_s), step.at, done=True)
