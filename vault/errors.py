"""What Vault can answer instead of an answer, as plain data.

None of these carries a response body, a token or a secret: their texts may be logged and shown. They are raised
outside of `except` blocks, so that no `__context__` leads to a request with its headers.
"""

from __future__ import annotations

from dataclasses import dataclass


class VaultError(Exception):
    """Anything that went wrong with Vault. `what` is the operation, for example `read bundles/eu`."""

    def __init__(self, what: str, reason: str = "") -> None:
        super().__init__(f"{what}: {reason}" if reason else what)
        self.what = what
        self.reason = reason


class Unreachable(VaultError):
    """No answer in time, no connection, no trust in its certificate, or an error of the server itself (5xx).

    A write that ends so may have been carried out: compare-and-set tells when it is repeated.
    """


class Sealed(Unreachable):
    """Vault is sealed, or not initialised (503)."""


class Denied(VaultError):
    """Vault's policy does not allow it, or the token is no longer valid (403). Vault does not reliably say which:
    `Vault.lookup_self` answers that."""


class NotFound(VaultError):
    """There is nothing at that path."""


class VersionGone(NotFound):
    """That version exists no more: deleted (can be undeleted) or destroyed (for ever)."""

    def __init__(self, what: str, *, version: int, destroyed: bool) -> None:
        super().__init__(what, f"version {version} is {'destroyed' if destroyed else 'deleted'}")
        self.version = version
        self.destroyed = destroyed


class Conflict(VaultError):
    """Somebody else wrote it: its current version is not `expected_version` (0: it must not exist)."""

    def __init__(self, path: str, expected_version: int) -> None:
        super().__init__(f"write {path}", f"the current version is not {expected_version}")
        self.path = path
        self.expected_version = expected_version


class SignInRefused(VaultError):
    """The user name or the password is wrong, or the user is locked out: Vault does not say which."""


@dataclass(frozen=True, slots=True)
class MfaMethod:
    """One way to confirm a sign-in. `type` is `totp`, `duo`, `okta` or `pingid`."""

    id: str
    type: str
    uses_passcode: bool


class MfaRequired(VaultError):
    """The password is right; Vault's login MFA wants one of `methods` for `request_id`, within minutes."""

    def __init__(self, request_id: str, methods: tuple[MfaMethod, ...]) -> None:
        super().__init__("sign in", "a second factor is required")
        self.request_id = request_id
        self.methods = methods


class AlreadyUsed(VaultError):
    """A wrapping token that is spent, expired or unknown. When it was delivered unused, somebody else unwrapped it."""


class RateLimited(VaultError):
    """Vault's rate limit quota refuses it for now (429)."""


class Rejected(VaultError):
    """Any other refusal. `status` is HTTP's; the body is not kept, since Vault's messages may quote the request."""

    def __init__(self, what: str, *, status: int, reason: str = "") -> None:
        super().__init__(what, reason or f"Vault answered {status}")
        self.status = status


class Unsupported(Rejected):
    """This server does not know the operation at all: another product or an older version."""
