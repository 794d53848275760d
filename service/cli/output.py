"""What commands print: tables and findings for people, JSON with `--json`; and the exit codes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

EXIT_FINDINGS: Final = 1
"""Findings that are errors, or a change that was refused."""
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
_COLOURS: Final = {"error": "red", "warning": "yellow", "info": "cyan"}
_FIELDS: Final = {"private_key": "KEY", "certificate": "CERT", "ca": "CA"}

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
"""On every command that prints something for people."""


def show_json(value: object) -> None:
    """One JSON document, ASCII: nothing in it can steer a terminal."""
    click.echo(json.dumps(value, indent=2))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A table as wide as its content; `empty` when there are no rows."""
    if not rows:
        click.echo(empty)
        return
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(row[at]) for row in [list(columns), *texts]) for at in range(len(columns))]
    click.secho("  ".join(name.ljust(width) for name, width in zip(columns, widths, strict=True)).rstrip(), bold=True)
    for row in texts:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def show_findings(findings: Sequence[Mapping[str, Any]]) -> None:
    """One finding a paragraph: severity, field and place, what, what to do."""
    for one in findings:
        severity = str(one["severity"])
        place = _FIELDS.get(str(one.get("field")), str(one.get("field") or ""))
        if one.get("position"):
            place = f"{place} {one['position']}"
        head = click.style(severity.ljust(7), fg=_COLOURS.get(severity), bold=True)
        click.echo(f"{head}  {one['code']}{f'  ({place})' if place else ''}")
        click.echo(f"         {one['message']}")
        if one.get("hint"):
            click.echo(f"         {one['hint']}")


def show_facts(pairs: Sequence[tuple[str, object]]) -> None:
    """Names and values, aligned; empty values are left out."""
    shown = [(name, value) for name, value in pairs if value not in (None, "", [])]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        click.echo(f"{name.ljust(width)}  {value}")
