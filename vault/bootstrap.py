"""Setting up Keystead in a Vault: mounts, policies, roles. Safe to run again; `plan` only says what differs.

Everything here needs a token that may do so (root, or the operator's own), which no process of Keystead keeps.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vault.errors import NotFound, Rejected, VaultError
from vault.policy import POLICIES, policy_text
from vault.session import Vault

ServiceRole = Literal["index", "worker"]
PersonRole = Literal["admin", "auditor"]

SERVICE_ROLES: tuple[ServiceRole, ...] = ("index", "worker")
MAX_VERSIONS = 20
"""How many versions of a document are kept; Vault's own default is 10."""
MOUNT_CONFIG: Mapping[str, Any] = {"cas_required": True, "max_versions": MAX_VERSIONS}
SERVICE_ROLE_PARAMETERS: Mapping[str, Any] = {
    "token_no_default_policy": True,
    "token_ttl": 3600,
    "token_period": 3600,
}
PERSON_PARAMETERS: Mapping[str, Any] = {
    "token_no_default_policy": True,
    "token_ttl": "1h",
    "token_max_ttl": "12h",
}
"""A console session is renewed while it is used, for twelve hours at most."""
_NEW_MOUNT_LIMIT_S = 20.0
"""A new KV v2 mount prepares itself for a moment and refuses requests meanwhile."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as it should be: what, and what setup does about it."""

    subject: str
    action: Literal["create", "change"]


@dataclass(frozen=True, slots=True)
class _Step:
    """One thing that setup looks after. `apply` makes it so whether it is missing or different."""

    difference: Difference
    method: str
    path: str
    body: Mapping[str, Any]


def plan(vault: Vault, *, userpass_mount: str | None = "userpass") -> tuple[Difference, ...]:
    """What `apply` would do now. Changes nothing.

    Args:
        userpass_mount: where people sign in with a password; None when they sign in otherwise (LDAP, OIDC).
    """
    mounts = _missing_mounts(vault, userpass_mount)
    steps = [*mounts, *_settings(vault, userpass_mount, missing={step.path for step in mounts})]
    return tuple(step.difference for step in steps)


def apply(vault: Vault, *, userpass_mount: str | None = "userpass") -> tuple[Difference, ...]:
    """Create what is missing, put right what differs, and return what was done; `()` when all was well.

    Raises:
        Denied: the token may not. VaultError: what was done so far stays; run it again.
    """
    mounts = _missing_mounts(vault, userpass_mount)
    for step in mounts:
        _carry_out(vault, step)
    steps = _settings(vault, userpass_mount, missing=set())
    for step in steps:
        _carry_out(vault, step)
    return tuple(step.difference for step in [*mounts, *steps])


def ensure_admin(vault: Vault, username: str, password: str, *, userpass_mount: str = "userpass") -> bool:
    """Make an administrator who signs in with a password. One that exists is left alone; False then."""
    return _ensure_person(vault, username, password, "admin", userpass_mount)


def ensure_auditor(vault: Vault, username: str, password: str, *, userpass_mount: str = "userpass") -> bool:
    """Make an auditor who signs in with a password. One that exists is left alone; False then."""
    return _ensure_person(vault, username, password, "auditor", userpass_mount)


def issue_service_credentials(vault: Vault, role: ServiceRole) -> tuple[str, str]:
    """A new RoleID and SecretID for one of Keystead's processes. Those issued before stay valid."""
    path = f"auth/{vault.server.service_mount}/role/{vault.server.prefixed(role)}"
    role_id = vault.wire.call("GET", f"{path}/role-id", f"look up the role of {role}")["data"]["role_id"]
    answer = vault.wire.call("POST", f"{path}/secret-id", f"issue credentials for {role}", body={})
    return str(role_id), str(answer["data"]["secret_id"])


def _missing_mounts(vault: Vault, userpass_mount: str | None) -> list[_Step]:
    server = vault.server
    steps: list[_Step] = []
    secrets_engines = _data(vault, "sys/mounts", "list mounts")
    auth_methods = _data(vault, "sys/auth", "list auth mounts")
    found = secrets_engines.get(f"{server.mount}/")
    if found is None:
        body = {"type": "kv", "options": {"version": "2"}, "description": "Keystead: bundles and bindings"}
        steps.append(_create(f"mount {server.mount}/ (KV v2)", f"sys/mounts/{server.mount}", body))
    elif found["type"] != "kv" or (found.get("options") or {}).get("version") != "2":
        raise _taken(f"{server.mount}/", "KV v2")
    wanted = [(server.consumer_mount, "approle"), (server.service_mount, "approle")]
    if userpass_mount:
        wanted.append((userpass_mount, "userpass"))
    for mount, kind in wanted:
        found = auth_methods.get(f"{mount}/")
        if found is None:
            steps.append(_create(f"mount auth/{mount}/ ({kind})", f"sys/auth/{mount}", {"type": kind}))
        elif found["type"] != kind:
            raise _taken(f"auth/{mount}/", kind)
    return steps


