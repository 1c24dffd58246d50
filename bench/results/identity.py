"""What makes two runs comparable: their fields, one by one, and how they differ."""

import json
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from pydantic import JsonValue

from bench.results.manifest import Manifest

_INSTRUMENTS = ("psycopg", "gevent", "locust")
"""What sends and times the statements; the rest of the libraries makes data and reports."""
_FREE = ("question", "objectives", "name")
"""Keys of a scenario that change nothing of what is measured."""
_GIB = 2**30

Identity = dict[str, str]


class Difference(NamedTuple):
    """A field in which two runs differ, with both values; empty where one has none."""

    field: str
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.field}: {self.before or 'nothing'} and {self.after or 'nothing'}"


def identity(manifest: Manifest) -> Identity:
    """Return the fields in which comparable runs agree: machine, server, schema, data, scenario, instruments."""
    return {name: value for name, value in _fields(manifest) if value not in ("", "null")}


def circumstances(manifest: Manifest) -> Identity:
    """Return the fields in which they may differ, and a reader should know: kernel, patch levels, the code under test."""
    others = {f"versions.{name}": value for name, value in manifest.versions.items() if name not in _INSTRUMENTS}
    git = {"git.commit": manifest.git.commit} if manifest.git else {}
    machine = {"machine.os": manifest.machine.os, "machine.python": manifest.machine.python}
    return {**machine, "bench_version": manifest.bench_version, **others, **git}


def differences(before: Identity, after: Identity) -> tuple[Difference, ...]:
    """Return the fields in which two runs differ, in order of their names."""
    names = sorted({*before, *after})
    found = (Difference(name, before.get(name, ""), after.get(name, "")) for name in names)
    return tuple(each for each in found if each.before != each.after)


def is_allowed(field: str, allowed: Sequence[str]) -> bool:
    """Return whether a field is one of those that were allowed to differ, or lies below one.

    >>> is_allowed("data.checksums.orders", ["data"]), is_allowed("database", ["data"])
    (True, False)
    """
    return any(field == name or field.startswith((f"{name}.", f"{name}[")) for name in allowed)


def _fields(manifest: Manifest) -> Iterator[tuple[str, str]]:
    yield from _machine(manifest)
    target, data = manifest.target, manifest.data
    yield "target.kind", target.kind
    yield "target.dialect", target.dialect
    yield "target.server_version", target.server_version
    yield "target.variant", target.variant
    yield "target.isolation", target.isolation
    yield from ((f"target.settings.{name}", value) for name, value in target.settings.items())
    yield "schema", manifest.schema_fingerprint
    yield "data.scale", data.scale
    yield "data.seed", str(data.seed)
    yield "data.fingerprint", data.fingerprint
    yield from ((f"data.checksums.{table}", value) for table, value in data.checksums.items())
    yield "regions", ", ".join(manifest.regions)
    yield from ((f"distance_ms.{region}", f"{ms:g}") for region, ms in (manifest.distance_ms or {}).items())
    yield "workload", manifest.workload
    yield "seed", str(manifest.seed)
    yield "workers", str(len(manifest.workers))
    yield from _flat("scenario", {key: value for key, value in manifest.scenario.items() if key not in _FREE})
    yield from ((f"versions.{name}", manifest.versions.get(name, "")) for name in _INSTRUMENTS)


def _machine(manifest: Manifest) -> Iterator[tuple[str, str]]:
    machine = manifest.machine
    yield "machine.system", machine.os.split()[0] if machine.os else ""
    yield "machine.cpu_model", machine.cpu_model
    yield "machine.cpus", str(machine.cpus)
    # Machines of one class differ by some megabytes that the firmware keeps.
    yield "machine.memory_gib", str(round(machine.memory_bytes / _GIB)) if machine.memory_bytes else ""
    yield "machine.python_minor", ".".join(machine.python.split(".")[:2])


def _flat(path: str, value: JsonValue) -> Iterator[tuple[str, str]]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _flat(f"{path}.{key}", each)
    elif isinstance(value, list) and any(isinstance(each, dict | list) for each in value):
        for number, each in enumerate(value):
            yield from _flat(f"{path}[{number}]", each)
    else:
        yield path, value if isinstance(value, str) else json.dumps(value)
