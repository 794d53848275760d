"""Vault's errors as the product's problems. What this room and the outer ones ask of `vault` is asked inside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from service.errors import Missing, NotAllowed, Problem, Stale, Throttled, Unavailable
from vault.errors import Conflict, Denied, NotFound, RateLimited, Sealed, Unreachable, VaultError

RETRY_AFTER_S = 1
"""Vault's rate limits count per second."""


def problem_of(error: VaultError) -> Problem:
    """The problem that an error of Vault means. Its text names the operation, and nothing that was sent."""
    problem: Problem
    match error:
        case Sealed():
            problem = Unavailable(
                "Vault is sealed; somebody has to unseal it. Nothing was changed.", code="vault.sealed"
            )
        case Unreachable():
            detail = f"Vault gave no answer ({error}). If something was to be changed, look before you repeat it."
            problem = Unavailable(detail, code="vault.unreachable")
        case Denied():
            problem = NotAllowed(f"Vault's policy does not allow this ({error.what}), or the session has ended.")
        case NotFound():
            problem = Missing(f"There is nothing there ({error.what}).")
        case Conflict():
            problem = Stale(f"Somebody else wrote {error.path} meanwhile. Nothing was changed.")
        case RateLimited():
            detail = "Vault limits the rate of requests."
            problem = Throttled(detail, retry_after_s=RETRY_AFTER_S, code="vault.rate-limited")
        case _:
            problem = Problem(f"Vault refused it: {error}.", code="vault.rejected")
    return problem


@contextmanager
def translated() -> Iterator[None]:
    """Raise problems for Vault's errors."""
    problem: Problem | None = None
    try:
        yield
    except VaultError as error:
        problem = problem_of(error)
    if problem is not None:
        raise problem
