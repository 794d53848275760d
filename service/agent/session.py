"""A consumer's line to the delivery plane that logs in when it has to. The token is in memory only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from service.agent.errors import TokenRefused
from service.agent.source import Bundle, Delivery, LoggedIn, TlsMode
from service.agent.state import State
from vault.session import Token

_T = TypeVar("_T")


class ConsumerSession:
    """One consumer, with the credentials of its state directory. For one thread.

    Every call may raise `service.agent.errors.AgentError`.
    """

    def __init__(self, delivery: Delivery, state: State) -> None:
        self._delivery = delivery
        self._state = state
        self._logged_in: LoggedIn | None = None

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
        return self._logged_in

    def _with_token(self, work: Callable[[Token], _T]) -> _T:
        """Carry it out; once more with a new token when one from before is refused."""
        had_token = self._logged_in is not None
        try:
            return work(self._log_in().token)
        except TokenRefused:
            self._logged_in = None
            if not had_token:
                raise
        return work(self._log_in().token)
