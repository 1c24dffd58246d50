"""``bench indexes``."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from bench.cli import console
from bench.cli.options import parse_as_of, parse_target, target_options


@click.command("indexes")
@target_options
@click.option("--scale", default="small", show_default=True, help="Size of the embedded server's data.")
@click.option("--seed", type=click.IntRange(min=0), default=1, show_default=True, help="Seed of that data.")
@click.option("--as-of", help="Day that the data ends before (default: the first of this month).")
@click.option(
    "--run", "run_ref", help="Run whose calls weight gain and cost (default: the last one, if it has this schema)."
)
@click.option(
    "--add", "candidates", multiple=True, metavar="SQL", help="CREATE INDEX to try, dropped afterwards; repeatable."
)
@click.option("--only", multiple=True, metavar="INDEX", help="Measure this index only; repeatable.")
@click.option(
    "--repeats",
    type=click.IntRange(3, 200),
    default=12,
    show_default=True,
    help="Sessions in which a statement is timed, with and without the index.",
)
@click.option("--reads-only", is_flag=True, help="Drop no index for real: what an index costs writers is not measured.")
@click.option("--yes", is_flag=True, help="Allow dropping and making indexes in the database of --url.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder of runs.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "markdown", "json"]),
    default="text",
    show_default=True,
    help="What to print on standard output.",
)
def command(run_ref: str | None, out: Path, form: str, **given: Any) -> None:
    """Say what each index gives to reads and costs writes, and which ones to drop.

    Sessions of the shop are played in transactions that are rolled back; their statements are timed in place, with each index
    and without it.  The embedded server works on a copy of the seed.  A database of yours keeps its rows; without --yes
    its indexes are hidden inside those transactions only, which locks their tables for moments.

    \b
    bench indexes
    bench indexes --run last --add 'CREATE INDEX try_it ON orders (region, status, created_at)'
    """
    # First of all, because it patches the standard library for gevent before psycopg looks at it.
    import bench.load  # noqa: F401
    from bench.cli.index_experiment import IndexRequest, carry_out
    from bench.cli.index_output import document, markdown, text_lines
    from bench.cli.planning import load_user_class
    from bench.cli.seeding import SeedRequest
    from bench.data.spec import SeedSpec
    from bench.results.store import refuse_package
    from bench.scenario.model import DEFAULT_REGIONS

    spec = SeedSpec(given["scale"], given["seed"], parse_as_of(given["as_of"]), DEFAULT_REGIONS)
    refuse_package(out)
    request = IndexRequest(
        target=parse_target(given["url"], given["gateways"], given["variant"], given["port"], given["target"]),
        seed=SeedRequest(spec),
        run=run_ref,
        candidates=given["candidates"],
        only=given["only"],
        plays=given["repeats"],
        reads_only=given["reads_only"],
        yes=given["yes"],
        out=out,
    )
    outcome = carry_out(request, load_user_class("bench.workloads.shop:ShopperUser"))
    texts = {"indexes.json": document(outcome), "indexes.md": markdown(outcome)}
    folder = outcome.calls.folder if outcome.calls else out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-indexes"
    paths = _write(folder, texts)
    if form == "text":
        for line in (*text_lines(outcome), *map(str, paths)):
            console.out(line)
        return
    console.plain(texts["indexes.md" if form == "markdown" else "indexes.json"])


def _write(folder: Path, texts: dict[str, str]) -> list[Path]:
    from bench.results.store import write_atomically

    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        write_atomically(folder / name, text)
    return [folder / name for name in texts]
