"""``bench completion``."""

import click
from click.shell_completion import get_completion_class

from bench.cli import console


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    """Print the completion script of a shell, e.g. `bench completion bash >> ~/.bashrc`."""
    found = get_completion_class(shell)
    assert found is not None
    root = ctx.find_root().command
    console.out(found(root, {}, "bench", "_BENCH_COMPLETE").source())
