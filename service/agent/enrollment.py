"""Enrolment: spend the wrapping token once, keep what it held, and say whose agent this is now."""

from __future__ import annotations

from service.agent.errors import WrongUsage
from service.agent.source import Delivery
from service.agent.state import Credentials, State
from vault.session import Token

MAX_WRAPPING_TOKEN_BYTES = 1024


def read_wrapping_token(content: bytes) -> Token:
    """The wrapping token as a file or a pipe holds it.

    Raises:
        WrongUsage: it cannot be one.
    """
    text = content.strip()
    if not text or len(text) > MAX_WRAPPING_TOKEN_BYTES or not all(33 <= byte <= 126 for byte in text):
        raise WrongUsage("this is not a wrapping token: one line, as enrolment printed it", code="wrapping.none")
    return Token(text.decode("ascii"))


def enroll(delivery: Delivery, state: State, *, role_id: str, wrapping_token: Token, replace: bool = False) -> str:
    """Enrol this agent and return the consumer's name.

    The room on the disk comes first, then the wrapping token is spent, then the credentials are kept, then tried: a
    crash in between costs at most an enrolment, and never leaves half of one.

    Args:
        replace: whether credentials that are there already may be replaced.

    Raises:
        PossibleTheft: the token was spent before. WrongUsage, LoginRefused, Unreached.
    """
    if state.enrolled and not replace:
        raise WrongUsage(
            f"{state.directory} holds credentials already; --replace enrols anew", code="state.enrolled-already"
        )
    with state.new_credentials() as room:
        secret_id = delivery.unwrap(wrapping_token)
        room.keep(Credentials(role_id, secret_id))
    return delivery.log_in(role_id, secret_id).consumer
