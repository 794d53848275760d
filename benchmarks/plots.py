"""The plots of `docs/plots/`, drawn from `benchmarks/results.json` by `make bench`, or `python -m benchmarks.plots`.

SVG without a script, readable on light and dark pages. One message a plot; the figures stand in `docs/benchmarks.md`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, TypeAlias

Scale: TypeAlias = Callable[[float], float]
RESULTS = Path(__file__).with_name("results.json")
FOLDER = Path(__file__).resolve().parent.parent / "docs" / "plots"
WIDTH, HEIGHT = 720, 360
LEAST = 0.005
"""Seconds: a bar for less could not be seen."""
LEFT, RIGHT, TOP, BOTTOM = 84, 160, 56, 52
STYLE = """
text { font: 13px system-ui, sans-serif; fill: #51606d } .title { font-size: 16px; font-weight: 600; fill: #16202a }
.grid { stroke: #dfe5e9 } .ours { stroke: #0b6b66; fill: #0b6b66 } .peer { stroke: #b35c00; fill: #b35c00 }
.line { fill: none; stroke-width: 2.5 } .dashed { stroke-dasharray: 5 5 }
text.ours, text.peer { stroke: none; font-weight: 600 }
@media (prefers-color-scheme: dark) { text { fill: #9dabb6 } .title { fill: #e3e9ed } .grid { stroke: #33414b }
.ours { stroke: #54c7bb; fill: #54c7bb } .peer { stroke: #eeb255; fill: #eeb255 } }
"""


@dataclass(frozen=True)
class Series:
    """Points from left to right. `dashed`: how many of the last ones are projected."""

    word: str
    kind: str
    points: Sequence[tuple[float, float]]
    dashed: int = 0


def lines(title: str, across: str, up: str, series: Sequence[Series], *, logarithmic: bool) -> str:
    """A plot of lines, with its names at their ends."""
    xs = sorted({x for one in series for x, _ in one.points})
    ys = [y for one in series for _, y in one.points]
    x_of = _scale([xs[0], xs[-1]], LEFT, WIDTH - RIGHT, logarithmic=logarithmic)
    ticks = _powers(min(ys), max(ys)) if logarithmic else _ticks(max(ys) * 1.1)
    y_of = _scale([ticks[0], ticks[-1]], HEIGHT - BOTTOM, TOP, logarithmic=logarithmic)
    parts = []
    for tick in ticks:
        y = round(y_of(tick), 1)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:,.0f}</text>')
    parts += [f'<text x="{x_of(x):.1f}" y="{HEIGHT - BOTTOM + 20}" text-anchor="middle">{x:,.0f}</text>' for x in xs]
    for one in series:
        measured = one.points[: len(one.points) - one.dashed]
        parts.append(_path(measured, x_of, y_of, f"line {one.kind}"))
        if one.dashed:
            parts.append(_path(one.points[len(measured) - 1 :], x_of, y_of, f"line dashed {one.kind}"))
        parts += [f'<circle class="{one.kind}" cx="{x_of(x):.1f}" cy="{y_of(y):.1f}" r="4"/>' for x, y in measured]
        x, y = one.points[-1]
        parts.append(f'<text class="{one.kind}" x="{x_of(x) + 10:.1f}" y="{y_of(y) + 4:.1f}">{escape(one.word)}</text>')
    parts.append(f'<text x="{LEFT}" y="{TOP - 12}">{escape(up)}</text>')
    parts.append(
        f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 10}" text-anchor="middle">{escape(across)}</text>'
    )
    words = "; ".join(f"{one.word}: " + ", ".join(f"{x:,.0f} → {y:,.0f}" for x, y in one.points) for one in series)
    return _drawing(title, words, HEIGHT, parts)


def bars(title: str, rows: Sequence[tuple[str, str, float, str]]) -> str:
    """Bars on a logarithmic scale: word, kind, value, and the value as it is written."""
    row_height, left = 34, 250
    height = TOP + row_height * len(rows) + 16
    rows = [(word, kind, max(value, LEAST), written) for word, kind, value, written in rows]
    values = [value for _, _, value, _ in rows]
    x_of = _scale([min(values) / 3, max(values)], left, WIDTH - 90, logarithmic=True)
    parts = []
    for number, (word, kind, value, written) in enumerate(rows):
        y = TOP + number * row_height
        parts.append(f'<text x="{left - 10}" y="{y + 16}" text-anchor="end">{escape(word)}</text>')
        parts.append(
            f'<rect class="{kind}" x="{left}" y="{y + 3}" width="{x_of(value) - left:.1f}" height="18" rx="3"/>'
        )
        parts.append(f'<text class="{kind}" x="{x_of(value) + 8:.1f}" y="{y + 17}">{escape(written)}</text>')
    return _drawing(title, "; ".join(f"{word}: {written}" for word, _, _, written in rows), height, parts)


def draw(found: dict[str, Any]) -> dict[str, str]:
    """Every plot, by the name of its file."""
    following, waiting = found["following"], found["waiting"]
    ours, peer = following["keystead"], following["bao_agent_1s"]
    projected = following["projected"]

    def idle(rows: Sequence[dict[str, float]], last: float) -> list[tuple[float, float]]:
        points = [(one["processes"], max(1.0, one["vault_requests_per_min"])) for one in rows]
        return [*points, (projected["processes"], last)]

    requests = lines(
        "What waiting for a rotation costs Vault",
        "consumers",
        "Vault requests a minute, idle (the dashed part is projected)",
        [
            Series("bao agent, 1 s", "peer", idle(peer, projected["bao_agent_1s_per_min"]), 1),
            Series("Keystead", "ours", idle(ours, projected["keystead_per_min"]), 1),
        ],
        logarithmic=True,
    )
    rows = [(f"Keystead, {_agents(one)}", "ours", one["last_s"], _seconds(one["last_s"])) for one in ours]
    crowd = waiting["crowd"]
    rows.append((f"Keystead, {crowd['consumers']:,} waiting", "ours", crowd["p100_s"], _seconds(crowd["p100_s"])))
    rows += [(f"bao agent at 1 s, {_agents(one)}", "peer", one["last_s"], _seconds(one["last_s"])) for one in peer]
    default = following["bao_agent_default"]
    rows.append(("bao agent, its default, 1 agent", "peer", default["last_s"], _seconds(default["last_s"])))
    idle_rows = waiting["idle"]
    memory = lines(
        "Memory of the delivery process",
        "consumers that wait",
        "MB",
        [Series("Keystead", "ours", [(one["waiting"], one["memory_mb"]) for one in idle_rows])],
        logarithmic=False,
    )
    flat = lines(
        "Vault's requests with more and more who wait",
        "consumers that wait",
        "requests a second",
        [Series("Keystead", "ours", [(one["waiting"], one["vault_requests_per_s"]) for one in idle_rows])],
        logarithmic=False,
    )
    return {
        "time-to-follow.svg": bars("From the answer to a rotation until the last one has it (logarithmic)", rows),
        "idle-requests.svg": requests,
        "idle-memory.svg": memory,
        "idle-waiters-requests.svg": flat,
    }


def write(found: dict[str, Any]) -> None:
    """Write them."""
    FOLDER.mkdir(exist_ok=True)
    for name, drawing in draw(found).items():
        (FOLDER / name).write_text(drawing, encoding="utf-8")


def _agents(one: dict[str, float]) -> str:
    return "1 agent" if one["processes"] == 1 else f"{one['processes']:,.0f} agents"


def _seconds(value: float) -> str:
    if value < LEAST:
        return "under 5 ms"
    return f"{value:.2f} s" if value < 10 else f"{value:.0f} s"


def _scale(domain: Sequence[float], start: float, end: float, *, logarithmic: bool) -> Scale:
    low, high = (math.log10(one) for one in domain) if logarithmic else domain

    def place(value: float) -> float:
        at = math.log10(value) if logarithmic else value
        return start + (end - start) * ((at - low) / (high - low) if high > low else 0.5)

    return place


def _ticks(high: float) -> list[float]:
    step = 10 ** math.floor(math.log10(high))
    step = step / 2 if high / step < 3 else step
    return [step * number for number in range(math.ceil(high / step) + 1)]


def _powers(low: float, high: float) -> list[float]:
    return [10.0**power for power in range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)]


def _path(points: Sequence[tuple[float, float]], x_of: Scale, y_of: Scale, kind: str) -> str:
    places = " L ".join(f"{x_of(x):.1f} {y_of(y):.1f}" for x, y in points)
    return f'<path class="{kind}" d="M {places}"/>'


def _drawing(title: str, description: str, height: float, parts: Sequence[str]) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="t d">'
        f'<title id="t">{escape(title)}</title><desc id="d">{escape(description)}</desc><style>{STYLE}</style>'
        f'<text class="title" x="16" y="26">{escape(title)}</text>{"".join(parts)}</svg>\n'
    )


if __name__ == "__main__":
    write(json.loads(RESULTS.read_text()))
