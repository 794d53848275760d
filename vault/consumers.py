"""Consumers: who may read which document, as an AppRole and an alias of it.

A consumer `relay-eu` is the role `keystead-relay-eu` on the consumers' mount. What it may read is the `custom_metadata`
of the identity alias of that role (the alias is named by the role's RoleID): the one templated policy of all consumers
refers to it, and Vault evaluates it at each request, for tokens issued before, too (ADR 0005).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from vault.errors import Denied, NotFound, Rejected
from vault.wire import Json, Token, Wire

CERTIFICATE = "certificate"
CONSUMER = "consumer"
BOUND = "bound"
"""Always written: it keeps the metadata non-empty when nothing is bound."""
ABOUT = frozenset({"relay", "provider"})
"""Names of the further documents that a consumer may read, by kind (`relays/…`, `providers/…`)."""
TOKEN_TTL = "20m"  # noqa: S105 - a duration
"""How long a consumer's token lasts before it is renewed; a revoked one is renewed no more."""
ROLE_PARAMETERS: Json = {
    "token_ttl": TOKEN_TTL,
    "token_period": TOKEN_TTL,
    "token_no_default_policy": True,
}
"""What each role carries. The policies of administrator and worker demand exactly these, and allow no others."""
MAX_WRAPPED_FOR_S = 24 * 3600
MIN_WRAPPED_FOR_S = 60
"""The policy's limits for how long a wrapped SecretID waits to be unwrapped."""


@dataclass(frozen=True, slots=True)
class Enrollment:
    """What a new agent gets: with these it takes its SecretID, once, until `expires_at`."""

    wrapping_token: Token
    role_id: str
    expires_at: datetime


