"""`keystead up`: one machine."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import click

from service.embedded.errors import CannotStart
from service.embedded.machine import Options, run

DEFAULT_DATA_DIR = Path("~/.local/share/keystead")


@click.command()
@click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    default=DEFAULT_DATA_DIR,
    show_default=True,
    help="Everything is kept here, for its owner alone.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on; 0.0.0.0 for all.")
@click.option("--web-port", type=click.IntRange(0, 65535), default=8443, show_default=True, help="0 takes a free one.")
@click.option("--delivery-port", type=click.IntRange(0, 65535), default=8444, show_default=True)
@click.option("--vault-port", type=click.IntRange(0, 65535), default=8200, show_default=True)
@click.option("--demo", is_flag=True, help="With certificates, relays and a container provider to look at.")
def up(*, data_dir: Path, host: str, web_port: int, delivery_port: int, vault_port: int, demo: bool) -> None:
    """Run everything on this machine: OpenBao, the console, the delivery plane and the worker.

    The first start makes the user "admin", with the password in KEYSTEAD_ADMIN_PASSWORD or else a new one in
    DATA_DIR/admin-password. Prints one line that begins with "ready" when everything answers. Ctrl-C stops all of it.
    """
    options = Options(data_dir, host, web_port, delivery_port, vault_port, demo)
    password = os.environ.get("KEYSTEAD_ADMIN_PASSWORD") or None
    try:
        asyncio.run(run(options, password, os.environ, click.echo))
    except CannotStart as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code) from None
