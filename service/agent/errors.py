"""What stops an agent, told apart by type: whether to wait, to log in again, or to call a person."""

from __future__ import annotations

from typing import ClassVar


class AgentError(Exception):
    """A round of the agent that did not end well. The text is for people and holds no secret.

    Attributes:
        exit_code: what a single run ends with (0 fine, 1 refused, 2 wrong usage, 3 something could not be reached).
        code: stable, for scripts.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, code: str = "agent.failed") -> None:
        super().__init__(message)
        self.code = code


class Unreached(AgentError):
    """The delivery plane, or Vault behind it, cannot be reached now. Transient: try again later."""

    exit_code = 3


class TokenRefused(AgentError):
    """The token is no longer good. Transient: log in again."""


class NotBound(AgentError):
    """Nothing is bound to this consumer (any more). A person decides; what is installed stays."""


class LoginRefused(AgentError):
    """The credentials are no longer good. Permanent: enrol again."""


class PossibleTheft(AgentError):
    """The wrapping token was spent before this agent came. Permanent: revoke, and enrol again."""


class RefusedHere(AgentError):
    """The bundle would break what uses it, so it was not installed; or the delivery plane refused the request."""


class WrongUsage(AgentError):
    """The configuration or the state directory cannot be used."""

    exit_code = 2


class TargetFailed(AgentError):
    """The files could not be written. What was there before is still there."""
