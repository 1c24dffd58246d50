"""The command line: one module a command, imported when the command is used, so that ``bench --help`` is quick."""

import importlib

import click

from bench import __version__
from bench.errors import UsageError

_COMMANDS = {
    "run": "Run a scenario and report on it.",
    "report": "Write a run's report again, from its store.",
    "worker": "Play a part of a run that was started elsewhere.",
    "explain-tail": "Say what a run's slowest transactions are made of.",
    "runs": "List the runs that are there.",
    "export": "Write a run's raw frames for other programs.",
    "indexes": "Say what each index gives and costs.",
    "compare": "Show two runs side by side.",
    "gate": "Say whether a run is worse than a baseline.",
    "baseline": "Keep runs to compare later ones with.",
    "capacity": "Find the highest rate that meets an objective.",
    "audit": "Check a database's business invariants.",
    "seed": "Fill a database with the shop's data.",
    "schema": "Show, apply, check or drop the schema.",
    "cluster": "Start, prepare, check and end a CockroachDB cluster of four regions.",
    "scenarios": "List the scenarios.",
    "doctor": "Say what this machine has and lacks for a run.",
    "completion": "Print the completion script of a shell.",
}


class LazyGroup(click.Group):
    """A group that knows its commands' names and one-line helps without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Return the names in the order of their use."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import and return a command."""
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"bench.cli.{cmd_name.replace('-', '_')}").command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments begin with; UsageError suggests the nearest name."""
        name = args[0]
        if name not in _COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            import difflib

            close = difflib.get_close_matches(name, _COMMANDS, 1)
            meant = f"did you mean 'bench {close[0]}'? " if close else ""
            raise UsageError(f"no such command '{name}'", hint=f"{meant}`bench --help` lists all {len(_COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the list of commands without importing any."""
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="bench")
@click.option("--debug", is_flag=True, envvar="BENCH_DEBUG", help="Show the traceback of an error.")
@click.pass_context
def group(ctx: click.Context, debug: bool) -> None:
    """Load-test an e-commerce schema on CockroachDB or PostgreSQL.

    \b
    bench run flash-sale                 the main job, on an embedded PostgreSQL
    bench run flash-sale --dry-run       what it would do
    bench report last                    the last run's report again
    """
    ctx.obj = {"debug": debug}


def main() -> None:
    """Run the command line and end the process with a documented exit code."""
    from bench.cli.frame import run_guarded

    run_guarded(group)
