"""The outermost frame: errors become at most three lines and an exit code."""

import sys
import traceback

import click

from bench.cli.console import error_lines
from bench.errors import BenchError, ExitCode

_HINT = "check the user's privileges, and that the server is up"
_HINTS = {
    "3D000": "make the database, or name another in the URL",
    # CockroachDB ([C:licensing-faqs]).
    "XXC02": "set cluster.organization and enterprise.license, or recreate the test cluster (docs/cluster.md, Licence)",
}
"""What to do next, by SQLSTATE."""


def run_guarded(group: click.Group) -> None:
    """Run the command line; every end of it is one of the documented exit codes."""
    debug = "--debug" in sys.argv
    try:
        code = group.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
    except click.exceptions.NoArgsIsHelpError as error:
        # Nothing was asked for: the help, without calling it an error, but with the code of one.
        error.show()
        code = error.exit_code
    except click.ClickException as error:
        _show_usage(error)
        code = error.exit_code
    except BenchError as error:
        _show(error, debug)
        code = error.exit_code
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output went away: nothing is left to say.
        sys.stderr.close()
        code = ExitCode.OK
    except Exception as error:
        code = _show_unforeseen(error, debug)
    sys.exit(int(code or 0))


def _show_usage(error: click.ClickException) -> None:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    # Without a context the words could not be told apart yet: an option that lacks its value.
    named = [word for word in sys.argv[1:2] if not word.startswith("-")]
    command = context.command_path if context else " ".join(["bench", *named])
    error_lines(message[:1].lower() + message[1:], hint=f"`{command} --help` lists what it takes")


def _show(error: BenchError, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    error_lines(error.message, cause=error.cause, hint=error.hint)


def _show_unforeseen(error: Exception, debug: bool) -> ExitCode:
    if debug:
        traceback.print_exc()
    said = next(iter(str(error).splitlines()), "")
    # By name, because importing the driver here would slow down `bench --help`.
    if type(error).__module__.partition(".")[0] == "psycopg":
        error_lines(
            "the database refused what bench asked of it",
            cause=f"{type(error).__name__}: {said}",
            hint=_HINTS.get(getattr(error, "sqlstate", None) or "", _HINT),
        )
        return ExitCode.TARGET
    error_lines(
        f"unexpected {type(error).__name__}: {said}",
        hint="this is a bug in bench: run again with `bench --debug …` and report the traceback",
    )
    return ExitCode.BUG
