"""Slows down guessing: failed sign-ins are counted by address and by user name, in memory of this process.

Vault's own user lockout counts across processes; this keeps the flood away from it.
"""

from __future__ import annotations

import hashlib
import time
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from service.errors import Throttled

PER_NAME: Final = RateLimitItemPerMinute(5, 5)
"""Failed tries for one user name in five minutes."""
PER_ADDRESS: Final = RateLimitItemPerMinute(20, 5)
"""Failed tries from one address in five minutes: more people than one sit behind it."""


class SignInThrottle:
    """Counts failed sign-ins."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def check(self, username: str, address: str) -> None:
        """Refuse before Vault is asked.

        Raises:
            Throttled: too many failed tries; `retry_after_s` says when to come back.
        """
        for limit, key in ((PER_NAME, _key(username)), (PER_ADDRESS, address)):
            if not self._limiter.test(limit, key):
                reset_at = self._limiter.get_window_stats(limit, key).reset_time
                wait_s = max(1, int(reset_at - time.time()) + 1)
                detail = f"Too many failed sign-ins. Try again in {wait_s} seconds."
                raise Throttled(detail, retry_after_s=wait_s, code="session.throttled")

    def failed(self, username: str, address: str) -> None:
        """Count one failed try."""
        self._limiter.hit(PER_NAME, _key(username))
        self._limiter.hit(PER_ADDRESS, address)


def _key(username: str) -> str:
    """User names are typed by strangers: of any length, and sometimes a password by mistake."""
    return hashlib.sha256(username.strip().lower().encode()).hexdigest()
