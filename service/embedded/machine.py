"""One machine: OpenBao, then the console, the delivery plane and the worker beside it, until it is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from service.embedded import leftovers, openbao
from service.embedded.data_dir import DataDir, open_data_dir, remove_file
from service.embedded.errors import EXIT_UNREACHABLE, EXIT_WRONG_USAGE, CannotStart
from service.embedded.http import Origin, Unanswered
from service.embedded.local_ca import ensure_certificates, server_names
from service.embedded.ports import Addresses, find_addresses
from service.embedded.programs import Programs, openbao_program, service_programs
from service.embedded.setup_state import ensure_local_secrets, setup_due
from service.embedded.supervisor import Child, Program, Say, Supervisor, stop

READY_LIMIT_S = 90.0
DEMO_LIMIT_S = 20.0
SETUP_TRIES = 4
"""A process killed in the middle of setup costs one of them."""
RENEWAL_INTERVAL_S = 12 * 3600.0
_STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@dataclass(frozen=True, slots=True)
class Options:
    """What `keystead up` was asked for. A port 0 takes a free one."""

    data_dir: Path
    host: str
    web_port: int
    delivery_port: int
    vault_port: int
    demo: bool = False


async def run(
    options: Options,
    admin_password: str | None,
    environment: Mapping[str, str],
    say: Say,
    programs: Programs = service_programs,
) -> None:
    """Start everything, say one line that begins with `ready`, and keep it running until SIGTERM, SIGINT or SIGHUP.

    Runs on the main thread. What else there is to tell goes to standard error.

    Args:
        admin_password: of the first administrator, at the first start; None generates one.
        environment: `up`'s own. Of it, a few variables reach the processes.

    Raises:
        CannotStart: with one line for the person. Everything that was started is stopped again.
    """
    os.umask(0o077)
    with closing(open_data_dir(options.data_dir)) as data:
        try:
            await _run_in(data, options, admin_password, environment, say=say, programs=programs)
        except OSError as error:  # a full disk, a file that somebody else owns
            raise CannotStart(f"{error.filename or data.root}: {error.strerror}", exit_code=EXIT_UNREACHABLE) from None


async def _run_in(
    data: DataDir,
    options: Options,
    admin_password: str | None,
    environment: Mapping[str, str],
    *,
    say: Say,
    programs: Programs,
) -> None:
    """`run`, with the directory's lock held."""
    leftovers.end_leftovers(data.identity)
    wanted = {"web": options.web_port, "delivery": options.delivery_port, "vault": options.vault_port}
    addresses = find_addresses(options.host, wanted)
    machine = _Machine(data, addresses, environment, programs)
    work = asyncio.create_task(machine.work(admin_password, say, demo=options.demo))
    told = _cancel_on_signals(work)
    try:
        await work
    except asyncio.CancelledError:
        if not told:
            raise
    finally:
        await machine.stop()


def _cancel_on_signals(work: asyncio.Task[None]) -> list[signal.Signals]:
    """Cancel `work` at the first signal; the list then holds it. A hang-up that is ignored (nohup) stays ignored."""
    told: list[signal.Signals] = []

    def note(number: signal.Signals) -> None:
        told.append(number)
        work.cancel()

    loop = asyncio.get_running_loop()
    for number in _STOP_SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            loop.add_signal_handler(number, note, number)
    return told


