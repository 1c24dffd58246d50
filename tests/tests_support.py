"""Helpers that are no fixtures.  ``conftest.py`` imports this before any test does."""

import importlib
import os
import sys
import time
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

HANG_S = 600.0
"""What hangs is ended after these seconds; no test's pass or failure rests on them, however slow the machine."""

_LEAVE = "LOCUST_SKIP_MONKEY_PATCH"


def _import_unpatched() -> None:
    """Import Locust without its patches for gevent, which the threads of pytest's own workers do not survive.

    Commands under test are processes of their own, and patched: the setting is gone from the environment again.
    """
    os.environ[_LEAVE] = "1"
    importlib.import_module("locust")
    del os.environ[_LEAVE]


_import_unpatched()


def drop_database(connection: "psycopg.Connection[Any]", name: str) -> None:
    """Drop a database; the server gives those who are in it five seconds to leave, and then gives up."""
    until = time.monotonic() + HANG_S
    while True:
        try:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))
            return
        except psycopg.errors.ObjectInUse:
            if time.monotonic() > until:
                raise


def command() -> str:
    """The installed ``bench`` beside this interpreter."""
    return str(Path(sys.executable).with_name("bench"))
