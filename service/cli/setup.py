"""`keystead setup`: mounts, policies and roles in a Vault or OpenBao that you bring."""

from __future__ import annotations

import json
import os
from pathlib import Path

import click

from service.embedded.errors import EXIT_WRONG_USAGE, CannotStart
from service.embedded.own_vault import Report, Request, set_up_own
from service.settings import SettingsError, read_secret_file

EXIT_DIFFERENT = 1


@click.command()
@click.option("--check", is_flag=True, help="Only say what differs; exit 1 when something does.")
@click.option(
    "--credentials",
    type=click.Path(path_type=Path),
    help="Write web.json, delivery.json and worker.json to this folder; files that are there stay.",
)
@click.option(
    "--initialize",
    type=click.Path(path_type=Path, file_okay=False),
    help="Also initialise a new server, and unseal one that does not unseal itself; its keys are kept in this folder.",
)
@click.option(
    "--userpass-mount", default="userpass", show_default=True, help='Where people sign in by password; "" for nowhere.'
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def setup(check: bool, credentials: Path | None, initialize: Path | None, userpass_mount: str, as_json: bool) -> None:
    """Set up the Vault or OpenBao that VAULT_ADDR, VAULT_TOKEN and VAULT_CACERT name. Safe to run again.

    With KEYSTEAD_ADMIN_PASSWORD, or KEYSTEAD_ADMIN_PASSWORD_FILE, it also makes the user "admin", unless there is one.
    """
    if check and initialize:
        raise click.UsageError("--check changes nothing, and --initialize does: name one of them.")
    try:
        request = Request(userpass_mount or None, credentials, _admin_password(), check, initialize)
        report = set_up_own(os.environ, request)
    except (CannotStart, SettingsError) as error:
        click.echo(f"Error: {error}", err=True)
        raise SystemExit(error.exit_code if isinstance(error, CannotStart) else EXIT_WRONG_USAGE) from None
    click.echo(json.dumps(_as_json(report, check=check)) if as_json else _as_text(report, check=check))
    if check and report.differences:
        raise SystemExit(EXIT_DIFFERENT)


def _admin_password() -> str | None:
    file = os.environ.get("KEYSTEAD_ADMIN_PASSWORD_FILE")
    return read_secret_file(Path(file)) if file else os.environ.get("KEYSTEAD_ADMIN_PASSWORD") or None


def _as_json(report: Report, *, check: bool) -> dict[str, object]:
    return {
        "checked_only": check,
        "differences": [{"subject": each.subject, "action": each.action} for each in report.differences],
        "credentials": [str(file) for file in report.credentials],
        "admin_made": report.admin_made,
    }


def _as_text(report: Report, *, check: bool) -> str:
    will = "would " if check else ""
    lines = [f"{will}{each.action} {each.subject}" for each in report.differences]
    lines += [f"wrote {file}" for file in report.credentials]
    if report.admin_made:
        lines.append('made the user "admin"')
    return "\n".join(lines or ["nothing to do"])
