"""`keystead prepare`: the files that servers in containers need before the first of them starts."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import click

from service.embedded.errors import CannotStart
from service.embedded.local_ca import server_names
from service.embedded.prepare import prepare as make


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--host", "hosts", multiple=True, metavar="NAME", help="A name the servers are reached by; repeatable.")
def prepare(folder: Path, hosts: tuple[str, ...]) -> None:
    """Make a local CA, server certificates and keys below FOLDER, each server's in its own. Safe to run again."""
    os.umask(0o077)
    names = sorted({*server_names("127.0.0.1"), *hosts})
    try:
        renewed = make(folder, names, datetime.now(UTC))
    except CannotStart as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from None
    click.echo(f"new certificates: {', '.join(renewed)}" if renewed else "nothing to do")
