"""`keystead agent`: the consumer side. Ends with 0 fine, 1 refused, 2 wrong usage, 3 something could not be reached."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import IO

import click

from service.agent import loop
from service.agent.config import read_config
from service.agent.direct import DirectVault
from service.agent.enrollment import MAX_WRAPPING_TOKEN_BYTES, enroll, read_wrapping_token
from service.agent.errors import AgentError, WrongUsage
from service.agent.round import Outcome, Round
from service.agent.session import ConsumerSession
from service.agent.source import Delivery
from service.agent.state import State

_CONFIG = click.Path(path_type=Path, dir_okay=False)
_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.group(invoke_without_command=True)
@click.option("--config", "config_file", type=_CONFIG, help="The agent's TOML file (docs/agent.md).")
@click.option("--once", is_flag=True, help="One round, then end with its exit code.")
@click.option("--json", "as_json", is_flag=True, help="Print outcomes as JSON, one a line.")
@click.pass_context
def agent(context: click.Context, config_file: Path | None, once: bool, as_json: bool) -> None:
    """Fetch this consumer's bundle, check it, install it, and follow its rotation."""
    context.obj = config_file
    if context.invoked_subcommand is not None:
        return
    with ending_with_its_exit_code(as_json=as_json):
        if config_file is None:
            raise WrongUsage("--config FILE is missing", code="config.missing")
        config = read_config(config_file)
        state = State(config.state_dir)
        session = ConsumerSession(Delivery(config.url, config.ca_file), state)
        direct = DirectVault(config.vault, state) if config.vault else None
        one_round = Round(session, state, config.targets, wait_s=0 if once else config.wait_s, direct=direct)
        if once:
            _tell(one_round.run(_now()), as_json=as_json)
            return
        stop = Event()

        def end(*_: object) -> None:
            stop.set()
            session.interrupt()

        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, end)
        loop.run(
            one_round,
            stop,
            interval_s=config.interval_s,
            clock=_now,
            tell=lambda event: _tell(event, as_json=as_json),
        )


@agent.command("enroll")
@click.option("--url", help="The delivery plane, https://host:8444. Default: from --config.")
@click.option("--ca", "ca_file", type=_CONFIG, help="CA of the delivery plane (PEM). Default: from --config.")
@click.option("--state-dir", type=_FOLDER, help="Where the credentials are kept. Default: from --config.")
@click.option("--role-id", required=True, help="As `keystead enroll` printed it.")
@click.option(
    "--wrapping-token-file",
    type=click.File("rb"),
    required=True,
    help="The file with the wrapping token; - for standard input. Never an argument: those are seen by everybody.",
)
@click.option("--replace", is_flag=True, help="Replace the credentials that are there.")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as JSON.")
@click.pass_obj
def enroll_command(
    config_file: Path | None,
    url: str | None,
    ca_file: Path | None,
    state_dir: Path | None,
    role_id: str,
    wrapping_token_file: IO[bytes],
    replace: bool,
    as_json: bool,
) -> None:
    """Spend a wrapping token, once, and keep the credentials it holds."""
    with ending_with_its_exit_code(as_json=as_json):
        if config_file is not None:
            config = read_config(config_file)
            url, ca_file, state_dir = url or config.url, ca_file or config.ca_file, state_dir or config.state_dir
        if url is None or state_dir is None:
            raise WrongUsage("--url and --state-dir are needed, or --config FILE", code="config.missing")
        delivery, state = Delivery(url, ca_file), State(state_dir)
        token = read_wrapping_token(wrapping_token_file.read(MAX_WRAPPING_TOKEN_BYTES + 1))
        consumer = enroll(delivery, state, role_id=role_id, wrapping_token=token, replace=replace)
        if as_json:
            click.echo(json.dumps({"consumer": consumer, "state_dir": str(state_dir)}))
        else:
            click.echo(f"enrolled as {consumer}; credentials are in {state_dir}")


@contextmanager
def ending_with_its_exit_code(*, as_json: bool) -> Iterator[None]:
    """Turn an agent's error into one line and its exit code."""
    try:
        yield
    except AgentError as error:
        _tell(error, as_json=as_json)
        sys.exit(error.exit_code)


def _tell(event: Outcome | AgentError, *, as_json: bool) -> None:
    if isinstance(event, AgentError):
        if as_json:
            click.echo(json.dumps({"error": {"code": event.code, "message": str(event)}}))
        else:
            click.echo(f"Error: {event}", err=True)
        return
    if as_json:
        value = {
            "consumer": event.consumer,
            "certificate_name": event.certificate_name,
            "version": event.version,
            "fingerprint_sha256": event.fingerprint_sha256,
            "changed": event.changed,
            "findings": [finding.as_json() for finding in event.findings],
            "report_failed": event.report_failed,
        }
        click.echo(json.dumps(value))
        return
    verb = "installed" if event.changed else "up to date:"
    click.echo(f"{event.consumer}: {verb} {event.certificate_name} version {event.version}")
    for finding in event.findings:
        click.echo(f"  {finding.severity} {finding.code}: {finding.message}", err=True)
    if event.report_failed:
        click.echo(f"  not reported: {event.report_failed}", err=True)


def _now() -> datetime:
    return datetime.now(UTC)
