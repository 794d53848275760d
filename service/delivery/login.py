"""`POST /v1/login`, `/v1/renew` and `/v1/unwrap`: passed on to Vault, for hosts that reach only the delivery plane.

There is no throttle of our own here: a SecretID is 122 random bits, and behind a load balancer all consumers share one
address. Vault's rate limit quotas hold for these calls, and a refusal by them is passed on (429).
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from service.delivery.exchange import as_token
from service.errors import NotSignedIn
from vault.aio import AsyncVault
from vault.errors import AlreadyUsed, Denied, NotFound, Rejected, SignInRefused
from vault.login import unwrap_secret_id
from vault.session import Token


class Credentials(Struct, frozen=True):
    """The body of a login."""

    role_id: Annotated[str, Meta(min_length=1, max_length=128)]
    secret_id: Annotated[str, Meta(min_length=1, max_length=512)]

    def __repr__(self) -> str:
        return "Credentials(…)"


class Wrapped(Struct, frozen=True):
    """The body of an unwrap."""

    wrapping_token: Annotated[str, Meta(min_length=1, max_length=512, pattern=r"^[!-~]+$")]

    def __repr__(self) -> str:
        return "Wrapped(…)"


async def log_in(vault: AsyncVault, credentials: Credentials, now: datetime) -> dict[str, object]:
    """Log a consumer in. Returns the answer's body.

    Raises:
        NotSignedIn: `login.refused`.
    """
    refused = False
    try:
        signed_in = await vault.login_approle(credentials.role_id, credentials.secret_id)
    except SignInRefused:
        refused = True
    if refused:
        raise NotSignedIn(
            "Vault does not accept this role_id and secret_id: was the consumer revoked? Then enrol it again",
            code="login.refused",
        )
    lease = signed_in.expires_at - now if signed_in.expires_at else None
    return {
        "token": signed_in.token.reveal(),
        "lease_seconds": max(round(lease.total_seconds()), 0) if lease else 0,
        "consumer": signed_in.entity_name,
    }


async def renew(vault: AsyncVault, token: bytes, now: datetime) -> dict[str, object]:
    """Make the caller's own token last longer. Returns the answer's body.

    Raises:
        NotSignedIn: `token.invalid`.
    """
    refused = False
    try:
        signed_in = await vault.renew_self(as_token(token))
    except (Denied, Rejected, NotFound):
        refused = True
    if refused:
        raise NotSignedIn("Vault does not renew this token: log in again", code="token.invalid")
    lease = signed_in.expires_at - now if signed_in.expires_at else None
    return {"lease_seconds": max(round(lease.total_seconds()), 0) if lease else 0}


async def unwrap(vault: AsyncVault, wrapped: Wrapped) -> dict[str, object]:
    """Take a SecretID out of its wrapping: works once, ever.

    Raises:
        NotSignedIn: `wrapping.used`.
    """
    used = False
    try:
        secret_id = await asyncio.to_thread(unwrap_secret_id, vault.server, Token(wrapped.wrapping_token))
    except AlreadyUsed:
        used = True
    if used:
        raise NotSignedIn(
            "this wrapping token was used before, has expired, or never was. If you have not used it yourself, "
            "somebody else may have: revoke the enrolment and enrol again",
            code="wrapping.used",
        )
    return {"secret_id": secret_id}
