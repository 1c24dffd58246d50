"""A server of metrics in the format that CockroachDB's documentation shows; it is none of its nodes."""

import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from bench.metrics.nodes import (
    COUNTERS,
    CPU_LEVELS,
    LEVELS,
    NOW_NS,
    OF_CORES,
    SYS_CORES,
    SYS_NS,
    USER_CORES,
    USER_NS,
)

# The first lines are those of the page "Prometheus Endpoint" and "Multi-dimensional Metrics" (docs v26.2).
DOCUMENTED = """\
# HELP sys_cgocalls Total number of cgo calls
# TYPE sys_cgocalls counter
sys_cgocalls{node_id="1",tenant="demoapp"} 13737
# HELP sys_cpu_sys_percent Current system cpu percentage consumed by the CRDB process
# TYPE sys_cpu_sys_percent gauge
sys_cpu_sys_percent{node_id="1",tenant="demoapp"} 0.0021986027879282717
# HELP sql_insert_count Number of SQL INSERT statements successfully executed
# TYPE sql_insert_count counter
sql_insert_count{node_id="1",tenant="system"} 12
sql_insert_count{node_id="1",tenant="demoapp"} 15
# HELP changefeed_error_retries Total retryable errors encountered by all changefeeds
# TYPE changefeed_error_retries counter
changefeed_error_retries{node_id="1"} 3
changefeed_error_retries{node_id="1",scope="default"} 1
changefeed_error_retries{node_id="1",scope="office_dogs"} 2
# HELP sysbytes Number of bytes in system KV pairs
# TYPE sysbytes gauge
sysbytes{store="1",node_id="1"} 41979
sysbytes{store="1",node_id="1",tenant_id="3"} 278
sysbytes{store="2",node_id="1"} 1e3
"""


EVERY = {metric.name: 1000.0 for metric in COUNTERS} | dict.fromkeys((*LEVELS, *CPU_LEVELS), 0.0)


def busy(share: float, cores: int = 4) -> dict[str, float]:
    """Every metric of a node whose process has always used so much of its cores, a quarter of that for the system."""
    now_ns = float(time.time_ns())
    user, system = 0.75 * share * cores, 0.25 * share * cores
    said = {USER_NS: user * now_ns, SYS_NS: system * now_ns, NOW_NS: now_ns}
    return EVERY | said | {USER_CORES: user, SYS_CORES: system, OF_CORES: share}


def exposition(values: Mapping[str, float]) -> str:
    """The documented lines and one of each metric as a node with one store writes it."""
    lines = [f'# TYPE {name} counter\n{name}{{store="1",node_id="1"}} {value!r}' for name, value in values.items()]
    return DOCUMENTED + "\n".join(lines) + "\n"


class Exporter:
    """Serves one text, which may be changed, at the path of metrics; ``hangs`` makes it accept and not answer.

    ``now`` returns the metrics of the moment, where they are not to be those of the text.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.text = DOCUMENTED
        self.now: Callable[[], Mapping[str, float]] | None = None
        self.code = 200
        self.asked = 0
        self.hangs = False
        self.released = threading.Event()


CERTIFICATE = Path(__file__).with_name("certificate.pem")
"""Of localhost and 127.0.0.1, signed by itself, with its key beside it: for these tests and nothing else."""


@contextmanager
def exporter(*, secure: bool = False) -> Iterator[Exporter]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.asked += 1
            if served.hangs:
                served.released.wait(30)
                return
            body = (exposition(served.now()) if served.now else served.text).encode()
            self.send_response(served.code if self.path == "/_status/vars" else 404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if secure:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(CERTIFICATE, CERTIFICATE.with_suffix(".key"))
        server.socket = context.wrap_socket(server.socket, server_side=True)
    served = Exporter(f"http{'s' if secure else ''}://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield served
    finally:
        served.released.set()
        server.shutdown()
        thread.join()
        server.server_close()
