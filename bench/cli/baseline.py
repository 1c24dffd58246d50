"""``bench baseline``."""

from pathlib import Path

import click

from bench.cli import console


@click.group("baseline")
def command() -> None:
    """Keep runs to compare later ones with."""


@command.command("save")
@click.argument("runs", nargs=-1, required=True)
@click.option("--out", "file", type=click.Path(path_type=Path), required=True, help="File to write, as JSON.")
@click.option(
    "--runs", "folder", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs."
)
def save(runs: tuple[str, ...], file: Path, folder: Path) -> None:
    """Write a baseline of RUNS: of one, or better of several runs of the same thing, which show how they differ by chance.

    Runs that are INVALID, were interrupted, or left wrong data are refused.
    """
    from bench.cli.comparing import sample_at
    from bench.results.baseline import require_alike, require_fit, save_baseline
    from bench.results.files import find_run

    samples = [sample_at(path) for path in dict.fromkeys(find_run(folder, run) for run in runs)]
    require_fit(samples)
    require_alike(samples)
    save_baseline(samples, file)
    count = "1 run" if len(samples) == 1 else f"{len(samples)} runs"
    console.note(f"baseline  of {count}, {file.stat().st_size / 1000:.0f} kB")
    console.plain(str(file))
