"""Why `keystead up` does not start: one sentence for the person, and the exit code."""

from __future__ import annotations

EXIT_WRONG_USAGE = 2
"""The options cannot be used as they are: a port in use, a directory that cannot be written."""
EXIT_UNREACHABLE = 3
"""A process of ours did not come up."""


class CannotStart(Exception):
    """`str(error)` is one line for the terminal. It never holds a secret."""

    def __init__(self, reason: str, *, exit_code: int = EXIT_WRONG_USAGE) -> None:
        super().__init__(reason)
        self.exit_code = exit_code
