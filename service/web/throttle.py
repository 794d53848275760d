"""Slows down guessing: failed sign-ins are counted by address and by user name, in memory of this process.

Vault's own user lockout counts across processes; this keeps the flood away from it.
"""

from __future__ import annotations

import hashlib
import ipaddress
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from service.errors import NotSignedIn, Throttled

PER_NAME: Final = RateLimitItemPerMinute(5, 5)
"""Failed tries for one user name in five minutes."""
PER_ADDRESS: Final = RateLimitItemPerMinute(20, 5)
"""Failed tries from one address in five minutes: more people than one sit behind it."""
IPV6_SITE_BITS: Final = 64
"""One subscriber has a whole /64, so it counts as one address."""
REFUSAL_TAKES_S: Final = 0.4
"""At least. Vault answers for a name it knows a little later than for one it does not; this hides by how much."""


class SignInThrottle:
    """Counts failed sign-ins. Thread-safe.

    Args:
        refusal_takes_s: how long a refusal takes at least.
    """

    def __init__(self, *, refusal_takes_s: float = REFUSAL_TAKES_S) -> None:
        self._refusal_takes_s = refusal_takes_s
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    @contextmanager
    def trying(self, username: str, address: str) -> Iterator[None]:
        """Sign in inside of this: refused before Vault is asked after too many failures, and counted when it fails.

        Raises:
            Throttled: too many failed tries; `retry_after_s` says when to come back.
        """
        self.check(username, address)
        started = time.monotonic()
        try:
            yield
        except NotSignedIn:
            self.failed(username, address)
            time.sleep(max(0.0, self._refusal_takes_s - (time.monotonic() - started)))
            raise

    def check(self, username: str, address: str) -> None:
        """Refuse before Vault is asked.

        Raises:
            Throttled.
        """
        for limit, key in ((PER_NAME, _name_key(username)), (PER_ADDRESS, _address_key(address))):
            if not self._limiter.test(limit, key):
                reset_at = self._limiter.get_window_stats(limit, key).reset_time
                wait_s = max(1, int(reset_at - time.time()) + 1)
                detail = f"Too many failed sign-ins. Try again in {wait_s} seconds."
                raise Throttled(detail, retry_after_s=wait_s, code="session.throttled")

    def failed(self, username: str, address: str) -> None:
        """Count one failed try."""
        self._limiter.hit(PER_NAME, _name_key(username))
        self._limiter.hit(PER_ADDRESS, _address_key(address))


def _name_key(username: str) -> str:
    """User names are typed by strangers: of any length, and sometimes a password by mistake."""
    return hashlib.sha256(username.strip().lower().encode("utf-8", "surrogatepass")).hexdigest()


def _address_key(address: str) -> str:
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(known, ipaddress.IPv6Address):
        if known.ipv4_mapped:
            return str(known.ipv4_mapped)
        return str(ipaddress.ip_network((int(known), IPV6_SITE_BITS), strict=False))
    return str(known)
