"""What a change does, consumer by consumer, as the rotate page and the binding panel show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from service.inventory.impact import Impact
from service.pki.finding import Finding
from service.web.pages import consumers, frame


@dataclass(frozen=True, slots=True)
class ImpactLine:
    """One consequence. A harmful one carries the key that accepts it."""

    key: str
    finding: Finding
    harmful: bool


@dataclass(frozen=True, slots=True)
class ImpactGroup:
    """What happens to one consumer, the harmful first."""

    consumer: str
    title: str
    href: str
    lines: tuple[ImpactLine, ...]

    @property
    def harmful(self) -> bool:
        """Whether something here has to be accepted."""
        return any(line.harmful for line in self.lines)


def impact_groups(impacts: Sequence[Impact]) -> list[ImpactGroup]:
    """The impacts by consumer, those with harm first."""
    snapshot = frame.snapshot()
    lines: dict[str, list[ImpactLine]] = {}
    for one in impacts:
        told = Finding(one.code, one.severity, _sentence(one), one.hint)
        lines.setdefault(one.consumer, []).append(ImpactLine(one.acceptance, told, one.harmful))
    groups = []
    for consumer, found in lines.items():
        named = consumers.named(snapshot, consumer)
        groups.append(ImpactGroup(consumer, named.title, named.href, tuple(found)))
    return sorted(groups, key=lambda group: (not group.harmful, group.title))


def _sentence(one: Impact) -> str:
    text = one.message.removeprefix(f"{one.consumer}: ")
    first_word = text.partition(" ")[0]
    return text[:1].upper() + text[1:] if first_word.isalpha() and first_word.islower() else text
