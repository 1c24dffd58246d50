"""The command line: one module a command, imported when the command is used, so that ``bench --help`` is quick."""

import importlib

import click

from bench import __version__

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
    "scenarios": "List the scenarios.",
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
