"""The lanes of a load, in this process or spread over several.

May import ``lanes``.  numpy and the driver let go of the interpreter's lock for most of their time, so that one process keeps
two connections busy; beyond that, processes do.
"""

import multiprocessing
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from threading import Thread

from bench.data.blocks import Block, DataSet
from bench.data.lanes import Lane, Loaded, Loader, Plan
from bench.errors import BenchError, TargetError

_END_S = 5.0


@contextmanager
def crew(plan: Plan, data: DataSet, processes: int, connections: int) -> Iterator[Sequence[Loader]]:
    """Provide ``connections`` lanes, at least one a process; they are gone when the block ends."""
    if processes <= 1:
        lanes: list[Loader] = [Lane(plan, data) for _ in range(connections)]
        try:
            yield lanes
        finally:
            for lane in lanes:
                lane.close()
        return
    with _processes(plan, processes, max(connections, processes)) as remote:
        yield remote


@contextmanager
def _processes(plan: Plan, processes: int, connections: int) -> Iterator[list[Loader]]:
    # Spawned, not forked: threads and a driver's state do not survive a fork.
    context = multiprocessing.get_context("spawn")
    lanes: list[Loader] = []
    started = []
    try:
        for number in range(processes):
            pipes = [context.Pipe() for _ in range(connections // processes + (number < connections % processes))]
            theirs = [there for _, there in pipes]
            process = context.Process(target=_serve, args=(theirs, plan), name=f"seed-{number}", daemon=True)
            process.start()
            started.append(process)
            for here, there in pipes:
                # Closed on our side, so that a process that dies is seen as the end of its pipe.
                there.close()
                lanes.append(_RemoteLane(here))
        yield lanes
    finally:
        for lane in lanes:
            lane.close()
        for process in started:
            process.join(_END_S)
            if process.is_alive():
                process.terminate()


class _RemoteLane:
    """A lane in another process: blocks go out through a pipe, what became of them comes back."""

    def __init__(self, pipe: "Pipe[Block, Loaded | Exception]") -> None:
        self._pipe = pipe

    def load(self, block: Block) -> Loaded:
        try:
            self._pipe.send(block)
            answer = self._pipe.recv()
        except (EOFError, OSError) as error:
            raise TargetError(
                "a loader process ended before its work did",
                cause="it was killed, or the machine ran out of memory",
                hint="run `bench seed --resume` to go on",
            ) from error
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self) -> None:
        self._pipe.close()


def _serve(pipes: "list[Pipe[Loaded | Exception, Block]]", plan: Plan) -> None:
    """Serve the lanes of one process until the loader closes their pipes, or dies, which closes them too."""
    # Ctrl-C reaches the whole group; the loader decides what it means.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    data = DataSet(plan.spec)
    threads = [Thread(target=_serve_lane, args=(pipe, Lane(plan, data), plan, data)) for pipe in pipes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _serve_lane(pipe: "Pipe[Loaded | Exception, Block]", lane: Lane, plan: Plan, data: DataSet) -> None:
    try:
        while True:
            block = pipe.recv()
            try:
                if plan.ledger and data.parts[block.part].needs_ledger:
                    data.adopt_ledger(plan.ledger)
                answer: Loaded | Exception = lane.load(block)
            except BenchError as error:
                answer = error
            except Exception as error:
                # As text: not every exception goes through a pipe.
                answer = RuntimeError(f"{type(error).__name__}: {error}")
            pipe.send(answer)
    except (EOFError, OSError):
        return
    finally:
        lane.close()
