"""`keystead relay …`: WebSocket relays, through the admin API; `keystead relay serve` is one itself."""

from __future__ import annotations

from typing import Any

import click

from service.cli.client import Client
from service.cli.live import test
from service.cli.output import json_option, show_facts, show_json, show_table
from service.cli.relay_serve import serve

MODES = click.Choice(["tls", "mtls"])


@click.group()
def relay() -> None:
    """WebSocket relays: register, change, remove; or serve one."""


relay.add_command(serve)
relay.add_command(test)


@relay.command("list")
@json_option
def list_(as_json: bool) -> None:
    """List relays."""
    answer = Client().get("relays")
    if as_json:
        show_json(answer)
        return
    show_table(
        ["NAME", "HOST", "PORT", "MODE", "CERTIFICATE", "ENABLED"],
        [
            (one["name"], one["host"], one["port"], one["tls_mode"], one["certificate"] or "", _yes(one["enabled"]))
            for one in answer["items"]
        ],
        "No relays. Register one: keystead relay create NAME --host HOST --port PORT",
    )


@relay.command()
@click.argument("name")
@json_option
def show(name: str, as_json: bool) -> None:
    """Show a relay."""
    _show(Client().get("relays", name), as_json=as_json)


@relay.command()
@click.argument("name")
@click.option("--host", required=True, help="The name or address that clients use.")
@click.option("--port", type=int, default=443, show_default=True)
@click.option("--mode", type=MODES, default="tls", show_default=True, help="mtls asks clients for a certificate.")
@click.option("--certificate", help="The certificate to bind.")
@click.option("--provider", help="The container provider it runs on.")
@click.option("--disabled", is_flag=True)
@click.option("--comment", default="")
@json_option
def create(
    name: str,
    host: str,
    port: int,
    mode: str,
    certificate: str | None,
    provider: str | None,
    disabled: bool,
    comment: str,
    as_json: bool,
) -> None:
    """Register a relay."""
    body = {
        "name": name,
        "host": host,
        "port": port,
        "tls_mode": mode,
        "certificate": certificate,
        "provider": provider,
        "enabled": not disabled,
        "comment": comment,
    }
    _show(Client().call("POST", "relays", body=body).json(), as_json=as_json)


@relay.command()
@click.argument("name")
@click.option("--host")
@click.option("--port", type=int)
@click.option("--mode", type=MODES)
@click.option("--provider")
@click.option("--enabled/--disabled", default=None)
@click.option("--comment")
@json_option
def update(
    name: str,
    host: str | None,
    port: int | None,
    mode: str | None,
    provider: str | None,
    enabled: bool | None,
    comment: str | None,
    as_json: bool,
) -> None:
    """Change a relay."""
    given = {"host": host, "port": port, "tls_mode": mode, "provider": provider, "enabled": enabled, "comment": comment}
    body = {field: value for field, value in given.items() if value is not None}
    _show(Client().call("PATCH", "relays", name, body=body).json(), as_json=as_json)


@relay.command()
@click.argument("name")
@click.confirmation_option(prompt="Remove the relay and every credential of it?")
def delete(name: str) -> None:
    """Remove a relay and every credential of it."""
    Client().call("DELETE", "relays", name)
    click.echo(f"Removed {name}.")


def _show(one: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show_json(one)
        return
    show_facts(
        [
            ("name", one["name"]),
            ("consumer", one["consumer"]),
            ("host", f"{one['host']}:{one['port']}"),
            ("mode", one["tls_mode"]),
            ("certificate", one["certificate"] or "none"),
            ("provider", one["provider"]),
            ("enabled", _yes(one["enabled"])),
            ("comment", one["comment"]),
        ]
    )


def _yes(flag: bool) -> str:
    return "yes" if flag else "no"
