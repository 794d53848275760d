"""`keystead enroll`: a consumer's credentials, handed out once."""

from __future__ import annotations

import os
from pathlib import Path

import click

from service.cli.client import Client
from service.cli.output import EXIT_UNREACHABLE, json_option, show_facts, show_json

ttl_option = click.option("--ttl", "ttl_s", type=int, default=3600, show_default=True, help="Seconds until it is void.")
out_option = click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="The file for the wrapping token; mode 0600."
)


@click.group()
def enroll() -> None:
    """Hand out a consumer's credentials, once. The wrapping token goes into a file, never to the terminal."""


@enroll.command("relay")
@click.argument("name")
@ttl_option
@out_option
@json_option
def enroll_relay(name: str, ttl_s: int, out: Path, as_json: bool) -> None:
    """Enrol the relay NAME."""
    _enroll(("relays", name), ttl_s, out, as_json=as_json)


@enroll.command("provider")
@click.argument("name")
@click.argument("cluster")
@ttl_option
@out_option
@json_option
def enroll_cluster(name: str, cluster: str, ttl_s: int, out: Path, as_json: bool) -> None:
    """Enrol CLUSTER of the provider NAME."""
    _enroll(("providers", name, "clusters", cluster), ttl_s, out, as_json=as_json)


def _enroll(consumer: tuple[str, ...], ttl_s: int, out: Path, *, as_json: bool) -> None:
    client = Client()
    try:  # before anything is handed out
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        click.echo(f"Error: {out} cannot be made: {error.strerror}", err=True)
        raise SystemExit(EXIT_UNREACHABLE) from None
    try:
        issued = client.call("POST", *consumer, "enrollment", query={"ttl_s": ttl_s}).json()
    except BaseException:
        os.close(descriptor)
        out.unlink()
        raise
    with os.fdopen(descriptor, "w") as file:
        file.write(issued["wrapping_token"])
    told = {"role_id": issued["role_id"], "expires_at": issued["expires_at"], "wrapping_token_file": str(out)}
    if as_json:
        show_json(told)
    else:
        show_facts([(name.replace("_", " "), value) for name, value in told.items()])
