"""The writing of planned files, in this process or several: which blocks make a file, and how it becomes whole.

May import ``blocks`` and ``files_scripts``.  Files whose blocks share what is costly to find out (the parts of a family)
are a sheaf: one process writes them side by side.
"""

import errno
import hashlib
import multiprocessing
import os
import signal
import tempfile
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from io import FileIO
from itertools import groupby
from multiprocessing.connection import Connection as Pipe
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Protocol

from bench.data.blocks import Block, DataSet, Part, Rows
from bench.data.files_scripts import DataFile
from bench.data.spec import SeedSpec
from bench.db.model import Model
from bench.errors import BenchError, UsageError

DATA = "data"
PARTIAL = ".partial"
BLOCKS_PER_FILE = 20
"""Up to 150 MB of order lines, 130 MB of orders, 90 MB of movements.  Far below the 4 GB that CockroachDB advises as the
most, and enough files for every node to have some ([D:import-performance-best-practices])."""
NO_ROOM = "make room and run the same command again: it goes on after the files that are whole"

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_ACROSS_REGIONS = frozenset({"movements:orders"})
"""Parts whose rows may be of another region than the units that they are made from."""


@dataclass(frozen=True, slots=True)
class PlannedFile:
    """A file to be: rows of one table and, where ``region`` is given, of one region."""

    name: str
    table: str
    region: str | None


@dataclass(frozen=True, slots=True)
class Sheaf:
    """Files that are written side by side; ``blocks`` in the order of making, each with the name of its file."""

    files: tuple[PlannedFile, ...]
    blocks: tuple[tuple[str, Block], ...]
    needs_ledger: bool

    def without(self, names: Collection[str]) -> "Sheaf | None":
        """Return what is left when files of these names are whole, None when all are."""
        files = tuple(file for file in self.files if file.name not in names)
        blocks = tuple((name, block) for name, block in self.blocks if name not in names)
        return Sheaf(files, blocks, self.needs_ledger) if files else None


class Watcher(Protocol):
    """Who is told of the writing, perhaps from several threads."""

    def made(self, file: str, rows: int, size: int) -> None:
        """Tell that rows of a file are written."""
        ...

    def whole(self, entry: DataFile) -> None:
        """Tell that a file is whole."""
        ...


def plan_sheaves(
    data: DataSet, model: Model, tables: frozenset[str] | None = None, blocks_per_file: int = BLOCKS_PER_FILE
) -> list[Sheaf]:
    """Return the files of a data set by sheaf; the same for the same arguments."""
    cut = list(_pieces(data, tables, blocks_per_file))
    count: dict[str, int] = {}
    for piece in cut:
        for table in _parts(data, piece).values():
            count[table] = count.get(table, 0) + 1
    number = dict.fromkeys(count, 0)
    sheaves = []
    for piece in cut:
        files: dict[str, PlannedFile] = {}
        for part, table in _parts(data, piece).items():
            number[table] += 1
            name = f"{DATA}/{table}.{number[table]:0{max(3, len(str(count[table])))}}.csv"
            files[part] = PlannedFile(name, table, _region(data, model, data.parts[part], piece[0]))
        needs_ledger = any(data.parts[part].needs_ledger for part in files)
        sheaves.append(
            Sheaf(tuple(files.values()), tuple((files[block.part].name, block) for block in piece), needs_ledger)
        )
    return sheaves


