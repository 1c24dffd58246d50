"""Helpers that are no fixtures.  ``conftest.py`` imports this before any test does."""

import importlib
import os
import sys
from pathlib import Path

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


def command() -> str:
    """The installed ``bench`` beside this interpreter."""
    return str(Path(sys.executable).with_name("bench"))
