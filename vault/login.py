"""How people and processes get a token. Every function here is called without one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from vault.errors import AlreadyUsed, Denied, MfaMethod, MfaRequired, Rejected, SignInRefused, VaultError
from vault.session import Server, SignedIn, Token, Vault, signed_in_of_auth
from vault.wire import Json, Wire

MethodKind = Literal["userpass", "ldap", "oidc"]
_KINDS: dict[str, MethodKind] = {"userpass": "userpass", "ldap": "ldap", "oidc": "oidc", "jwt": "oidc"}


@dataclass(frozen=True, slots=True)
class Method:
    """One way for people to sign in, at `auth/<mount>`."""

    kind: MethodKind
    mount: str


def methods(server: Server) -> tuple[Method, ...]:
    """The ways to sign in that Vault shows to everybody (`listing_visibility = "unauth"`), by mount.

    Raises:
        Unreachable, Sealed.
    """
    answer = Wire(server, None).call("GET", "sys/internal/ui/mounts", "list the ways to sign in")
    mounts: Json = (answer.get("data") or {}).get("auth") or {}
    return tuple(
        Method(kind=_KINDS[mount["type"]], mount=path.strip("/"))
        for path, mount in sorted(mounts.items())
        if mount["type"] in _KINDS
    )


def sign_in(server: Server, *, method: str, mount: str, username: str, password: str) -> SignedIn:
    """Sign a person in with a password.

    Args:
        method: `userpass` or `ldap`; OIDC needs a browser and is not done here.

    Raises:
        SignInRefused: wrong, or locked out. MfaRequired: `finish_mfa` comes next. Unreachable, Sealed.
    """
    if method not in {"userpass", "ldap"}:
        raise ValueError(f"{method!r} does not sign in with a password")
    if not username or "/" in username or username in {".", ".."}:
        raise SignInRefused("sign in", "Vault does not know this name and password")
    auth = _login(server, f"auth/{mount}/login/{username}", {"password": password}, "sign in")
    requirement = auth.get("mfa_requirement")
    if requirement:
        raise MfaRequired(
            str(requirement["mfa_request_id"]),
            tuple(
                MfaMethod(id=choice["id"], type=choice["type"], uses_passcode=bool(choice.get("uses_passcode")))
                for constraint in requirement["mfa_constraints"].values()
                for choice in constraint["any"]
            ),
        )
    return _complete(server, auth)


def finish_mfa(server: Server, request_id: str, method_id: str, passcode: str = "") -> SignedIn:
    """Confirm a sign-in with the second factor; no passcode for a method that asks on the phone.

    Raises:
        SignInRefused: the passcode is wrong, or the request has expired.
    """
    body = {"mfa_request_id": request_id, "mfa_payload": {method_id: [passcode] if passcode else []}}
    return _complete(server, _login(server, "sys/mfa/validate", body, "confirm the sign-in"))


def service_login(server: Server, role_id: str, secret_id: str, mount: str | None = None) -> SignedIn:
    """Sign a process in (AppRole); `mount` is the services' one unless told, the consumers' for an agent.

    Raises:
        SignInRefused: the role or the SecretID is wrong, revoked or gone.
    """
    body = {"role_id": role_id, "secret_id": secret_id}
    path = f"auth/{mount or server.service_mount}/login"
    return signed_in_of_auth(server, _login(server, path, body, "log in with an AppRole"))


def unwrap_secret_id(server: Server, wrapping_token: Token) -> str:
    """Take the SecretID out of its wrapping: works once.

    Raises:
        AlreadyUsed: it was taken before, or its time is over. When that is a surprise, treat it as a theft.
    """
    answer, spent = {}, False
    try:
        answer = dict(Wire(server, wrapping_token).call("POST", "sys/wrapping/unwrap", "unwrap a SecretID", body={}))
    except (Denied, Rejected):
        spent = True
    secret_id = (answer.get("data") or {}).get("secret_id")
    if spent or not isinstance(secret_id, str):
        raise AlreadyUsed("unwrap a SecretID", "it was used before, has expired, or never was")
    return secret_id


def _login(server: Server, path: str, body: Json, what: str) -> Json:
    """The `auth` of a login's answer."""
    refused = False
    try:
        answer = Wire(server, None).call("POST", path, what, body=body)
    except (Denied, Rejected):  # 400, and 403 while the user is locked out
        refused = True
    if refused or not answer.get("auth"):
        raise SignInRefused(what, "Vault does not accept it")
    auth: Json = answer["auth"]
    return auth


def _complete(server: Server, auth: Json) -> SignedIn:
    """Ask for what a login's answer does not tell: the display name, the identity's policies."""
    token = Token(auth["client_token"])
    try:
        return Vault(server, token).lookup_self()
    except Denied as error:
        raise VaultError("sign in", "the token is valid but may not look itself up: is its policy attached?") from error
