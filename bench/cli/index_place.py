"""Where the index experiment takes place: a copy of the seed on the embedded server, or a database of the user's."""

from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial

from bench.cli import console
from bench.cli.embedded_seed import ensure_run_database
from bench.cli.opening import SERVER_LIBRARIES, SERVER_SETTINGS
from bench.cli.options import TargetOptions
from bench.cli.preparing import embedded_schema, remote
from bench.cli.seeding import SeedRequest
from bench.db.admin import Admin
from bench.db.connection import Connection, DriverError, connect
from bench.db.ddl import Dialect, Schema
from bench.db.indexing import restore
from bench.errors import TargetError
from bench.target.embedded import EmbeddedServer, ServerOptions
from bench.target.home import bench_home

APPLICATION = "shopbench-indexes"
SCRATCH = "shop_indexes"
"""The embedded server's copy of a seed for this experiment; the last run's database stays as it is."""
AWAY_NOTE = "index_away"
"""Under which the definition of an index is kept in a database of the user's while the index is dropped."""
_OPTIONS = ("lock_timeout=2s", "statement_timeout=60s")


@dataclass(frozen=True, slots=True)
class Place:
    """A database that holds the schema; ``may_change`` says whether indexes may be dropped and made for everyone."""

    urls: Mapping[str, str]
    dialect: Dialect
    server_version: str
    schema: Schema
    meta: Mapping[str, str]
    may_change: bool
    is_ours: bool

    @property
    def regions(self) -> tuple[str, ...]:
        """The regions that have a gateway."""
        return tuple(self.urls)

    def connect(self, region: str | None = None) -> Connection:
        """Return a connection to a region's gateway, or to the first one."""
        url = self.urls[region or self.regions[0]]
        return connect(url, application=APPLICATION, options=_OPTIONS)

    def connectors(self) -> dict[str, partial[Connection]]:
        """Return what connects to each region."""
        return {region: partial(self.connect, region) for region in self.regions}

    def administration(self) -> Admin:
        """Return a connection for changes of the schema, which may take as long as they take."""
        return Admin.of(connect(self.urls[self.regions[0]], application=APPLICATION), self.dialect)


@contextmanager
def opened_place(
    options: TargetOptions, request: SeedRequest, *, may_change: bool, reads_only: bool
) -> Iterator[Place]:
    """Hand out the database that the options name, or a fresh copy of the seed that goes away afterwards."""
    if not (options.url or options.gateways):
        with _scratch(options, request, may_change=not reads_only) as place:
            yield place
        return
    with remote(options, None, {}) as prepared:
        target = prepared.target
        urls = {region: addresses[0] for region, addresses in target.gateways.items()}
        facts = (prepared.schema, prepared.meta, may_change and not reads_only, False)
        place = Place(urls, target.dialect, target.server_version, *facts)
        _bring_back(place)
        yield place


@contextmanager
def _scratch(options: TargetOptions, request: SeedRequest, *, may_change: bool) -> Iterator[Place]:
    schema = embedded_schema(options, request.spec)
    with EmbeddedServer.start(
        bench_home(), ServerOptions(SERVER_SETTINGS, options.port, libraries=SERVER_LIBRARIES)
    ) as server:
        ensure_run_database(server, schema, request, SCRATCH)
        url = server.url(SCRATCH)
        try:
            with closing(connect(url)) as connection:
                meta = Admin.of(connection, "postgres").meta()
            urls = dict.fromkeys(request.spec.regions, url)
            yield Place(urls, "postgres", server.binaries.version, schema, meta, may_change, True)
        finally:
            with suppress(DriverError), closing(connect(server.url())) as connection:
                Admin.of(connection, "postgres").drop_database(SCRATCH)


def _bring_back(place: Place) -> None:
    """Make an index again that an experiment before had dropped when it was killed."""
    definition = place.meta.get(AWAY_NOTE)
    if not definition:
        return
    if not place.may_change:
        raise TargetError(
            "an experiment was killed here while an index was dropped",
            cause=definition,
            hint="pass --yes to have it made again, or make it yourself",
        )
    admin = place.administration()
    with closing(admin.connection):
        restore(admin.connection, definition)
        admin.note({AWAY_NOTE: ""})
    console.note(f"restored  {definition}")
