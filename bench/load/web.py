"""Locust's web page for a run: it shows, and its stop button stops; the schedule alone decides on the load."""

import socket
from collections.abc import Callable
from typing import Any

import gevent
from flask import Response, jsonify, request

from bench.errors import UsageError
from bench.load import locust
from bench.load.locust_stats import feed
from bench.metrics.frame import Frame

HOST = "127.0.0.1"
_REFUSED = ("/swarm", "/stats/reset", "/user")
_REASON = "bench plays a schedule made before the run: the load cannot be changed from here"


class WebPage:
    """Serves Locust's page on loopback while a run lasts; UsageError when the port is taken."""

    def __init__(self, port: int) -> None:
        _require_free(port)
        self.url = f"http://{HOST}:{port}"
        self._port = port
        self._stop: Callable[[], None] = lambda: None
        self._environment: Any = None
        self._history: gevent.Greenlet | None = None

    def attach(self, environment: Any, stop: Callable[[], None]) -> None:
        """Begin to serve for an environment that has its runner; the page's stop button calls ``stop``."""
        # Locust would look for its own options on our command line, and end the process over ours.
        locust.argument_parser.ui_extra_args_dict = lambda args=None: {}  # noqa: ARG005
        self._environment = environment
        self._stop = stop
        page = environment.create_web_ui(HOST, self._port, delayed_start=True)
        page.app.before_request(self._guard)
        page.start()
        self._history = gevent.spawn(locust.stats.stats_history, environment.runner)

    def show(self, frame: Frame) -> None:
        """Add a frame to what the page shows."""
        if self._environment is not None:
            feed(self._environment.stats, frame)

    def close(self) -> None:
        """Stop serving."""
        if self._history is not None:
            self._history.kill()
        if self._environment is not None and self._environment.web_ui is not None:
            self._environment.web_ui.stop()

    def _guard(self) -> Response | tuple[Response, int] | None:
        if request.path.endswith("/stop"):
            self._stop()
            return jsonify({"success": True, "message": "sessions in flight end, then the run is audited"})
        if request.path.endswith(_REFUSED):
            return jsonify({"success": False, "message": _REASON}), 403
        return None


def _require_free(port: int) -> None:
    try:
        # Locust binds in a greenlet of its own, where a failure ends the process with a traceback.
        socket.create_server((HOST, port)).close()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UsageError(
            f"the page cannot use port {port}", cause=reason, hint="choose another with --ui PORT"
        ) from None
