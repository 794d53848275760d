"""What can go wrong, as plain data. One mapper per edge (web, delivery, cli) turns a `Problem` into an answer.

An error never carries key material, a token or a password: its texts go to pages, logs and terminals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from service.pki.finding import Finding


class Problem(Exception):
    """A request that was not carried out; nothing was written.

    Attributes:
        code: stable and documented in `docs/errors.md`, for example `certificate.in-use`.
        title: the kind of problem, a short sentence that is the same each time.
        detail: what is wrong here, where, and what to do next.
        status: the HTTP status (RFC 9110 §15) of its kind.
        findings: what the checks found, where checks refused it.
        conflicts: what stands in the way, by name (`relay-eu`), or what another person changed meanwhile.
    """

    status: ClassVar[int] = 500
    title: ClassVar[str] = "Something went wrong."
    default_code: ClassVar[str] = "internal"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        findings: Sequence[Finding] = (),
        conflicts: Sequence[str] = (),
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.findings = tuple(findings)
        self.conflicts = tuple(conflicts)


class Malformed(Problem):
    """The request itself cannot be read."""

    status = 400
    title = "The request cannot be read."
    default_code = "request.malformed"


class NotSignedIn(Problem):
    """Nobody is signed in, or the session has ended."""

    status = 401
    title = "You are not signed in."
    default_code = "session.missing"


class NotAllowed(Problem):
    """Vault's policy does not let this person do that."""

    status = 403
    title = "You are not allowed to do this."
    default_code = "session.not-allowed"


class Missing(Problem):
    """There is nothing of that name."""

    status = 404
    title = "There is nothing of that name."
    default_code = "not-found"


class InUse(Problem):
    """Somebody uses it, or the name is taken."""

    status = 409
    title = "Something stands in the way."
    default_code = "conflict"


class Stale(Problem):
    """Somebody else changed it after it was read (RFC 9110 §15.5.13)."""

    status = 412
    title = "Somebody else changed it meanwhile."
    default_code = "version.stale"


class TooLarge(Problem):
    """The body is larger than anything sensible."""

    status = 413
    title = "The request is too large."
    default_code = "request.too-large"


class WrongMediaType(Problem):
    """The body's content type is not one that is read here."""

    status = 415
    title = "The content type is not supported."
    default_code = "request.media-type"


class Refused(Problem):
    """The checks refuse it; `findings` say why."""

    status = 422
    title = "The checks refuse this."
    default_code = "checks.refused"


class PreconditionRequired(Problem):
    """`If-Match` is missing (RFC 6585 §3)."""

    status = 428
    title = "If-Match is missing."
    default_code = "version.required"


class Throttled(Problem):
    """Too many tries (RFC 6585 §4)."""

    status = 429
    title = "Too many tries."
    default_code = "throttled"

    def __init__(self, detail: str, *, retry_after_s: int, code: str | None = None) -> None:
        super().__init__(detail, code=code)
        self.retry_after_s = retry_after_s


class Unavailable(Problem):
    """Vault is sealed or cannot be reached. Nothing was written."""

    status = 503
    title = "Vault cannot be reached."
    default_code = "vault.unreachable"
