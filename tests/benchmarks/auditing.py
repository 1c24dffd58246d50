"""What one audit costs: CPU of the server's backend and time, by rule, on a database that `bench seed` has filled.

``python tests/benchmarks/auditing.py --scale small``; figures in docs/server.md.
"""

import argparse
import time
from collections.abc import Mapping
from datetime import date

from common import cpu_s

from bench.audit.live import LiveAudit
from bench.cli.auditing import snapshot_executor
from bench.cli.options import TargetOptions, parse_target
from bench.cli.preparing import open_target
from bench.data.spec import SeedSpec
from bench.db.catalogue import Catalogue, read_package
from bench.db.connection import connect
from bench.db.dialects import Postgres

REGIONS = ("us-east", "us-west", "eu-west", "asia-pac")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", default="small")
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    options: TargetOptions = parse_target(None, (), None, None)
    catalogue = Catalogue.load([read_package(package, "sql") for package in ("bench.db", "bench.audit")], "postgres")
    with (
        open_target(options, SeedSpec(given.scale, 1, date.today().replace(day=1), REGIONS), None, {}) as prepared,
        connect(prepared.target.admin_url, options=Postgres().live_audit_options) as connection,
    ):
        pid = connection.info.backend_pid
        for _ in range(given.rounds):
            audit = LiveAudit(time.perf_counter, lambda: None)
            costs: dict[str, float] = {}
            started, before = time.perf_counter(), cpu_s(pid)
            with snapshot_executor(connection, catalogue) as execute:

                def timed(name: str, values: Mapping[str, object]):  # type: ignore[no-untyped-def]
                    since = cpu_s(pid)
                    found = execute(name, values)
                    costs[name] = cpu_s(pid) - since  # noqa: B023
                    return found

                audit.begin()
                list(audit.check(timed))
            took, cpu = time.perf_counter() - started, cpu_s(pid) - before
            dearest = sorted(costs.items(), key=lambda item: -item[1])[:4]
            print(f"{cpu:.2f} s of CPU in {took:.2f} s: " + ", ".join(f"{name} {cost:.2f}" for name, cost in dearest))


if __name__ == "__main__":
    main()
