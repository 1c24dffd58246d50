"""Exporting the frames of a run for other programs: CSV, Parquet, or logs of HdrHistogram."""

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Literal

from bench.errors import UsageError
from bench.results.export_folder import staging
from bench.results.export_hdr import write_logs
from bench.results.export_tables import write_tables
from bench.results.read import Run
from bench.results.store import MANIFEST_NAME

Form = Literal["csv", "parquet", "hdr"]

INDEX_VERSION = 1
"""Of ``export.json``.

1  first form.
"""
_NEEDS: dict[Form, tuple[str, str]] = {"parquet": ("pyarrow", "pyarrow"), "hdr": ("hdrh", "hdrhistogram")}


def _require_extra(form: Form) -> None:
    if form not in _NEEDS:
        return
    module, package = _NEEDS[form]
    if find_spec(module) is None:
        raise UsageError(
            f"--format {form} needs the package '{package}', which is not installed",
            hint=f"install it with: pip install {package}",
        )


def export_run(
    run: Run, target: Path, form: Form, *, replace: bool = False, show: Callable[[str], None] = lambda _: None
) -> dict[str, int]:
    """Write the run's frames into a folder and return the rows (or intervals) of each file by name.

    The folder is whole or untouched: files are written under another name and put in place at the end.  A run that is still
    going is exported as it is at this moment.  Raises UsageError when the folder is not empty (without ``replace``) or
    cannot be written, the store is damaged, or the format needs a package that is not installed.
    """
    _require_extra(form)
    with staging(target, replace=replace) as staged:
        run.db.execute("BEGIN")  # one snapshot for all tables
        try:
            written = (
                write_logs(run, staged.folder, show) if form == "hdr" else write_tables(run, staged.folder, form, show)
            )
        finally:
            run.db.rollback()
        (staged.folder / MANIFEST_NAME).write_bytes((run.path / MANIFEST_NAME).read_bytes())
        staged.index.update(
            schema_version=INDEX_VERSION, run=run.manifest.run_id, status=run.status, format=form, rows=written
        )
    return written
