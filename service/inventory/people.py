"""Signing in and out. Vault decides who somebody is; this says it in the product's words.

The web tier holds a person's token through `Session` only, and never imports `vault`.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal, TypeAlias

from service.errors import Malformed, NotAllowed, NotSignedIn, Problem
from service.index.translation import translated
from vault import login
from vault.errors import Denied, MfaRequired, Rejected, SignInRefused
from vault.session import Server, SignedIn, Token, Vault

PASSWORD_METHODS: Final = frozenset({"userpass", "ldap"})
MAX_TYPED_CHARACTERS: Final = 1024
"""Of a name, a password or a passcode: nobody types more, and each goes to Vault."""
RENEWED_BEFORE: Final = timedelta(minutes=30)
"""Half of what a token lasts; Vault ends it for good after twelve hours, the console's cookie after eight."""
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
        self._server = server
        self._clock = clock
        self._mounts = dict(mounts or {})

    def methods(self) -> tuple[SignInMethod, ...]:
        """What can be offered on the sign-in page.

        Raises:
            Unavailable.
        """
        with translated():
            offered = login.methods(self._server)
        known = [SignInMethod(kind, mount) for kind, mount in self._mounts.items()]
        known += [found for one in offered if (found := SignInMethod(one.kind, one.mount)) not in known]
        return tuple(known) or (SignInMethod("userpass", "userpass"),)

    def sign_in(self, method: str, username: str, password: str) -> Session:
        """Sign in with a password.

        Raises:
            NotSignedIn: `session.refused`: the name or the password is wrong; which one is not told.
            SecondFactorNeeded: go on with `finish_mfa`.
            NotAllowed: `session.no-role`: this person has no role in Keystead. The token is revoked.
            Malformed: `session.method`: there is no such method.
            Throttled, Unavailable.
        """
        if method not in PASSWORD_METHODS:
            raise Malformed("There is no such way to sign in with a password.", code="session.method")
        if not username or not password or max(len(username), len(password)) > MAX_TYPED_CHARACTERS:
            raise _refused()
        mount = self._mounts.get(method, method)
        return self._session_of(
            lambda: login.sign_in(self._server, method=method, mount=mount, username=username, password=password)
        )

    def finish_mfa(self, request_id: str, factor_id: str, passcode: str) -> Session:
        """The second step of a sign-in. `passcode` is empty for a factor that uses none (a push).

        Raises:
            NotSignedIn: `session.refused`. Also NotAllowed, Throttled, Unavailable.
        """
        if max(len(request_id), len(factor_id), len(passcode)) > MAX_TYPED_CHARACTERS:
            raise _refused()
        return self._session_of(lambda: login.finish_mfa(self._server, request_id, factor_id, passcode))

    def check(self, token: str) -> Session:
        """The person that a token is, asked of Vault. A token that is in use and nears its end is renewed.

        Raises:
            NotSignedIn: `session.expired`: the token is no longer valid.
            NotAllowed: `session.no-role`.
            Unavailable.
        """
        expired = False
        with translated():
            try:
                signed_in = self._kept_alive(Vault(self._server, Token(token)))
            except Denied:
                expired = True
        if expired:
            raise NotSignedIn("The session has ended. Sign in again.", code="session.expired")
        return self._session(signed_in)

    def _kept_alive(self, vault: Vault) -> SignedIn:
        signed_in = vault.lookup_self()
        ends = signed_in.expires_at
        if signed_in.renewable and ends is not None and ends - self._clock() < RENEWED_BEFORE:
            with contextlib.suppress(Rejected):  # it may last no longer
                return replace(signed_in, expires_at=vault.renew_self().expires_at)
        return signed_in

    def sign_out(self, session: Session) -> None:
        """Revoke the token. A token that is dead already is fine.

        Raises:
            Unavailable: it may still be alive.
        """
        with translated():
            try:
                Vault(self._server, session.token).revoke_self()
            except Denied:  # dead already
                return

    def _session_of(self, sign_in: Callable[[], SignedIn]) -> Session:
        """The session that a sign-in gives. The problems of signing in carry no cause: it knew the password."""
        problem: Problem | None = None
        with translated():
            try:
                signed_in = sign_in()
            except SignInRefused:
                problem = _refused()
            except MfaRequired as needed:
                factors = tuple(SecondFactor(one.id, one.type, one.uses_passcode) for one in needed.methods)
                problem = SecondFactorNeeded(needed.request_id, factors)
        if problem is not None:
            raise problem
        try:
            return self._session(signed_in)
        except NotAllowed:
            with translated():
                Vault(self._server, signed_in.token).revoke_self()
            raise

    def _session(self, signed_in: SignedIn) -> Session:
        of_policy: dict[str, Role] = {
            self._server.prefixed("admin"): "administrator",
            self._server.prefixed("auditor"): "auditor",
        }
        roles = tuple(role for policy, role in of_policy.items() if policy in signed_in.policies)
        if not roles:
            detail = "You are known here, but have no role in Keystead. An operator gives you one in Vault."
            raise NotAllowed(detail, code="session.no-role")
        who = signed_in.display_name or signed_in.entity_name or signed_in.entity_id or "unknown"
        return Session(token=signed_in.token, who=who, roles=roles, expires_at=signed_in.expires_at)


def _refused() -> NotSignedIn:
    return NotSignedIn("The name or the password is wrong, or the account is locked for now.", code="session.refused")
