"""`keystead relay serve`: the reference relay. Ends with 0 when stopped, 1 refused, 2 wrong usage, 3 no address."""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

import click

from service.agent.errors import AgentError, Unreached, WrongUsage
from service.agent.session import ConsumerSession
from service.agent.source import Delivery
from service.agent.state import State
from service.relay.serve import Relay
from service.relay.tls import Serving


@click.command()
@click.option("--url", required=True, help="The delivery plane, https://host:8444.")
@click.option(
    "--ca", "ca_file", type=click.Path(path_type=Path, dir_okay=False), help="CA of the delivery plane (PEM)."
)
@click.option(
    "--state-dir",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Where `keystead agent enroll` put this relay's credentials.",
)
@click.option("--listen", default="127.0.0.1:9443", show_default=True, help="host:port; port 0 takes a free one.")
@click.option(
    "--drain-after",
    "drain_after_s",
    type=click.FloatRange(min=0),
    help="End sessions of a former version this many seconds after a rotation. Default: they go on.",
)
@click.option("--json", "as_json", is_flag=True, help="Print what is served as JSON, one a line.")
def serve(
    url: str, ca_file: Path | None, state_dir: Path, listen: str, drain_after_s: float | None, as_json: bool
) -> None:
    """Pair WebSocket peers by path, over TLS or mTLS with this relay's bundle, and follow its rotation."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        host, port = _address(listen)
        lines = [ConsumerSession(Delivery(url, ca_file), State(state_dir)) for _ in ("fetch", "report")]
        asyncio.run(_run(lines, host, port, drain_after_s=drain_after_s, as_json=as_json))
    except AgentError as error:
        click.echo(f"Error: {error}", err=True)
        sys.exit(error.exit_code)


async def _run(
    lines: Sequence[ConsumerSession], host: str, port: int, *, drain_after_s: float | None, as_json: bool
) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    def tell(consumer: str, serving: Serving) -> None:
        if as_json:
            value = {
                "consumer": consumer,
                "address": f"{host}:{relay.port}",
                "certificate_name": serving.certificate_name,
                "version": serving.version,
                "fingerprint_sha256": serving.fingerprint_sha256,
                "tls_mode": serving.tls_mode,
            }
            click.echo(json.dumps(value))
            return
        what = f"{serving.certificate_name} version {serving.version} ({serving.tls_mode})"
        click.echo(f"{consumer} serves {what} at {host}:{relay.port}")

    relay = Relay(
        lines[0], lines[1], host, port, clock=lambda: datetime.now(UTC), tell=tell, drain_after_s=drain_after_s
    )
    try:
        await relay.run(stop)
    except OSError as error:
        raise Unreached(f"{host}:{port} cannot be listened on: {error.strerror}", code="listen.failed") from None


def _address(listen: str) -> tuple[str, int]:
    parts = urlsplit(f"//{listen}")
    try:
        port = parts.port
    except ValueError:
        port = None
    if not parts.hostname or port is None:
        raise WrongUsage(f"--listen {listen!r} must look like 127.0.0.1:9443", code="listen.address")
    return parts.hostname, port
