"""The console over a real OpenBao, asked through Flask's test client as over TLS."""

from __future__ import annotations

import re
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from cryptography.fernet import Fernet
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from werkzeug.exceptions import HTTPException
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import TestResponse

from service.index import Index
from service.inventory import Inventory
from service.inventory.people import People
from service.web.api import openapi_document
from service.web.app import create_app
from service.web.ports import Ports
from tests.conftest import Instance
from tests.material import issue, root
from vault.service_session import ServiceSession
from vault.session import Token, Vault

BASE = "https://console.example.com"


class Clock:
    """The present, or later."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self.ahead


@dataclass
class Api:
    """The admin API with one person's token."""

    client: FlaskClient
    token: str

    def __call__(self, method: str, path: str, body: object = None, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            named["X-Vault-Token"] = self.token
        given: dict[str, Any] = {"json": body} if body is not None else {}
        answer = self.client.open(f"/api/v1{path}", method=method, base_url=BASE, headers=named, **given)
        hold_to_description(self.client.application, method, path, answer)
        return answer


def hold_to_description(app: Flask, method: str, path: str, answer: TestResponse) -> None:
    """Every answer that any test gets is one that `openapi.json` describes."""
    try:
        rule, _ = app.url_map.bind("x").match(f"/api/v1{urlsplit(path).path}", method=method, return_rule=True)
    except HTTPException:
        return  # no such call
    described = openapi_document()["paths"].get(re.sub(r"<(\w+)>", r"{\1}", rule.rule.removeprefix("/api/v1")))
    if described is None:
        return  # openapi.json itself
    responses = described[method.lower()]["responses"]
    assert str(answer.status_code) in responses, f"{method} {path}: {answer.status_code} is not described"
    content = responses[str(answer.status_code)].get("content")
    if content is None:
        assert answer.data == b""
        return
    ((media, schema),) = content.items()
    assert answer.mimetype == media
    _validator(schema["schema"]["$ref"]).validate(answer.get_json())


@cache
def _validator(ref: str) -> Draft202012Validator:
    components = openapi_document()["components"]
    checker = Draft202012Validator.FORMAT_CHECKER
    return Draft202012Validator({"$ref": ref, "components": components}, format_checker=checker)


@dataclass
class Console:
    """One console: its application, its people's tokens, its clock."""

    app: Flask
    instance: Instance
    index: Index
    clock: Clock

    def browser(self) -> FlaskClient:
        """A client with a cookie jar of its own."""
        return self.app.test_client()

    def api(self, token: str | None = None) -> Api:
        """The API, as the administrator unless told."""
        return Api(self.app.test_client(), self.instance.admin.token.reveal() if token is None else token)


def make_console(instance: Instance) -> Console:
    """A console over an instance."""
    clock = Clock()
    role_id, secret_id = instance.service_credentials["index"]
    session = ServiceSession(instance.server, role_id, Token(secret_id))
    index = Index(session.vault, clock, forget=session.forget)
    index.rescan()
    app = create_app(
        Ports(
            index=index,
            people=People(instance.server, clock, mounts={"userpass": instance.userpass_mount}),
            inventory_for=lambda person: Inventory(Vault(instance.server, person.token), index, person.who, clock),
            clock=clock,
            instance_name="Test instance",
            delivery_url="https://delivery.example.com:8444",
            cookie_keys=(Fernet.generate_key(),),
            trusted_hosts=("console.example.com", "127.0.0.1"),
            metrics_token="metrics-canary",
        )
    )
    return Console(app, instance, index, clock)


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's own name
        """Say nothing."""


@contextmanager
def served(console: Console, host: str, folder: Path) -> Iterator[int]:
    """A console on a port of this machine, over TLS with a certificate for a host; `folder/ca.pem` is its authority."""
    now = datetime.now(UTC)
    authority = root(now=now)
    leaf = issue(host, issuer=authority, hosts=[host], now=now)
    for name, content in (("ca.pem", authority.pem), ("cert.pem", leaf.pem), ("key.pem", leaf.key_pem)):
        (folder / name).write_text(content)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")
    server = make_server("127.0.0.1", 0, console.app, threaded=True, ssl_context=context, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.port
    finally:
        server.shutdown()
        thread.join(10)
        server.server_close()


@pytest.fixture(scope="module")
def console(instance: Instance) -> Console:
    """The console of this module."""
    return make_console(instance)


@pytest.fixture
def api(console: Console) -> Api:
    """The API as the administrator."""
    return console.api()
