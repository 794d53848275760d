"""`keystead login` and `logout`."""

from __future__ import annotations

import sys

import click

from service.cli.client import Client, forget_token, save_token


@click.command()
@click.option("--username", help="Who; asked for when not given.")
@click.option("--method", default="userpass", show_default=True, help="userpass or ldap.")
def login(username: str | None, method: str) -> None:
    """Sign in to the admin API. The password is asked for, or read from standard input when that is no terminal."""
    username = username or click.prompt("User name", default="admin", err=True)
    if sys.stdin.isatty():
        password = click.prompt("Password", hide_input=True, err=True)
    else:
        password = sys.stdin.readline().rstrip("\r\n")
    client = Client(token="")
    body = {"method": method, "username": username, "password": password}
    session = client.call("POST", "session", body=body).json()
    file = save_token(session["token"])
    click.echo(f"Signed in as {session['who']} ({', '.join(session['roles'])}) until {session['expires_at']}; {file}")


@click.command()
def logout() -> None:
    """Sign out: revokes the token and forgets it."""
    Client().call("DELETE", "session")
    forget_token()
    click.echo("Signed out.")
