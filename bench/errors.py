"""Every error that a user can cause, and the exit code of each outcome.

May import nothing of the package.  A message is lower case, names the value at fault and has no full stop; the hint is one
command to type or one edit to make.
"""

from enum import IntEnum


class ExitCode(IntEnum):
    """What the process tells its caller; documented in docs/cli.md."""

    OK = 0
    OBJECTIVE_FAILED = 1
    USAGE = 2
    TARGET = 3
    NOT_VALID = 4
    BUG = 5
    DATA_WRONG = 6
    INCONCLUSIVE = 7
    INTERRUPTED = 130


class BenchError(Exception):
    """A fault that the user can act on: what, optionally why (``cause``), and what to do next (``hint``)."""

    exit_code: ExitCode = ExitCode.USAGE

    def __init__(self, message: str, *, hint: str | None = None, cause: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.cause = cause


class UsageError(BenchError):
    """An option, a scenario or a file is wrong."""

    exit_code = ExitCode.USAGE


class TargetError(BenchError):
    """The database cannot be reached, or is not in the state that the command needs."""

    exit_code = ExitCode.TARGET


class NotValidError(BenchError):
    """The generator is not fit to measure."""

    exit_code = ExitCode.NOT_VALID
