"""Helpers that are no fixtures."""

import sys
from pathlib import Path


def command() -> str:
    """The installed ``bench`` beside this interpreter."""
    return str(Path(sys.executable).with_name("bench"))
