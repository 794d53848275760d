"""Signing in and out. Vault decides who somebody is; this says it in the product's words.

The web tier holds a person's token through `Session` only, and never imports `vault`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias

from service.errors import Problem
from vault.session import Server, Token

Role: TypeAlias = Literal["administrator", "auditor"]


@dataclass(frozen=True, slots=True)
class Session:
    """A signed-in person.

    Attributes:
        token: the person's Vault token; only `token.reveal()` shows it.
        who: the name Vault's audit log shows, for example `userpass-ada`.
        roles: what the person may do; never empty.
        expires_at: when the token ends; None when it never does.
    """

    token: Token
    who: str
    roles: tuple[Role, ...]
    expires_at: datetime | None

    @property
    def may_change(self) -> bool:
        """Whether the person is an administrator."""
        return "administrator" in self.roles


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """One way to confirm a sign-in. `kind` is `totp`, `duo`, `okta` or `pingid`."""

    id: str
    kind: str
    uses_passcode: bool


class SecondFactorNeeded(Problem):
    """The password is right, and Vault wants a second factor: go on with `People.finish_mfa`."""

    status = 401
    title = "A second factor is needed."
    default_code = "session.second-factor"

    def __init__(self, request_id: str, factors: tuple[SecondFactor, ...]) -> None:
        super().__init__("Confirm the sign-in with your second factor.")
        self.request_id = request_id
        self.factors = factors


@dataclass(frozen=True, slots=True)
class SignInMethod:
    """A way to sign in that this Vault offers: `kind` is `userpass`, `ldap` or `oidc`; `mount` is where."""

    kind: str
    mount: str


class People:
    """The door.

    Args:
        mounts: where each method is mounted, when it is not under its own name: `{"userpass": "people"}`.
    """

    def __init__(self, server: Server, clock: Callable[[], datetime], *, mounts: dict[str, str] | None = None) -> None:
        raise NotImplementedError

    def methods(self) -> tuple[SignInMethod, ...]:
        """What can be offered on the sign-in page.

        Raises:
            Unavailable.
        """
        raise NotImplementedError

    def sign_in(self, method: str, username: str, password: str) -> Session:
        """Sign in with a password.

        Raises:
            NotSignedIn: `session.refused`: the name or the password is wrong; which one is not told.
            SecondFactorNeeded: go on with `finish_mfa`.
            NotAllowed: `session.no-role`: this person has no role in Keystead. The token is revoked.
            Malformed: `session.method`: there is no such method.
            Throttled, Unavailable.
        """
        raise NotImplementedError

    def finish_mfa(self, request_id: str, factor_id: str, passcode: str) -> Session:
        """The second step of a sign-in. `passcode` is empty for a factor that uses none (a push).

        Raises:
            NotSignedIn: `session.refused`. Also NotAllowed, Throttled, Unavailable.
        """
        raise NotImplementedError

    def check(self, token: str) -> Session:
        """The person that a token is, asked of Vault.

        Raises:
            NotSignedIn: `session.expired`: the token is no longer valid.
            NotAllowed: `session.no-role`.
            Unavailable.
        """
        raise NotImplementedError

    def sign_out(self, session: Session) -> None:
        """Revoke the token. A token that is dead already is fine.

        Raises:
            Unavailable: it may still be alive.
        """
        raise NotImplementedError
