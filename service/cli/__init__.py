"""The command line: one module a command. It does no work of its own.

Exit codes: 0 fine; 1 findings, or a change that was refused; 2 wrong usage; 3 something could not be reached.
"""

from service.cli.main import main

__all__ = ["main"]
