"""A run with workers: what `bench run --workers` adds to a run of one process."""

from collections.abc import Sequence
from dataclasses import asdict

from bench.cli.options import TargetOptions
from bench.cli.worker import MASTER_PORT, parse_address
from bench.errors import UsageError
from bench.results.manifest import Manifest, WorkerInfo
from bench.results.store import RunWriter
from bench.team.members import WorkerRecord
from bench.team.roster import Crew

LOOPBACK = "127.0.0.1"


def make_crew(workers: int | None, remote: int, bind: str | None, target: TargetOptions) -> Crew | None:
    """Return who is to play; None for one process.  UsageError where the options do not go together."""
    if workers is None and not remote:
        if bind is not None:
            raise UsageError("--bind does nothing without workers", hint="pass --workers or --remote-workers as well")
        return None
    local = workers or 0
    if not local and not remote:
        raise UsageError("a run needs a worker", hint="leave --workers out, or pass 1 or more")
    host, port = parse_address(bind, MASTER_PORT) if bind else (LOOPBACK, MASTER_PORT if remote else 0)
    if remote and not (target.url or target.gateways):
        raise UsageError(
            "workers from elsewhere cannot use the embedded server, which listens on this machine alone",
            hint="pass --url of a database that they can reach, or --workers for processes of this machine",
        )
    return Crew(local, remote, host, port)


def note_workers(writer: RunWriter, manifest: Manifest, workers: Sequence[WorkerRecord]) -> None:
    """Keep in the manifest which processes put the load on, as soon as they are known."""
    fields = set(WorkerInfo.model_fields)
    found = tuple(
        WorkerInfo(**{key: value for key, value in asdict(worker).items() if key in fields}) for worker in workers
    )
    writer.write_manifest(manifest.model_copy(update={"workers": found}))


def store_workers(writer: RunWriter, workers: Sequence[WorkerRecord]) -> None:
    """Keep in the store what became of each worker."""
    writer.write_workers(
        (w.worker, w.place, ",".join(w.regions), w.offset_ns, w.rtt_ns, w.users, w.lost_s, w.detail) for w in workers
    )
