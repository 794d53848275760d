"""`keystead web`, `delivery` and `worker`: one process each, configured by `KEYSTEAD_*` environment variables alone."""

from __future__ import annotations

import os
from collections.abc import Callable

import click

from service.settings import Settings, SettingsError, read_settings

EXIT_WRONG_USAGE = 2


def _serve(default_port: int, serve: Callable[[Settings], None]) -> None:
    try:
        serve(read_settings(os.environ, default_port=default_port))
    except SettingsError as error:
        for problem in error.problems:
            click.echo(f"Error: {problem}", err=True)
        raise SystemExit(EXIT_WRONG_USAGE) from None


@click.command()
def web() -> None:
    """Serve the console and the admin API."""
    from service.app import serve_web  # noqa: PLC0415 - each process loads what it runs, and nothing else

    _serve(8443, serve_web)


@click.command()
def delivery() -> None:
    """Serve the delivery plane, where consumers fetch their bundles."""
    from service.app import serve_delivery  # noqa: PLC0415 - likewise

    _serve(8444, serve_delivery)


@click.command()
def worker() -> None:
    """Make Vault's identities equal to the bindings, and carry out jobs. Listens on nothing."""
    from service.app import serve_worker  # noqa: PLC0415 - likewise

    _serve(0, serve_worker)
