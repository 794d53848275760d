"""What is really served, from a terminal: the rollout of a certificate, the test of a relay."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import Any, Final

import click

from service.cli.client import Client
from service.cli.output import EXIT_FINDINGS, json_option, show_facts, show_findings, show_json, show_table

LOOK_AGAIN_S: Final = 0.25
STAGES: Final = ("told", "fetched", "installed", "serving")


@click.command()
@click.argument("name")
@click.option(
    "--wait", "wait_s", type=click.FloatRange(min=0), default=0, help="Wait so many seconds for all to serve."
)
@json_option
def rollout(name: str, wait_s: float, as_json: bool) -> None:
    """How far each consumer of certificate NAME is with its current version. Exit 1 when not all serve it."""
    client, ends = Client(), time.monotonic() + wait_s
    found = client.get("certificates", name, "rollout")
    while found["state"] not in {"in-sync", "unused"} and time.monotonic() < ends:
        time.sleep(LOOK_AGAIN_S)
        found = client.get("certificates", name, "rollout")
    if as_json:
        show_json(found)
    else:
        _show_rollout(found)
    if found["state"] not in {"in-sync", "unused"}:
        sys.exit(EXIT_FINDINGS)


@click.command()
@click.argument("name")
@click.option("--wait", "wait_s", type=click.FloatRange(min=1), default=30, show_default=True, help="For the outcome.")
@json_option
def test(name: str, wait_s: float, as_json: bool) -> None:
    """Look at the live endpoint of relay NAME, and say what is wrong with it. Exit 1 when something is."""
    client = Client()
    job = _outcome(client, client.call("POST", "relays", name, "test").json(), wait_s)
    if as_json:
        show_json(job)
    else:
        show_findings(job["findings"])
        show_facts([(key.replace("_", " "), value) for key, value in job["report"].items()])
    if job["outcome"] != "passed":
        sys.exit(EXIT_FINDINGS)


@click.command()
@click.argument("name")
@click.argument("version", type=click.IntRange(min=1))
@click.option("--accept", multiple=True, metavar="CODE", help="A harmful impact that is accepted; may be repeated.")
@click.option("--wait", "wait_s", type=click.FloatRange(min=1), default=30, show_default=True, help="For the outcome.")
@json_option
def rollback(name: str, version: int, accept: tuple[str, ...], wait_s: float, as_json: bool) -> None:
    """Make VERSION of certificate NAME the newest one again. Exit 1 when that is refused."""
    client = Client()
    body = {"version": version, "accept": list(accept)}
    job = _outcome(client, client.call("POST", "certificates", name, "rollback", body=body).json(), wait_s)
    if as_json:
        show_json(job)
    elif job["outcome"] == "passed":
        click.echo(f"{name} is at version {job['report']['version']}, with the content of version {version}.")
    else:
        show_findings(job["findings"])
    if job["outcome"] != "passed":
        sys.exit(EXIT_FINDINGS)


@click.command()
@click.argument("name")
@click.option("--accept", multiple=True, metavar="CODE", help="A harmful impact that is accepted; may be repeated.")
@click.option("--wait", "wait_s", type=click.FloatRange(min=1), default=30, show_default=True, help="For the outcome.")
@json_option
def activate(name: str, accept: tuple[str, ...], wait_s: float, as_json: bool) -> None:
    """Make current what stands ready for certificate NAME. Exit 1 when that is refused."""
    client = Client()
    body = {"accept": list(accept)}
    job = _outcome(client, client.call("POST", "certificates", name, "activate", body=body).json(), wait_s)
    if as_json:
        show_json(job)
    elif job["outcome"] == "passed":
        click.echo(f"{name} is at version {job['report']['version']}.")
    else:
        show_findings(job["findings"])
    if job["outcome"] != "passed":
        sys.exit(EXIT_FINDINGS)


def _outcome(client: Client, job: dict[str, Any], wait_s: float) -> dict[str, Any]:
    """The job when it is done."""
    ends = time.monotonic() + wait_s
    while job["state"] != "done":
        if time.monotonic() > ends:
            raise click.ClickException(f"no worker has done it within {wait_s:g} s; is the worker running?")
        time.sleep(LOOK_AGAIN_S)
        job = client.get("jobs", job["id"])
    return job


def _show_rollout(found: Mapping[str, Any]) -> None:
    took = f" after {found['took_s']:.2f} s" if found["took_s"] is not None else ""
    count = f"{found['serving']} of {found['wanted']} serving version {found['version']}{took}"
    click.secho(f"{found['certificate']}: {found['state']}, {count}", bold=True)
    rows = [
        (one["consumer"], *(_stage(one[stage]) for stage in STAGES), one["state"], one["reason"])
        for one in found["consumers"]
    ]
    columns = ["CONSUMER", *(stage.upper() for stage in STAGES), "STATE", ""]
    show_table(columns, rows, "Nobody uses it.")


def _stage(step: Mapping[str, Any] | None) -> str:
    if step is None:
        return "-"
    return f"{step['after_s']:.2f} s" if step["after_s"] is not None else f"version {step['version']}"
