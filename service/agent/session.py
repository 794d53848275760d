"""A consumer's line to the delivery plane that logs in when it has to. The token is in memory only."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

from service.agent.errors import AgentError, TokenRefused
from service.agent.source import Bundle, Delivery, LoggedIn, TlsMode
from service.agent.state import State
from vault.session import Token

_T = TypeVar("_T")
RENEW_AGAIN_S: Final = 30.0


class ConsumerSession:
    """One consumer, with the credentials of its state directory. For one thread.

    Every call may raise `service.agent.errors.AgentError`.
    """

    def __init__(self, delivery: Delivery, state: State) -> None:
        self._delivery = delivery
        self._state = state
        self._logged_in: LoggedIn | None = None
        self._renew_at = math.inf

    def consumer(self) -> str:
        """Who this is."""
        return self._log_in().consumer

    @property
    def was_held(self) -> bool:
        """As `Delivery.was_held`."""
        return self._delivery.was_held

    def interrupt(self) -> None:
        """As `Delivery.interrupt`."""
        self._delivery.interrupt()

    def fetch(self, etag: str | None = None, tls_mode: TlsMode | None = None, *, wait_s: int = 0) -> Bundle | None:
        """As `Delivery.fetch`."""
        return self._with_token(lambda token: self._delivery.fetch(token, etag, tls_mode, wait_s=wait_s))

    def report(self, status: Mapping[str, object]) -> None:
        """As `Delivery.report`."""
        self._with_token(lambda token: self._delivery.report(token, status))

    def _log_in(self) -> LoggedIn:
        if self._logged_in is None:
            credentials = self._state.credentials()
            self._logged_in = self._delivery.log_in(credentials.role_id, credentials.secret_id)
            self._note(self._logged_in.lease_s)
        return self._logged_in

    def _note(self, lease_s: float) -> None:
        """Renew at about half of the time: after a rotation nobody should have to log in first, and not all at once."""
        part = random.uniform(0.4, 0.6)  # noqa: S311 - spreads load, keeps no secret
        self._renew_at = time.monotonic() + lease_s * part if lease_s else math.inf

    def _keep_alive(self) -> None:
        """Make the token last longer when it is time to; one that cannot be is left for the next call to find out."""
        if self._logged_in is None or time.monotonic() < self._renew_at:
            return
        try:
            self._note(self._delivery.renew(self._logged_in.token))
        except TokenRefused:
            self._logged_in = None
        except AgentError:
            self._renew_at = time.monotonic() + RENEW_AGAIN_S

    def _with_token(self, work: Callable[[Token], _T]) -> _T:
        """Carry it out; once more with a new token when one from before is refused."""
        self._keep_alive()
        had_token = self._logged_in is not None
        try:
            return work(self._log_in().token)
        except TokenRefused:
            self._logged_in = None
            if not had_token:
                raise
        return work(self._log_in().token)
