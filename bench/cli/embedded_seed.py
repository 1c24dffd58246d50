"""The embedded server's databases: one for each seed, kept whole, and a copy of one for a run.

Every run begins with the same rows: the seed is never written to, its copy is.
"""

import hashlib
import os
import subprocess
import sys
from contextlib import closing

from bench.cli import console
from bench.cli.opening import RUN_DATABASE
from bench.cli.options import TargetOptions, load_arguments
from bench.cli.seed_estimate import require_embedded_disk
from bench.cli.seeding import SeedRequest
from bench.db.admin import Admin
from bench.db.connection import connect
from bench.db.ddl import Schema
from bench.errors import TargetError
from bench.target.embedded import EmbeddedServer

SEEDS_KEPT = 3
_LOADING = "loading_"


def ensure_run_database(
    server: EmbeddedServer, schema: Schema, request: SeedRequest, database: str = RUN_DATABASE
) -> bool:
    """Make the run's database a fresh copy of the seed, which is loaded where it is not there; return whether it was.

    A load that ended early is gone on with.  TargetError when there is too little disk for one that is to begin.
    """
    seed = seed_name(schema, request)
    with closing(connect(server.url())) as connection:
        admin = Admin.of(connection, "postgres")
        reused = admin.has_database(seed) and not request.fresh
        if not reused:
            _load(server, admin, seed, schema, request)
        admin.drop_database(database)
        admin.create_database(database, template=seed)
    return reused


def seed_name(schema: Schema, request: SeedRequest) -> str:
    """Return the database that keeps a seed: of another schema, data or choice of tables it is another one."""
    only = ",".join(sorted(request.how.tables)) if request.how.tables is not None else ""
    text = f"{schema.fingerprint}/{request.spec.fingerprint}" + (f"/{only}" if only else "")
    return "seed_" + hashlib.sha256(text.encode()).hexdigest()[:12]


def _load(server: EmbeddedServer, admin: Admin, seed: str, schema: Schema, request: SeedRequest) -> None:
    """Load under another name and rename at the end: a seed that is there by its name is whole."""
    loading = f"{_LOADING}{seed}"
    for (old,) in admin.read("databases_like", prefix="seed_")[: -SEEDS_KEPT + 1 or None]:
        admin.drop_database(old)
    if request.fresh:
        admin.drop_database(seed)
        admin.drop_database(loading)
    if admin.has_database(loading):
        console.note("resuming  a load that did not finish")
    else:
        # Before the progress of another load is given up for this one.
        require_embedded_disk(lambda: connect(server.url()), schema, request.spec, request.how.connections)
        for (leftover,) in admin.read("databases_like", prefix=_LOADING):
            console.note("removing  a load of other data that did not finish")
            admin.drop_database(leftover)
        admin.create_database(loading)
    try:
        _load_in_child(server.url(loading), schema, request)
    except KeyboardInterrupt:
        console.note("interrupted: the same command goes on from here")
        raise
    admin.rename_database(loading, seed)


def _load_in_child(url: str, schema: Schema, request: SeedRequest) -> None:
    """Run `bench seed` in a process of its own: in ours gevent may have made all threads share one core."""
    done = subprocess.run(
        # -P: with the current folder on the path, a checkout's ./bench would hide the installed package.
        [sys.executable, "-P", "-c", "from bench.cli import main; main()", *load_arguments(request, schema.variant)],
        # In the environment, because a command line is for everyone to read.
        env={**os.environ, **TargetOptions(url, (), None, None).environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        check=False,
    )
    if done.returncode < 0:
        raise TargetError(
            f"the loader was ended by signal {-done.returncode}", hint="run the same command again to go on from there"
        )
    if done.returncode:
        # It has said why, in three lines of its own.
        raise SystemExit(done.returncode)