class _Machine:
    """The processes of one data directory, whose lock is held."""

    def __init__(self, data: DataDir, addresses: Addresses, environment: Mapping[str, str], programs: Programs) -> None:
        self._data = data
        self._addresses = addresses
        self._environment = environment
        self._supervisor = Supervisor(_tell)
        self._openbao = Child(openbao_program(data, addresses, environment))
        self._others = [Child(program) for program in programs(data, addresses, environment)]
        self._stopping = False

    async def work(self, admin_password: str | None, say: Say, *, demo: bool) -> None:
        """Start, say `ready`, and go on until cancelled."""
        openbao.ensure_storage(self._data)
        self._ensure_certificates()
        ensure_local_secrets(self._data)
        if setup_due(self._data):
            await self._set_up(admin_password)
        self._configure(for_setup=False)
        for child in (self._openbao, *self._others):
            self._supervisor.watch(child)
        await self._supervisor.wait_ready(READY_LIMIT_S)
        if demo:
            await self._show_demo(admin_password)
        say(self._ready_line())
        while True:
            await asyncio.sleep(RENEWAL_INTERVAL_S)
            self._renew_certificates()

    async def stop(self) -> None:
        """Stop the others first, then OpenBao."""
        self._stopping = True
        await self._supervisor.stop()
        await stop(self._others)
        await stop([self._openbao])

    async def _set_up(self, admin_password: str | None) -> None:
        """Run setup, with a fresh OpenBao for each try. Leaves OpenBao running."""
        from service.embedded.machine_setup import set_up  # noqa: PLC0415 - 0.2 s that most starts do without
        from vault.errors import VaultError  # noqa: PLC0415 - likewise
        from vault.session import Server  # noqa: PLC0415 - likewise

        server = Server(self._addresses.url("vault"), ca_file=self._data.ca_file)
        client = openbao.OpenBao(self._data, self._addresses.reach, self._addresses.ports["vault"])
        for attempt in range(1, SETUP_TRIES + 1):
            openbao.ensure_storage(self._data)
            self._configure(for_setup=True)
            self._openbao.start()
            try:
                await asyncio.to_thread(set_up, self._data, client, server, admin_password, self._setup_is_over)
            except (Unanswered, VaultError, CannotStart) as error:
                await stop([self._openbao])
                if isinstance(error, CannotStart) and error.exit_code == EXIT_WRONG_USAGE:
                    raise
                if attempt == SETUP_TRIES:
                    raise CannotStart(f"setup did not finish: {error}", exit_code=EXIT_UNREACHABLE) from None
                _tell(f"setup was interrupted ({error}); trying again")
            else:
                remove_file(self._data.setup_socket)
                return

    async def _show_demo(self, admin_password: str | None) -> None:
        """Seed the demonstration and start its relays. When that fails, the product runs all the same, and says why."""
        from service.embedded.demo import AdminApi, live_relays, seed  # noqa: PLC0415 - most starts show none

        def make() -> list[Program]:
            password = admin_password or self._data.admin_password.read_text("ascii")
            console = Origin(self._addresses.reach, self._addresses.ports["web"], ca_file=self._data.ca_file)
            api = AdminApi(console, password)
            try:
                seed(self._data, api, datetime.now(UTC))
                return live_relays(self._data, api, self._addresses, self._environment)
            finally:
                api.close()

        try:
            relays = [Child(program) for program in await asyncio.to_thread(make)]
            self._others += relays
            for relay in relays:
                self._supervisor.watch(relay)
            await self._supervisor.wait_ready(DEMO_LIMIT_S)
        except (Unanswered, CannotStart, OSError, ValueError) as error:
            _tell(f"the demonstration is not complete: {error}")

    def _setup_is_over(self) -> bool:
        return self._stopping or not self._openbao.running()

    def _configure(self, *, for_setup: bool) -> None:
        openbao.write_configuration(
            self._data,
            listen=self._addresses.listen("vault"),
            reach=self._addresses.local("vault"),
            for_setup=for_setup,
        )

    def _ensure_certificates(self) -> tuple[str, ...]:
        return ensure_certificates(self._data, server_names(self._addresses.host), datetime.now(UTC))

    def _renew_certificates(self) -> None:
        renewed = self._ensure_certificates()
        for child in (self._openbao, *self._others):
            if {"openbao": "vault"}.get(child.program.name, child.program.name) in renewed:
                self._supervisor.renew(child)

    def _ready_line(self) -> str:
        addresses = self._addresses
        return (
            f"ready  console {addresses.url('web')}  delivery {addresses.url('delivery')}"
            f"  vault {addresses.url('vault')}  CA {self._data.ca_file}"
        )


def _tell(line: str) -> None:
    print(f"keystead: {line}", file=sys.stderr, flush=True)  # noqa: T201 - the terminal is where `up` runs
