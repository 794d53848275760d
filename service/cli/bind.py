"""`keystead bind` and `keystead unbind`."""

from __future__ import annotations

import click

from service.cli.client import Client

accept_option = click.option("--accept", multiple=True, metavar="CODE", help="A finding that is accepted.")


@click.group()
def bind() -> None:
    """Bind a consumer to a certificate: it reads that bundle from its next request on."""


@click.group()
def unbind() -> None:
    """Unbind a consumer: it reads no bundle from its next request on."""


@bind.command("relay")
@click.argument("name")
@click.argument("certificate")
@accept_option
def bind_relay(name: str, certificate: str, accept: tuple[str, ...]) -> None:
    """Bind the relay NAME to CERTIFICATE."""
    _bind(("relays", name), certificate, accept)
    click.echo(f"Relay {name} uses {certificate}.")


@bind.command("provider")
@click.argument("name")
@click.argument("cluster")
@click.argument("certificate")
@accept_option
def bind_cluster(name: str, cluster: str, certificate: str, accept: tuple[str, ...]) -> None:
    """Bind CLUSTER of the provider NAME to CERTIFICATE."""
    _bind(("providers", name, "clusters", cluster), certificate, accept)
    click.echo(f"Cluster {name}/{cluster} uses {certificate}.")


@unbind.command("relay")
@click.argument("name")
def unbind_relay(name: str) -> None:
    """Unbind the relay NAME."""
    _bind(("relays", name), None, ())
    click.echo(f"Relay {name} uses no certificate.")


@unbind.command("provider")
@click.argument("name")
@click.argument("cluster")
def unbind_cluster(name: str, cluster: str) -> None:
    """Unbind CLUSTER of the provider NAME."""
    _bind(("providers", name, "clusters", cluster), None, ())
    click.echo(f"Cluster {name}/{cluster} uses no certificate.")


def _bind(consumer: tuple[str, ...], certificate: str | None, accept: tuple[str, ...]) -> None:
    Client().call("PUT", *consumer, "certificate", body={"certificate": certificate, "accept": list(accept)})
