"""The outermost frame: errors become at most three lines and an exit code."""

import sys
import traceback

import click

from bench.cli.console import error_lines
from bench.errors import BenchError, ExitCode


def run_guarded(group: click.Group) -> None:
    """Run the command line; every end of it is one of the documented exit codes."""
    debug = "--debug" in sys.argv
    try:
        code = group.main(standalone_mode=False)
    except click.exceptions.Abort:
        code = ExitCode.INTERRUPTED
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
        _show_bug(error, debug)
        code = ExitCode.BUG
    sys.exit(int(code or 0))


def _show_usage(error: click.ClickException) -> None:
    message = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "bench"
    error_lines(message[:1].lower() + message[1:], hint=f"`{command} --help` lists what it takes")


def _show(error: BenchError, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    error_lines(error.message, cause=error.cause, hint=error.hint)


def _show_bug(error: Exception, debug: bool) -> None:
    if debug:
        traceback.print_exc()
    error_lines(
        f"unexpected {type(error).__name__}: {error}",
        hint="this is a bug in bench: run again with `bench --debug …` and report the traceback",
    )
