"""`keystead ready URL`: whether a process answers, for health checks in containers that have no curl."""

from __future__ import annotations

import ssl
import urllib.error
import urllib.request

import click

from service.cli.output import EXIT_UNREACHABLE

LIMIT_S = 4.0


@click.command()
@click.argument("url")
@click.option("--ca", type=click.Path(exists=True, dir_okay=False), help="The CA to trust.")
def ready(url: str, ca: str | None) -> None:
    """Exit 0 when URL (https://…/readyz) answers 200, else 3."""
    if not url.startswith("https://"):
        raise click.UsageError("Name an https address.")
    handlers = (
        urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=ca)),
        urllib.request.ProxyHandler({}),
    )
    try:
        with urllib.request.build_opener(*handlers).open(url, timeout=LIMIT_S) as answer:
            status = int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            status = error.code
    except OSError:
        status = 0
    if status != 200:
        click.echo(f"Error: {url} answered {status}" if status else f"Error: {url} cannot be reached", err=True)
        raise SystemExit(EXIT_UNREACHABLE)