class Consumers:
    """The consumers of one instance, as one token sees them. Names are without the instance's prefix: `relay-eu`."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._server = wire.server
        self._accessor = ""

    def ensure(self, name: str) -> None:
        """Make the consumer's role, or put it right. It can read nothing until it is bound."""
        self._wire.call(
            "POST",
            self._role(name),
            f"make the role of {name}",
            body={"token_policies": self._server.prefixed("consumer"), **ROLE_PARAMETERS},
        )

    def bind(self, name: str, certificate: str | None, about: Mapping[str, str] | None = None) -> None:
        """Let the consumer read `bundles/<certificate>` from its next request on, and no other; None: none.

        Args:
            about: the further documents it may read, by kind: `{"relay": "eu"}`; None leaves them as they are.

        Raises:
            NotFound: there is no such consumer; `ensure` it first.
        """
        role_id = self._role_id(name)
        if about is None:
            about = {kind: value for kind, value in self._alias_metadata(role_id).items() if kind in ABOUT}
        elif not about.keys() <= ABOUT:
            raise ValueError(f"a consumer can be told of {sorted(ABOUT)} only")
        binding = {CONSUMER: name, BOUND: "yes" if certificate else "no", **about}
        if certificate:
            binding[CERTIFICATE] = certificate
        if any("*" in value or "+" in value or "/" in value for value in binding.values()):
            raise ValueError("a binding names one document")  # Vault refuses every request of such a consumer
        self._write_alias(role_id, binding, f"bind {name}")
        if not self._has_role_id(name, role_id):  # revoked meanwhile: its tokens must not come back to life
            self._write_alias(role_id, {BOUND: "revoked"}, f"revoke {name}")
            raise NotFound(f"bind {name}", "it was revoked meanwhile")

    def bound_to(self, name: str) -> str | None:
        """The certificate it is bound to; None when to none.

        Raises:
            NotFound: there is no such consumer.
        """
        return self._alias_metadata(self._role_id(name)).get(CERTIFICATE)

    def names(self) -> tuple[str, ...]:
        """Every consumer, sorted."""
        try:
            answer = self._wire.call("LIST", f"auth/{self._server.consumer_mount}/role", "list consumers")
        except NotFound:
            return ()
        return tuple(name for name in map(self._server.unprefixed, sorted(answer["data"]["keys"])) if name is not None)

    def bindings(self) -> Mapping[str, str | None]:
        """Every consumer and the certificate it is bound to.

        Two requests for a token that may list aliases (the worker), else two for each consumer.
        """
        names = self.names()
        try:
            aliases = self._aliases()
        except Denied:
            return {name: self.bound_to(name) for name in names}
        of_name: dict[str, list[str | None]] = {name: [] for name in names}
        for metadata in aliases:
            if metadata.get(CONSUMER) in of_name:
                of_name[metadata[CONSUMER]].append(metadata.get(CERTIFICATE))
        return {  # several: a role was removed by other hands, and its alias stayed; only one is the present role's
            name: found[0] if len(found) == 1 else (self.bound_to(name) if found else None)
            for name, found in of_name.items()
        }

    def enroll(self, name: str, ttl_s: int) -> Enrollment:
        """Make a SecretID that nobody sees but the one who unwraps it, within `ttl_s` seconds.

        Raises:
            NotFound: there is no such consumer.
            Rejected: `ttl_s` is less than a minute or more than a day.
        """
        if not MIN_WRAPPED_FOR_S <= ttl_s <= MAX_WRAPPED_FOR_S:
            reason = f"the time to unwrap must be {MIN_WRAPPED_FOR_S} to {MAX_WRAPPED_FOR_S} seconds"
            raise Rejected(f"enrol {name}", status=400, reason=reason)
        role_id = self._role_id(name)
        answer = self._wire.call("POST", f"{self._role(name)}/secret-id", f"enrol {name}", body={}, wrap_ttl_s=ttl_s)
        wrapped = answer["wrap_info"]
        return Enrollment(
            wrapping_token=Token(wrapped["token"]),
            role_id=role_id,
            expires_at=datetime.now(UTC) + timedelta(seconds=int(wrapped["ttl"])),
        )

    def revoke(self, name: str) -> None:
        """End every credential of the consumer at once.

        Its tokens may do nothing from here on and cannot be renewed; its SecretIDs and its role are gone. After
        `ensure` and `bind` it is a new role with a new RoleID and a new alias: what was revoked stays so.
        Nothing happens when there is no such consumer.
        """
        try:
            role_id = self._role_id(name)
        except NotFound:
            return
        self._write_alias(role_id, {BOUND: "revoked"}, f"revoke {name}")
        self._wire.call("DELETE", self._role(name), f"remove the role of {name}")
        # Somebody may have bound it between the two. Whoever binds after this sees that the role is gone.
        self._write_alias(role_id, {BOUND: "revoked"}, f"revoke {name}")

    def remove(self, name: str) -> None:
        """Revoke it for good."""
        self.revoke(name)

    def _role(self, name: str) -> str:
        return f"auth/{self._server.consumer_mount}/role/{self._server.prefixed(name)}"

    def _role_id(self, name: str) -> str:
        answer = self._wire.call("GET", f"{self._role(name)}/role-id", f"look up {name}")
        return str(answer["data"]["role_id"])

    def _has_role_id(self, name: str, role_id: str) -> bool:
        """Whether the consumer's role still is the one of this RoleID."""
        try:
            return self._role_id(name) == role_id
        except NotFound:
            return False

    def _mount_accessor(self) -> str:
        """The accessor of the consumers' mount: it never changes while the mount exists."""
        if not self._accessor:
            path = f"sys/internal/ui/mounts/auth/{self._server.consumer_mount}"  # `sys/auth/…` would need `sudo`
            answer = self._wire.call("GET", path, "look up the mount of the consumers")
            self._accessor = str(answer["data"]["accessor"])
        return self._accessor

    def _write_alias(self, role_id: str, binding: Mapping[str, str], what: str) -> None:
        self._wire.call(
            "POST",
            "identity/entity-alias",
            what,
            body={"name": role_id, "mount_accessor": self._mount_accessor(), "custom_metadata": dict(binding)},
        )

    def _alias_metadata(self, role_id: str) -> Mapping[str, str]:
        """What the role's alias says; `{}` before it was ever bound or logged in."""
        answer = self._wire.call(
            "POST",
            "identity/lookup/entity",
            "look up a binding",
            body={"alias_name": role_id, "alias_mount_accessor": self._mount_accessor()},
        )
        entity = answer.get("data") or {}
        for alias in entity.get("aliases") or ():
            if alias["name"] == role_id and alias["mount_accessor"] == self._mount_accessor():
                return alias.get("custom_metadata") or {}
        return {}

    def _aliases(self) -> list[Mapping[str, Any]]:
        """The custom_metadata of every alias on the consumers' mount."""
        try:
            answer = self._wire.call("LIST", "identity/entity-alias/id", "list bindings")
        except NotFound:
            return []
        accessor = self._mount_accessor()
        return [
            alias.get("custom_metadata") or {}
            for alias in answer["data"]["key_info"].values()
            if alias["mount_accessor"] == accessor
        ]
