"""Rounds without end: at the configured pace while all is well, further and further apart while it is not."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import datetime
from threading import Event

from service.agent.errors import AgentError, LoginRefused, WrongUsage
from service.agent.round import Outcome, Round

DIRECT_INTERVAL_S = 10.0
"""Between reads of Vault itself, while the delivery plane cannot be reached."""
LONGEST_PAUSE_S = 30.0
"""Between tries when something is wrong: soon enough for a person who just mended it."""


def run(
    one_round: Round,
    stop: Event,
    *,
    interval_s: float,
    clock: Callable[[], datetime],
    tell: Callable[[Outcome | AgentError], None],
) -> None:
    """Follow until `stop` is set. What is installed stays in use whatever happens.

    Args:
        interval_s: between rounds where the delivery plane holds no answer back.
        tell: called with what changed: an outcome that wrote files, or an error that is not the one before.

    Raises:
        LoginRefused, WrongUsage: a person has to act.
    """
    pause_s = interval_s
    last = ""
    tried_to_wait = False  # and was not held: a delivery plane that holds nothing back is asked at the usual pace
    while not stop.is_set():
        try:
            outcome = one_round.run(clock())
        except (LoginRefused, WrongUsage):
            raise
        except AgentError as error:
            if stop.is_set():
                return  # it was interrupted
            pause_s = min(max(pause_s * 2, interval_s), LONGEST_PAUSE_S)
            if str(error) != last:
                last = str(error)
                tell(error)
        else:
            if outcome.changed or last:
                tell(outcome)
            at_once = outcome.held or (outcome.waits_next and not tried_to_wait)
            tried_to_wait = not outcome.held
            pause_s, last = 0.0 if at_once else interval_s, ""
            if outcome.directly:
                pause_s = max(interval_s, DIRECT_INTERVAL_S)
        stop.wait(pause_s * random.uniform(0.75, 1.25))  # noqa: S311 - spreads load, keeps no secret
