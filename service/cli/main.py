"""`keystead`: the commands, each loaded when it is called, so that none waits for the others' imports."""

from __future__ import annotations

from importlib import import_module
from typing import Final

import click

COMMANDS: Final = {
    "up": ("service.cli.up", "up", "Run everything on this machine."),
    "web": ("service.cli.processes", "web", "Serve the console and the admin API."),
    "delivery": ("service.cli.processes", "delivery", "Serve the delivery plane."),
    "worker": ("service.cli.processes", "worker", "Keep Vault's identities equal to the bindings."),
    "setup": ("service.cli.setup", "setup", "Set up a Vault or OpenBao that you bring."),
    "prepare": ("service.cli.prepare", "prepare", "Make the local CA, server certificates and keys for containers."),
    "ready": ("service.cli.ready", "ready", "Whether a process answers; for health checks."),
    "check": ("service.cli.check", "check", "Check a key, a certificate and a CA; no server needed."),
    "login": ("service.cli.login", "login", "Sign in to the admin API."),
    "logout": ("service.cli.login", "logout", "Sign out."),
    "cert": ("service.cli.cert", "cert", "Certificates."),
    "relay": ("service.cli.relay", "relay", "WebSocket relays."),
    "provider": ("service.cli.provider", "provider", "Container providers."),
    "bind": ("service.cli.bind", "bind", "Bind a relay or a cluster to a certificate."),
    "unbind": ("service.cli.bind", "unbind", "Unbind a relay or a cluster."),
    "enroll": ("service.cli.enroll", "enroll", "Hand out a consumer's credentials, once."),
    "agent": ("service.cli.agent", "agent", "Fetch, check and install a consumer's bundle."),
}
"""Name → module, command, one line of help."""


class LazyGroup(click.Group):
    """Knows the names, and imports a command when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = COMMANDS.get(cmd_name)
        if found is None:
            return None
        command = getattr(import_module(found[0]), found[1])
        assert isinstance(command, click.Command)  # noqa: S101 - COMMANDS is ours
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list of commands, without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, about) for name, (_, _, about) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="keystead")
def main() -> None:
    """Every private key and certificate of a platform in one place, in Vault or OpenBao."""
