"""The versions of the files of a run, and what changed in each.

Raise ``STORE_VERSION`` when a table or the packing of a histogram changes, ``MANIFEST_VERSION`` when a key of
manifest.json changes its meaning; readers accept every version up to their own.  New optional keys do not raise it.
"""

from bench.errors import UsageError

# run.sqlite
# 1  frames of one second; histograms as bench.metrics.histogram packs them (1024 buckets an octave).
# 2  retries by key, slow samples taken apart, contenders, counters by phase, checks during the run, several workers a frame.
# 3  sums of statements over many frames.
STORE_VERSION = 3

# manifest.json
# 1  first form.
MANIFEST_VERSION = 1


def check_version(what: str, found: int, known: int) -> None:
    """Raise UsageError when a file was written in a newer format than this version reads."""
    if found > known:
        raise UsageError(
            f"{what} has format {found}, and this version of bench reads up to {known}",
            hint="install a newer shopbench (manifest.json names the version that wrote it)",
        )
    if found < 1:
        raise UsageError(
            f"{what} has format {found}, which never existed", hint="the file is damaged: choose another run"
        )