def _pieces(data: DataSet, tables: frozenset[str] | None, most: int) -> Iterator[list[Block]]:
    """Yield the blocks cut into pieces: of one family and region, and of at most so many blocks of each part."""

    def kin(block: Block) -> tuple[str, str]:
        return data.parts[block.part].family or block.part, data.region_of(block)

    for _, group in groupby(data.blocks(tables), key=kin):
        ranges = [list(blocks) for _, blocks in groupby(group, key=lambda block: (block.first, block.count))]
        # Pieces of like size, as an import shares out whole files: none is a sliver.
        count = -(-len(ranges) // most)
        for piece in range(count):
            chosen = ranges[len(ranges) * piece // count : len(ranges) * (piece + 1) // count]
            yield [block for blocks in chosen for block in blocks]


def _parts(data: DataSet, piece: Sequence[Block]) -> dict[str, str]:
    return {block.part: data.parts[block.part].table for block in piece}


def _region(data: DataSet, model: Model, part: Part, block: Block) -> str | None:
    covered = {span.region for span in part.spans}
    is_regional = model.table(part.table).is_regional and len(covered) == len(data.spec.regions)
    return data.region_of(block) if is_regional and part.name not in _ACROSS_REGIONS else None


# ---- one process ----


def write_sheaf(folder: Path, data: DataSet, sheaf: Sheaf, watcher: Watcher) -> None:
    """Write the files of a sheaf; UsageError when one cannot be written, which leaves those that are whole."""
    last = {name: number for number, (name, _) in enumerate(sheaf.blocks)}
    planned = {file.name: file for file in sheaf.files}
    with ExitStack() as stack:
        opened: dict[str, _Growing] = {}
        for number, (name, block) in enumerate(sheaf.blocks):
            if name not in opened:
                opened[name] = stack.enter_context(_growing(folder, planned[name]))
            rows = data.make(block, "csv")
            opened[name].add(rows)
            watcher.made(name, rows.count, len(rows.body))
            if last[name] == number:
                watcher.whole(opened[name].close())


@dataclass(slots=True)
class _Growing:
    """A file that is not whole yet."""

    planned: PlannedFile
    path: Path
    partial: Path
    file: FileIO
    columns: tuple[str, ...] = ()
    rows: int = 0
    bytes: int = 0
    digest: Any = field(default_factory=hashlib.sha256)

    def add(self, rows: Rows) -> None:
        """Write rows."""
        self.columns = rows.columns or self.columns
        self.rows += rows.count
        self.bytes += len(rows.body)
        self.digest.update(rows.body)
        view = memoryview(rows.body)
        with explained(self.path):
            while view:
                view = view[self.file.write(view) :]

    def close(self) -> DataFile:
        """Bring the file to the disk and under its name."""
        with explained(self.path):
            os.fsync(self.file.fileno())
            self.file.close()
            # What has no rows has nothing to import; that it was made stands in the journal.
            if self.rows:
                os.replace(self.partial, self.path)
        planned, digest = self.planned, self.digest.hexdigest()
        return DataFile(planned.name, planned.table, planned.region, self.columns, self.rows, self.bytes, digest)


@contextmanager
def _growing(folder: Path, planned: PlannedFile) -> Iterator[_Growing]:
    path = folder / planned.name
    # A name of this process alone: one of an export that was killed may write on for a moment.
    partial = path.with_name(f"{path.name}.{os.getpid()}{PARTIAL}")
    try:
        with explained(path):
            file = FileIO(partial, "wb")
        with file:
            yield _Growing(planned, path, partial, file)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of the file system into a UsageError that says what to do."""
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in _NO_SPACE:
            raise UsageError(f"no room for '{path}'", cause=reason, hint=NO_ROOM) from error
        raise UsageError(f"'{path}' cannot be written", cause=reason, hint="name another folder") from error


def replace(path: Path, text: str) -> None:
    """Write a small file so that it is there as a whole or as it was before; OSError where that fails."""
    partial = path.with_name(path.name + PARTIAL)
    try:
        with open(partial, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError:
        partial.unlink(missing_ok=True)
        raise


# ---- several processes ----


def write_sheaves(folder: Path, data: DataSet, sheaves: Sequence[Sheaf], processes: int, watcher: Watcher) -> None:
    """Write sheaves in this process, or each in one of several; UsageError as for one."""
    if processes <= 1 or len(sheaves) <= 1:
        for sheaf in sheaves:
            write_sheaf(folder, data, sheaf, watcher)
        return
    count = min(processes, len(sheaves))
    with ExitStack() as stack:
        sums = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="shopbench-")))
        threads = stack.enter_context(ThreadPoolExecutor(count + 1))
        pipes: SimpleQueue[Pipe[Sheaf, Any]] = SimpleQueue()
        for pipe in stack.enter_context(_writers(folder, data.spec, sums, count)):
            pipes.put(pipe)
        saved = threads.submit(lambda: data.ledger.save(sums))

        def task(sheaf: Sheaf) -> None:
            if sheaf.needs_ledger:
                saved.result()
            pipe = pipes.get()
            try:
                _remote(pipe, sheaf, watcher)
            finally:
                pipes.put(pipe)

        tasks = [threads.submit(task, sheaf) for sheaf in sheaves]
        try:
            for done in tasks:
                done.result()
        finally:
            for waiting in tasks:
                waiting.cancel()


def _remote(pipe: "Pipe[Sheaf, Any]", sheaf: Sheaf, watcher: Watcher) -> None:
    with _lost():
        pipe.send(sheaf)
    while True:
        with _lost():
            answer = pipe.recv()
        if answer is None:
            return
        if isinstance(answer, BenchError):
            raise answer
        watcher.made(answer.name, answer.rows, answer.bytes)
        watcher.whole(answer)


@contextmanager
def _lost() -> Iterator[None]:
    """Turn the end of a pipe into an error that says what to do."""
    try:
        yield
    except (EOFError, OSError) as error:
        raise UsageError(
            "a process that writes files ended before its work did",
            cause="it was killed, or the machine ran out of memory",
            hint="run the same command again, with fewer --processes: it goes on after the files that are whole",
        ) from error


@contextmanager
def _writers(folder: Path, spec: SeedSpec, sums: Path, count: int) -> "Iterator[list[Pipe[Sheaf, Any]]]":
    # Spawned, not forked: threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    pipes, started = [], []
    try:
        for number in range(count):
            here, there = context.Pipe()
            process = context.Process(
                target=_serve, args=(there, folder, spec, sums), name=f"export-{number}", daemon=True
            )
            process.start()
            started.append(process)
            # Closed on our side, so that a process that dies is seen as the end of its pipe.
            there.close()
            pipes.append(here)
        yield pipes
    except BaseException:
        # What they are writing is not needed; a process that reads from its pipe would not notice that we close ours.
        for process in started:
            process.terminate()
        raise
    finally:
        for pipe in pipes:
            pipe.close()
        for process in started:
            process.join()
        for leftover in (folder / DATA).glob(f"*{PARTIAL}"):
            leftover.unlink(missing_ok=True)


class _Sender:
    """The watcher of a process: sends each whole file through its pipe."""

    def __init__(self, pipe: "Pipe[Any, Sheaf]") -> None:
        self._pipe = pipe

    def made(self, file: str, rows: int, size: int) -> None:
        """Do nothing: rows count when their file is whole."""

    def whole(self, entry: DataFile) -> None:
        """Send it."""
        self._pipe.send(entry)


def _serve(pipe: "Pipe[Any, Sheaf]", folder: Path, spec: SeedSpec, sums: Path) -> None:
    """Write the sheaves that come through a pipe until the export closes it, or dies, which closes it too."""
    # Ctrl-C reaches the whole group; the export decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    data = DataSet(spec)
    try:
        while True:
            sheaf = pipe.recv()
            if sheaf.needs_ledger:
                data.adopt_ledger(sums)
            try:
                write_sheaf(folder, data, sheaf, _Sender(pipe))
                answer: BenchError | None = None
            except BenchError as error:
                answer = error
            pipe.send(answer)
    except (EOFError, OSError):
        return