def _settings(vault: Vault, userpass_mount: str | None, *, missing: set[str]) -> list[_Step]:
    """What differs in the mounts' settings, the policies and the roles; `missing` mounts are only named."""
    server = vault.server
    steps: list[_Step] = []
    config: Mapping[str, Any] = {}
    if f"sys/mounts/{server.mount}" not in missing:
        config = _kv_config(vault)
    if any(config.get(name) != value for name, value in MOUNT_CONFIG.items()):
        steps.append(_change(f"settings of {server.mount}/", f"{server.mount}/config", MOUNT_CONFIG))
    auth_methods = _data(vault, "sys/auth", "list auth mounts")
    if userpass_mount:
        tuned = (auth_methods.get(f"{userpass_mount}/") or {}).get("config") or {}
        if tuned.get("listing_visibility") != "unauth":
            body = {"listing_visibility": "unauth"}
            steps.append(_change(f"settings of auth/{userpass_mount}/", f"sys/auth/{userpass_mount}/tune", body))
    accessor = (auth_methods.get(f"{server.consumer_mount}/") or {}).get("accessor")
    for name in POLICIES:
        full_name = server.prefixed(name)
        text = policy_text(name, server, accessor) if accessor else None
        present = _policy(vault, full_name)
        if text is None or present != text:
            action: Literal["create", "change"] = "create" if present is None else "change"
            difference = Difference(f"policy {full_name}", action)
            steps.append(_Step(difference, "PUT", f"sys/policies/acl/{full_name}", {"policy": text}))
    for role in SERVICE_ROLES:
        full_name = server.prefixed(role)
        path = f"auth/{server.service_mount}/role/{full_name}"
        role_body = {"token_policies": [full_name], **SERVICE_ROLE_PARAMETERS}
        present_role = None if f"sys/auth/{server.service_mount}" in missing else _optional(vault, path)
        subject = f"role {full_name} on auth/{server.service_mount}/"
        if present_role is None:
            steps.append(_create(subject, path, role_body))
        elif any(present_role.get(name) != value for name, value in role_body.items()):
            steps.append(_change(subject, path, role_body))
    return steps


def _ensure_person(vault: Vault, username: str, password: str, role: PersonRole, userpass_mount: str) -> bool:
    path = f"auth/{userpass_mount}/users/{username}"
    if _optional(vault, path) is not None:
        return False
    body = {"password": password, "token_policies": [vault.server.prefixed(role)], **PERSON_PARAMETERS}
    vault.wire.call("POST", path, f"make the user {username}", body=body)
    return True


def _carry_out(vault: Vault, step: _Step) -> None:
    vault.wire.call(step.method, step.path, f"set up {step.difference.subject}", body=step.body)


def _kv_config(vault: Vault) -> Mapping[str, Any]:
    deadline = time.monotonic() + _NEW_MOUNT_LIMIT_S
    while True:
        try:
            return _data(vault, f"{vault.server.mount}/config", "read the mount's settings")
        except Rejected:
            if time.monotonic() > deadline:
                raise
        time.sleep(0.1)


def _policy(vault: Vault, name: str) -> str | None:
    found = _optional(vault, f"sys/policies/acl/{name}")
    return None if found is None else str(found["policy"])


def _optional(vault: Vault, path: str) -> Mapping[str, Any] | None:
    try:
        return _data(vault, path, f"read {path}")
    except NotFound:
        return None


def _data(vault: Vault, path: str, what: str) -> Mapping[str, Any]:
    data: Mapping[str, Any] = vault.wire.call("GET", path, what)["data"]
    return data


def _create(subject: str, path: str, body: Mapping[str, Any]) -> _Step:
    return _Step(Difference(subject, "create"), "POST", path, body)


def _change(subject: str, path: str, body: Mapping[str, Any]) -> _Step:
    return _Step(Difference(subject, "change"), "POST", path, body)


def _taken(path: str, kind: str) -> VaultError:
    return VaultError("set up", f"{path} exists and is not {kind}; name another mount")
