"""`keystead provider …`: container providers and their clusters, through the admin API."""

from __future__ import annotations

from typing import Any

import click

from service.cli.client import Client
from service.cli.output import json_option, show_facts, show_json, show_table

KINDS = click.Choice(["swarm", "kubernetes"])
VISIBILITIES = click.Choice(["public", "private"])
MODES = click.Choice(["none", "active-passive", "active-active"])


@click.group()
def provider() -> None:
    """Container providers: register, enable, remove; and their clusters."""


@provider.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List container providers."""
    answer = Client().get("providers")
    if as_json:
        show_json(answer)
        return
    show_table(
        ["NAME", "KIND", "VISIBILITY", "CLUSTERS", "ENABLED"],
        [
            (one["name"], one["kind"], one["visibility"], len(one["clusters"]), "yes" if one["enabled"] else "no")
            for one in answer["items"]
        ],
        "No container providers. Register one: keystead provider create NAME --kind swarm",
    )


@provider.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a container provider."""
    _show(Client().get("providers", name), as_json=as_json)


@provider.command()
@click.argument("name")
@click.option("--kind", type=KINDS, required=True)
@click.option("--visibility", type=VISIBILITIES, default="private", show_default=True)
@click.option("--multi-cluster", type=MODES, default="none", show_default=True)
@click.option("--comment", default="")
@json_option
def create(name: str, kind: str, visibility: str, multi_cluster: str, comment: str, as_json: bool) -> None:
    """Register a container provider; it is disabled until it is enabled."""
    body = {
        "name": name,
        "kind": kind,
        "visibility": visibility,
        "multi_cluster": multi_cluster,
        "comment": comment,
    }
    _show(Client().call("POST", "providers", body=body).json(), as_json=as_json)


@provider.command()
@click.argument("name")
@click.option("--visibility", type=VISIBILITIES)
@click.option("--multi-cluster", type=MODES)
@click.option("--enabled/--disabled", default=None)
@click.option("--comment")
@json_option
def update(
    name: str,
    visibility: str | None,
    multi_cluster: str | None,
    enabled: bool | None,
    comment: str | None,
    as_json: bool,
) -> None:
    """Change a container provider."""
    given = {"visibility": visibility, "multi_cluster": multi_cluster, "enabled": enabled, "comment": comment}
    body = {field: value for field, value in given.items() if value is not None}
    _show(Client().call("PATCH", "providers", name, body=body).json(), as_json=as_json)


@provider.command()
@click.argument("name")
@click.confirmation_option(prompt="Remove the provider, its clusters and every credential of them?")
def delete(name: str) -> None:
    """Remove a container provider with its clusters."""
    Client().call("DELETE", "providers", name)
    click.echo(f"Removed {name}.")


@provider.command("add-cluster")
@click.argument("name")
@click.argument("cluster")
@click.option("--url", required=True, help="https://… or tcp://…")
@click.option("--server-name", help="The name in the cluster's certificate (SNI), when it is not the URL's.")
@click.option("--cert-auth", is_flag=True, help="Authenticate with a client certificate.")
@click.option("--certificate", help="The certificate to bind.")
@json_option
def add_cluster(
    name: str,
    cluster: str,
    url: str,
    server_name: str | None,
    cert_auth: bool,
    certificate: str | None,
    as_json: bool,
) -> None:
    """Add a cluster."""
    body = {
        "name": cluster,
        "url": url,
        "server_name": server_name,
        "cert_auth": cert_auth,
        "certificate": certificate,
    }
    _show(Client().call("POST", "providers", name, "clusters", body=body).json(), as_json=as_json)


@provider.command("remove-cluster")
@click.argument("name")
@click.argument("cluster")
@click.confirmation_option(prompt="Remove the cluster and every credential of it?")
def remove_cluster(name: str, cluster: str) -> None:
    """Remove a cluster."""
    Client().call("DELETE", "providers", name, "clusters", cluster)
    click.echo(f"Removed {name}/{cluster}.")


def _show(one: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(one)
        return
    show_facts(
        [
            ("name", one["name"]),
            ("kind", one["kind"]),
            ("visibility", one["visibility"]),
            ("multi-cluster", one["multi_cluster"]),
            ("enabled", "yes" if one["enabled"] else "no"),
            ("comment", one["comment"]),
        ]
    )
    show_table(
        ["CLUSTER", "URL", "CONSUMER", "CERTIFICATE"],
        [(each["name"], each["url"], each["consumer"], each["certificate"] or "") for each in one["clusters"]],
        "No clusters.",
    )
