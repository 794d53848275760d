"""Wiring: the only place that chooses implementations. One function a process; each serves until told to stop."""

from __future__ import annotations

import base64
import hashlib
import logging
import sys
import threading
from datetime import UTC, datetime

from flask import Flask

from service.index import Bell, Index
from service.inventory import Inventory
from service.inventory.people import People, Session
from service.settings import PREFIX, Settings, SettingsError, read_secret_file
from vault.service_session import ServiceSession
from vault.session import Server, Token, Vault

MIN_SESSION_KEY_CHARACTERS = 32
WEB_FOLLOWS_EVERY_S = 1.0
"""How soon pages show what another replica changed; what this one changed they show at once."""
DELIVERY_FOLLOWS_EVERY_S = 0.25
"""How soon consumers are told of a change: one small read of Vault each time, whatever their number."""


def serve_web(settings: Settings) -> None:
    """The console and the admin API.

    Raises:
        SettingsError: a file that is needed is missing or not what it should be.
    """
    from service.web.serve import serve  # noqa: PLC0415 - each process loads what it runs, and nothing else

    settings.credentials()  # told here, not in the worker process
    _cookie_keys(settings)
    _log_to_stderr()
    serve(
        lambda: build_web(settings),
        host=settings.host,
        port=settings.port,
        cert=settings.tls_cert_file,
        key=settings.tls_key_file,
    )


def build_web(settings: Settings) -> Flask:
    """The Flask application, with its index following Vault in a thread."""
    from service.web.app import create_app  # noqa: PLC0415 - as above
    from service.web.ports import Ports  # noqa: PLC0415 - as above

    server = _server(settings)
    index = follow(settings, server, "web", WEB_FOLLOWS_EVERY_S)

    def inventory_for(session: Session) -> Inventory:
        return Inventory(Vault(server, session.token), index, session.who, now)

    return create_app(
        Ports(
            index=index,
            people=People(server, now),
            inventory_for=inventory_for,
            clock=now,
            instance_name=settings.instance_name,
            delivery_url=settings.delivery_url,
            vault_url=settings.vault_url,
            cookie_keys=_cookie_keys(settings),
            trusted_hosts=settings.trusted_hosts,
            proxies=settings.proxies,
            metrics_token=read_secret_file(settings.metrics_token_file) if settings.metrics_token_file else "",
        )
    )


def serve_delivery(settings: Settings) -> None:
    """The delivery plane.

    Raises:
        SettingsError: a file that is needed is missing or not what it should be.
    """
    from service.delivery.app import create_app  # noqa: PLC0415 - as above
    from service.delivery.serve import serve  # noqa: PLC0415 - as above
    from vault.aio import AsyncVault  # noqa: PLC0415 - as above

    _log_to_stderr()
    server = _server(settings)
    index = follow(settings, server, "delivery", DELIVERY_FOLLOWS_EVERY_S, reports=False)
    app = create_app(lambda: AsyncVault(server), index, now)
    serve(app, settings.host, settings.port, settings.tls_cert_file, settings.tls_key_file)


def serve_worker(settings: Settings) -> None:
    """The worker: no port, no page.

    Raises:
        SettingsError: a file that is needed is missing or not what it should be.
    """
    from service.worker.activation import Schedule  # noqa: PLC0415 - as above
    from service.worker.canary import CanaryKeeper  # noqa: PLC0415 - as above
    from service.worker.jobs import JobRunner  # noqa: PLC0415 - as above
    from service.worker.loop import run  # noqa: PLC0415 - as above
    from service.worker.probing import Prober  # noqa: PLC0415 - as above
    from vault.aio import AsyncVault  # noqa: PLC0415 - as above

    _log_to_stderr()
    server = _server(settings)
    session = service_session(settings, server)
    index = follow(settings, server, "worker", DELIVERY_FOLLOWS_EVERY_S, reports=False)
    prober = Prober(index, session.vault, lambda: AsyncVault(server), session.forget, clock=now)
    jobs = JobRunner(index, session.vault, session.forget, now)
    canaries = CanaryKeeper(index, session.vault, session.forget, prober, now)
    schedule = Schedule(index, session.vault, session.forget, now)
    run(session.vault, session.forget, now, beside=(prober.run, jobs.run, canaries.run, schedule.run))


def follow(settings: Settings, server: Server, name: str, interval_s: float, *, reports: bool = True) -> Index:
    """The index, kept true by a thread of its own, with the process's own role."""
    session = service_session(settings, server)
    bell = Bell(settings.run_dir) if settings.run_dir else None
    index = Index(
        session.vault, now, forget=session.forget, announce=bell.ring if bell else lambda: None, reports=reports
    )
    if bell:
        bell.listen(index.nudge, name)
    work = {"stop": threading.Event(), "interval_s": interval_s}
    threading.Thread(target=index.run, kwargs=work, name="index", daemon=True).start()
    return index


def service_session(settings: Settings, server: Server) -> ServiceSession:
    """The process's own sign-in.

    Raises:
        SettingsError: its credentials cannot be read.
    """
    credentials = settings.credentials()
    return ServiceSession(server, credentials.role_id, Token(credentials.reveal_secret_id()), clock=now)


def now() -> datetime:
    """Aware UTC now: the one clock that everything is given."""
    return datetime.now(UTC)


def _server(settings: Settings) -> Server:
    return Server(url=settings.vault_url, ca_file=settings.vault_ca_file, namespace=settings.vault_namespace)


def _cookie_keys(settings: Settings) -> tuple[bytes, ...]:
    """Fernet keys from the lines of the session key file: the first encrypts, the others still decrypt."""
    if settings.session_key_file is None:
        raise SettingsError((f"{PREFIX}SESSION_KEY_FILE is not set: the file with the key of the console's cookies",))
    lines = [line.strip() for line in read_secret_file(settings.session_key_file).splitlines() if line.strip()]
    if not lines or any(len(line) < MIN_SESSION_KEY_CHARACTERS for line in lines):
        message = (
            f"{settings.session_key_file} must hold a random text of {MIN_SESSION_KEY_CHARACTERS} characters or more"
        )
        raise SettingsError((message,))
    return tuple(base64.urlsafe_b64encode(hashlib.sha256(line.encode()).digest()) for line in lines)


def _log_to_stderr() -> None:
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("urllib3").setLevel(logging.WARNING)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
