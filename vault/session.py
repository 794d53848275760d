"""Everything that one token may do: `Vault`. Cheap to make; connections are shared by all of one server."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from vault.consumers import Consumers
from vault.documents import Documents, time_of
from vault.journal import Journal
from vault.wire import BeforeRequest, Json, Server, Token, Wire

__all__ = ["Health", "Server", "SignedIn", "Token", "Vault", "health", "signed_in_of_auth", "signed_in_of_lookup"]


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who a token belongs to.

    Attributes:
        expires_at: None when it never does (a root token).
        policies: all of them, those of the identity included.
        display_name: as in the audit log, `userpass-ada`; empty when Vault did not tell (right after an AppRole login).
        entity_name: the name of the AppRole it logged in with, without the instance's prefix: for a consumer's token
            the consumer (`relay-eu`), for a service's the service (`index`); None for people.
    """

    token: Token
    expires_at: datetime | None
    policies: tuple[str, ...]
    display_name: str
    entity_id: str
    entity_name: str | None
    accessor: str
    renewable: bool


@dataclass(frozen=True, slots=True)
class Health:
    """How a server is. `version` is empty when it does not tell."""

    initialized: bool
    sealed: bool
    standby: bool
    version: str
    product: Literal["openbao", "vault"]


class Vault:
    """What one token may do on one server.

    Args:
        before_request: called with method and path before each request; for tests of what a crash there leaves.
    """

    def __init__(self, server: Server, token: Token, *, before_request: BeforeRequest | None = None) -> None:
        self.server = server
        self.token = token
        self.wire = Wire(server, token, before_request)
        self.documents = Documents(self.wire)
        self.consumers = Consumers(self.wire)
        self.journal = Journal(self.documents)

    def __repr__(self) -> str:
        return f"Vault({self.server.url})"

    def lookup_self(self) -> SignedIn:
        """Who this token is.

        Raises:
            Denied: it is no longer valid.
        """
        answer = self.wire.call("GET", "auth/token/lookup-self", "look up the own token")
        return signed_in_of_lookup(self.server, self.token, answer["data"])

    def renew_self(self) -> SignedIn:
        """Make the token last longer, as far as it may."""
        answer = self.wire.call("POST", "auth/token/renew-self", "renew the own token", body={})
        return signed_in_of_auth(self.server, answer["auth"])

    def revoke_self(self) -> None:
        """End this token."""
        self.wire.call("POST", "auth/token/revoke-self", "revoke the own token", body={})


def health(server: Server) -> Health:
    """How the server is; answered sealed or not.

    Raises:
        Unreachable: no answer.
    """
    codes: dict[str, str | int] = {
        "standbycode": 200,
        "sealedcode": 200,
        "uninitcode": 200,
        "perfstandbyok": "true",
        "drsecondarycode": 200,
    }
    answer = Wire(replace(server, namespace=""), None).call("GET", "sys/health", "ask for health", params=codes)
    return Health(
        initialized=bool(answer.get("initialized")),
        sealed=bool(answer.get("sealed", True)),
        standby=bool(answer.get("standby")),
        version=str(answer.get("version", "")),
        product="vault" if "performance_standby" in answer else "openbao",  # OpenBao dropped the field
    )


def signed_in_of_auth(server: Server, auth: Json) -> SignedIn:
    """Who signed in, from the `auth` of a login's answer. Vault tells no display name there."""
    lease_s = int(auth["lease_duration"])
    return SignedIn(
        token=Token(auth["client_token"]),
        expires_at=datetime.now(UTC) + timedelta(seconds=lease_s) if lease_s else None,
        policies=tuple(auth.get("policies") or ()),
        display_name="",
        entity_id=auth.get("entity_id") or "",
        entity_name=_role(server, auth.get("metadata")),
        accessor=auth.get("accessor") or "",
        renewable=bool(auth.get("renewable")),
    )


def signed_in_of_lookup(server: Server, token: Token, data: Json) -> SignedIn:
    """Who a token is, from the `data` of its lookup."""
    expires = data.get("expire_time")
    return SignedIn(
        token=token,
        expires_at=time_of(expires).astimezone(UTC) if expires else None,
        policies=(*(data.get("policies") or ()), *(data.get("identity_policies") or ())),
        display_name=data.get("display_name") or "",
        entity_id=data.get("entity_id") or "",
        entity_name=_role(server, data.get("meta")),
        accessor=data.get("accessor") or "",
        renewable=bool(data.get("renewable")),
    )


def _role(server: Server, metadata: Json | None) -> str | None:
    """AppRole writes the role's name into the token's metadata; no user of ours can."""
    return server.unprefixed(str((metadata or {}).get("role_name", "")))
