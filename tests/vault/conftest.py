"""A plain HTTP caller, which can ask Vault for anything, and the bundles that it must not get at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import pytest
import requests

from tests.conftest import Instance
from vault.session import Token


@dataclass(frozen=True, slots=True)
class Answer:
    """What Vault answered. `json` is `{}` when it is no JSON object."""

    status: int
    text: str
    json: dict[str, Any]

    @property
    def allowed(self) -> bool:
        return self.status < 300


class Call(Protocol):
    """`call(token, "GET", "kv/data/x", body, wrap_ttl="60s", headers={…})`."""

    def __call__(
        self,
        token: Token | None,
        method: str,
        path: str,
        body: object = None,
        *,
        wrap_ttl: str = "",
        headers: dict[str, str] | None = None,
    ) -> Answer: ...


@pytest.fixture(scope="module")
def call(instance: Instance) -> Iterator[Call]:
    """Vault's API without anything of ours in between."""
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(instance.server.ca_file)

        def send(
            token: Token | None,
            method: str,
            path: str,
            body: object = None,
            *,
            wrap_ttl: str = "",
            headers: dict[str, str] | None = None,
        ) -> Answer:
            sent = {"X-Vault-Request": "true", **(headers or {})}
            if token is not None:
                sent["X-Vault-Token"] = token.reveal()
            if wrap_ttl:
                sent["X-Vault-Wrap-TTL"] = wrap_ttl
            if method == "PATCH":
                sent.setdefault("Content-Type", "application/merge-patch+json")
            response = session.request(
                method,
                f"{instance.server.url}/v1/{path}",
                json=body,
                headers=sent,
                timeout=10,
                allow_redirects=False,
            )
            try:
                parsed = response.json()
            except ValueError:
                parsed = {}
            return Answer(response.status_code, response.text, parsed if isinstance(parsed, dict) else {})

        yield send


EnrolledAs = Callable[[str], Token]


@pytest.fixture(scope="module")
def accessors(instance: Instance, call: Call) -> dict[str, str]:
    """The accessor of each auth mount."""
    mounts = call(instance.root.token, "GET", "sys/auth").json["data"]
    return {path.rstrip("/"): mount["accessor"] for path, mount in mounts.items()}
