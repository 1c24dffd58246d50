"""Exported files: what they hold, that an export can be interrupted anywhere, and that they load to the same rows."""

import csv
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from bench.audit.audit import run_audit
from bench.cli.auditing import snapshot_executor
from bench.data import files, files_writing
from bench.data.blocks import DataSet
from bench.data.files import FilesOptions, FilesProgress, FilesReport, schemas_for, write_files
from bench.data.files_scripts import file_url
from bench.data.loader import with_parents
from bench.data.spec import SeedSpec, row_counts
from bench.db.admin import Admin, require_schema
from bench.db.catalogue import Catalogue, read_package
from bench.db.check import differences
from bench.db.connection import connect
from bench.db.ddl import load_schema
from bench.db.scripts import validate
from bench.errors import UsageError

from .conftest import AS_OF, REGIONS, TINY, Loaded, checksums

ALL = FilesOptions()
SMALL_FILES = FilesOptions(blocks_per_file=1)
EXPORT = """
import sys
from datetime import date
from pathlib import Path
from bench.data.blocks import DataSet
from bench.data.files import FilesOptions, schemas_for, write_files
from bench.data.spec import SeedSpec

if __name__ == "__main__":
    spec = SeedSpec("tiny", 7, date(2026, 11, 1), ("us-east", "us-west", "eu-west", "asia-pac"))
    def told(progress):
        print(progress.files_done, flush=True)
        if progress.files_done >= 3:
            sys.stdin.readline()
    options = FilesOptions(processes=int(sys.argv[2]))
    write_files(Path(sys.argv[1]), DataSet(spec), schemas_for(spec), options, told)
"""


def export(folder: Path, data: DataSet, options: FilesOptions = ALL, **more: Any) -> FilesReport:
    return write_files(folder, data, schemas_for(data.spec), options, **more)


def manifest(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "manifest.json").read_text())


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("files") / "shop"
    export(folder, DataSet(TINY))
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A folder of the same name as ``exported``, so that scripts are the same."""
    return tmp_path / "shop"


# ---- what the folder holds ----


def test_the_manifest_counts_what_is_there(exported: Path):
    found = manifest(exported)
    tables = load_schema("pg", REGIONS, AS_OF).model.tables
    assert list(found["tables"]) == [table.name for table in tables]
    for table in tables:
        entry = found["tables"][table.name]
        assert set(entry["columns"]) == {column.name for column in table.writable_columns}
        assert entry["files"]
        for file in entry["files"]:
            body = (exported / file["name"]).read_bytes()
            assert (len(body), hashlib.sha256(body).hexdigest()) == (file["bytes"], file["sha256"])
            rows = list(csv.reader(body.decode().splitlines(keepends=True)))
            assert len(rows) == file["rows"] > 0
            assert {len(row) for row in rows} == {len(entry["columns"])}
        for total in ("rows", "bytes"):
            assert entry[total] == sum(file[total] for file in entry["files"])
    assert found["identity"]["data_fingerprint"] == TINY.fingerprint
    assert {s["variant"]: s["fingerprint"] for s in found["schemas"]} == {
        name: load_schema(name, REGIONS, AS_OF).fingerprint for name in ("pg", "crdb_rbr")
    }


def test_there_is_nothing_else(exported: Path):
    names = {file["name"] for table in manifest(exported)["tables"].values() for file in table["files"]}
    assert {str(path.relative_to(exported)) for path in (exported / "data").iterdir()} == names
    top = {"README.md", "SHA256SUMS", "cockroach", "data", "manifest.json", "postgres"}
    assert {path.name for path in exported.iterdir()} == top


def test_sums_are_those_of_sha256sum(exported: Path):
    if not shutil.which("sha256sum"):
        pytest.skip("sha256sum is not installed")
    done = subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=exported, check=False, capture_output=True)
    assert (done.returncode, done.stdout) == (0, b"")
    assert len((exported / "SHA256SUMS").read_text().splitlines()) == len(list((exported / "data").iterdir()))


def test_a_file_of_a_region_holds_no_other(exported: Path):
    seen = set()
    for table in manifest(exported)["tables"].values():
        for file in table["files"]:
            if file["region"]:
                at = table["columns"].index("region")
                lines = (exported / file["name"]).read_text().splitlines(keepends=True)
                assert {row[at] for row in csv.reader(lines)} == {file["region"]}, file["name"]
                seen.add(file["region"])
    assert seen == set(REGIONS)


def test_every_regional_table_has_a_file_for_each_region(exported: Path):
    whole = {"coupon_allotments"}
    for table in load_schema("pg", REGIONS, AS_OF).model.tables:
        if table.is_regional and table.name not in whole:
            held = {file["region"] for file in manifest(exported)["tables"][table.name]["files"]}
            assert held >= set(REGIONS), table.name


def test_files_are_bounded_and_alike(small_data: DataSet):
    model = load_schema("pg", REGIONS, AS_OF).model
    sheaves = files_writing.plan_sheaves(small_data, model, blocks_per_file=2)
    blocks: dict[str, int] = {}
    for sheaf in sheaves:
        for name, _ in sheaf.blocks:
            blocks[name] = blocks.get(name, 0) + 1
    assert max(blocks.values()) == 2
    assert len(blocks) == sum(len(sheaf.files) for sheaf in sheaves)
    planned = sorted((block for sheaf in sheaves for _, block in sheaf.blocks), key=str)
    assert planned == sorted(small_data.blocks(), key=str)


# ---- the same files, however they were made ----


@pytest.mark.slow
def test_several_processes_write_the_same_files(exported: Path, target: Path):
    report = export(target, DataSet(TINY), FilesOptions(processes=2))
    assert contents(target) == contents(exported)
    assert report.kept == 0


def test_a_second_export_keeps_what_is_whole(exported: Path, target: Path):
    shutil.copytree(exported, target)
    (target / "data" / "orders.002.csv").unlink()
    with (target / "data" / "users.001.csv").open("ab") as file:
        file.write(b"x")
    before = {path.name: path.stat().st_mtime_ns for path in (target / "data").iterdir()}
    report = export(target, DataSet(TINY))
    assert contents(target) == contents(exported)
    after = {path.name: path.stat().st_mtime_ns for path in (target / "data").iterdir()}
    assert {name for name in after if after[name] != before.get(name)} == {"orders.002.csv", "users.001.csv"}
    assert report.kept == report.files - 2
    assert report.rows == {name: table["rows"] for name, table in manifest(exported)["tables"].items()}


def test_a_folder_that_is_being_mended_does_not_look_whole(exported: Path, target: Path):
    shutil.copytree(exported, target)
    (target / "data" / "orders.002.csv").unlink()
    seen: list[bool] = []
    export(target, DataSet(TINY), progress=lambda _: seen.append((target / "manifest.json").exists()))
    assert seen
    assert not any(seen)


def test_another_variant_rewrites_the_scripts_only(exported: Path, target: Path):
    shutil.copytree(exported, target)
    report = write_files(
        target, DataSet(TINY), schemas_for(TINY, "crdb_single"), FilesOptions(base_url="s3://b/f?AUTH=implicit")
    )
    assert report.kept == report.files > 0
    changed = {name for name, body in contents(target).items() if body != contents(exported)[name]}
    assert not [name for name in changed if name.startswith(("data/", "postgres/"))]
    assert {"manifest.json", "README.md", "cockroach/schema.sql", "cockroach/import/11_orders.sql"} <= changed
    assert "'s3://b/f/data/orders.001.csv?AUTH=implicit'" in (target / "cockroach/import/11_orders.sql").read_text()
    assert "LOCALITY" not in (target / "cockroach/schema.sql").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_an_export_that_was_killed_is_finished(exported: Path, target: Path, processes: int, tmp_path: Path):
    script = tmp_path / "export.py"
    script.write_text(EXPORT)
    command = [sys.executable, "-P", str(script), str(target), str(processes)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout
        # The export waits for its standard input once three files are whole.
        while int(child.stdout.readline()) < 3:
            pass
        os.kill(child.pid, signal.SIGKILL)
        # Its writers end with the file at hand; the last one to go closes the pipe.
        child.stdout.read()
    assert child.returncode == -signal.SIGKILL
    assert not (target / "manifest.json").exists()
    whole = [path for path in (target / "data").iterdir() if path.suffix == ".csv"]
    assert whole
    assert all(path.read_bytes() == (exported / "data" / path.name).read_bytes() for path in whole)
    report = export(target, DataSet(TINY))
    assert report.kept >= 3
    assert contents(target) == contents(exported)


def test_a_line_that_was_cut_off_does_not_count(exported: Path, target: Path):
    class Stopped(Exception):
        pass

    def stop(progress: FilesProgress) -> None:
        if progress.files_done == 4:
            raise Stopped

    with pytest.raises(Stopped):
        export(target, DataSet(TINY), progress=stop)
    journal = target / files.JOURNAL
    journal.write_text(journal.read_text()[:-5])
    report = export(target, DataSet(TINY))
    assert report.kept == 3
    assert contents(target) == contents(exported)


# ---- what stands in the way ----


def test_a_foreign_folder_is_not_touched(target: Path):
    target.mkdir()
    (target / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is not empty: it holds 'thesis\.txt'"):
        export(target, DataSet(TINY))
    assert contents(target) == {"thesis.txt": b"mine"}


def test_a_folder_with_another_manifest_is_not_touched(target: Path):
    target.mkdir()
    (target / "manifest.json").write_text('{"name": "web app"}')
    with pytest.raises(UsageError, match="is not empty"):
        export(target, DataSet(TINY))
    assert contents(target) == {"manifest.json": b'{"name": "web app"}'}


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_folder_of_other_data_is_not_touched(exported: Path, target: Path, interrupted: bool):
    shutil.copytree(exported, target)
    if interrupted:
        (target / files.JOURNAL).write_text(json.dumps(manifest(target)["identity"]) + "\n")
    before = contents(target)
    with pytest.raises(UsageError, match="other data") as caught:
        export(target, DataSet(replace(TINY, seed=8)))
    assert "seed=7" in str(caught.value.cause)
    assert "seed=8" in str(caught.value.cause)
    assert contents(target) == before


def test_two_exports_do_not_share_a_folder(exported: Path, target: Path):
    seen = []

    def meanwhile(progress: FilesProgress) -> None:
        if not seen:
            with pytest.raises(UsageError, match="another export"):
                export(target, DataSet(TINY))
            seen.append(progress)

    export(target, DataSet(TINY), progress=meanwhile)
    assert seen
    assert contents(target) == contents(exported)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full: the kernel has no disk that is full")
@pytest.mark.parametrize("processes", [1, 2])
def test_a_full_disk_is_said_and_what_is_whole_stays(exported: Path, target: Path, processes: int, monkeypatch):
    class FullDisk(files_writing.FileIO):
        """The partial file of one table on a disk that is full."""

    def opened(path: Path, mode: str) -> Any:
        return FullDisk("/dev/full" if "order_items.002" in path.name else path, mode)

    if processes == 1:
        monkeypatch.setattr(files_writing, "FileIO", opened)
    else:
        # The processes are spawned, so what stands in their way must be on the disk.
        (target / "data").mkdir(parents=True)
        (target / "data" / "order_items.002.csv").mkdir()
        (target / files.JOURNAL).write_text(json.dumps(manifest(exported)["identity"]) + "\n")
    with pytest.raises(UsageError) as caught:
        export(target, DataSet(TINY), FilesOptions(processes=processes))
    assert "data/order_items.002.csv'" in caught.value.message
    assert caught.value.hint
    if processes == 1:
        assert caught.value.message.startswith("no room for")
        assert re.search(r"No space left on device; \d+ of 62 files are whole", str(caught.value.cause))
    whole = [path for path in (target / "data").iterdir() if path.is_file() and path.suffix == ".csv"]
    assert whole
    assert all(path.read_bytes() == (exported / "data" / path.name).read_bytes() for path in whole)
    assert not (target / "manifest.json").exists()
    monkeypatch.undo()
    if processes > 1:
        (target / "data" / "order_items.002.csv").rmdir()
    assert not list((target / "data").glob("*.partial"))
    assert export(target, DataSet(TINY)).kept > 0
    assert contents(target) == contents(exported)


@pytest.mark.slow
def test_the_end_of_a_writing_process_is_said(exported: Path, target: Path):
    def kill(progress: FilesProgress) -> None:
        for child in multiprocessing.active_children():
            child.kill()

    with pytest.raises(UsageError, match="ended before its work did"):
        export(target, DataSet(TINY), FilesOptions(processes=2), progress=kill)
    assert not list((target / "data").glob("*.partial"))
    assert export(target, DataSet(TINY)).kept > 0
    assert contents(target) == contents(exported)


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written") as caught:
        export(tmp_path / "file" / "shop", DataSet(TINY))
    assert caught.value.cause == "Not a directory"


def test_a_base_that_is_no_url_is_refused(target: Path):
    with pytest.raises(UsageError, match="'bucket/folder' is not a URL"):
        export(target, DataSet(TINY), FilesOptions(base_url="bucket/folder"))
    assert not target.exists()


def test_progress_reaches_the_end(target: Path):
    told: list[FilesProgress] = []
    report = export(target, DataSet(TINY), SMALL_FILES, progress=told.append)
    assert [p.rows for p in told] == sorted(p.rows for p in told)
    assert (told[-1].rows, told[-1].bytes) == (report.total_rows, report.bytes)
    assert told[-1].files_done == told[-1].files >= report.files
    assert told[-1].expected_rows == sum(row_counts(TINY).values())


# ---- loading ----


def statements(script: str) -> Iterator[str]:
    """Yield what psql would do, one statement or command after the other."""
    held = ""
    for line in script.splitlines(keepends=True):
        if not held and line.startswith(("\\", "--")):
            yield line.strip()
            continue
        held += line
        if line.rstrip().endswith(";") and held.count("$$") % 2 == 0:
            yield held.strip()
            held = ""
    assert not held.strip()


def interpret(folder: Path, url: str) -> None:
    """Do what psql does with load.sql, where there is no psql."""
    copy = re.compile(r"\\copy (.*) FROM '(.*)' WITH \(FORMAT csv\)")
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements((folder / "postgres" / "load.sql").read_text()):
            if found := copy.fullmatch(statement):
                with connection.cursor().copy(f"COPY {found[1]} FROM STDIN WITH (FORMAT csv)") as sink:
                    sink.write((folder / found[2]).read_bytes())
            elif not statement.startswith(("\\set ", "\\echo ", "\\encoding ", "--")):
                connection.execute(statement)


def psql(folder: Path, url: str) -> None:
    program = shutil.which("psql")
    if not program:
        pytest.skip("psql is not installed")
    command = [program, url, "-X", "-q", "-f", "postgres/load.sql"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""


@pytest.mark.parametrize("load", [interpret, psql])
def test_the_files_load_to_the_same_database(exported: Path, tiny: Loaded, fresh_database: str, load):
    load(exported, fresh_database)
    assert checksums(fresh_database) == checksums(tiny.url)
    schema = load_schema("pg", REGIONS, AS_OF)
    with closing(connect(fresh_database)) as connection:
        admin = Admin.of(connection, "postgres")
        assert differences(admin, schema) == []
        meta = admin.meta()
        require_schema(meta, schema, "here")
        assert json.loads(meta["rows"]) == {name: count for name, (count, _) in checksums(tiny.url).items()}
        assert (meta["data_fingerprint"], meta["schema_fingerprint"]) == (TINY.fingerprint, schema.fingerprint)
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", meta["loaded_at"])
        numbers = connection.execute(
            "SELECT max(right(order_number, 10))::BIGINT, nextval('order_number_seq') FROM orders"
        )
        last, following = numbers.fetchone() or (0, 0)
        assert following > last
        catalogue = Catalogue.load([read_package(p, "sql") for p in ("bench.db", "bench.audit")], "postgres")
        with snapshot_executor(connection, catalogue) as execute:
            findings = run_audit(execute, None, None)
        assert findings
        assert [finding for finding in findings if not finding.passed] == []


def test_a_seeded_database_is_not_loaded_over(exported: Path, fresh_database: str):
    interpret(exported, fresh_database)
    with pytest.raises(psycopg.errors.DuplicateObject):
        interpret(exported, fresh_database)
    with closing(connect(fresh_database)) as connection:
        assert Admin.of(connection, "postgres").meta()["state"] == "ready"


def test_some_tables_make_a_database_that_says_so(target: Path, tiny: Loaded, fresh_database: str):
    schema = load_schema("pg", REGIONS, AS_OF)
    chosen = with_parents(schema.model, ["orders", "products"])
    report = export(target, DataSet(TINY), FilesOptions(tables=chosen))
    assert set(report.rows) == chosen == {"orders", "products", "users", "categories"}
    interpret(target, fresh_database)
    wanted = {table: found if table in chosen else (0, "0") for table, found in checksums(tiny.url).items()}
    assert checksums(fresh_database) == wanted
    with closing(connect(fresh_database)) as connection:
        meta = Admin.of(connection, "postgres").meta()
        assert differences(Admin.of(connection, "postgres"), schema) == []
    assert (meta["state"], meta["only"]) == ("partial", "categories,orders,products,users")


def test_a_table_without_its_parents_loads_without_that_reference(target: Path, fresh_database: str):
    export(target, DataSet(TINY), FilesOptions(tables=frozenset({"user_addresses"})))
    interpret(target, fresh_database)
    with psycopg.connect(fresh_database) as connection:
        query = "SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND conrelid = 'user_addresses'::regclass"
        assert connection.execute(query).fetchone() == (0,)


def test_the_partitioned_variant_loads_too(target: Path, tiny: Loaded, fresh_database: str):
    write_files(target, DataSet(TINY), schemas_for(TINY, "pg_partitioned"))
    interpret(target, fresh_database)
    assert checksums(fresh_database) == checksums(tiny.url)


# ---- CockroachDB ----


def test_every_file_is_imported_once(exported: Path):
    listed: list[str] = []
    for script in sorted((exported / "cockroach" / "import").iterdir()):
        table = script.stem[3:]
        found = re.findall(r"'nodelocal://1/shop/(data/[^']*)'", script.read_text())
        assert found == [file["name"] for file in manifest(exported)["tables"][table]["files"]]
        columns = re.search(r"\((.*?)\) CSV DATA", script.read_text())
        assert columns
        assert columns[1].replace('"', "").split(", ") == manifest(exported)["tables"][table]["columns"]
        listed += found
    assert sorted(listed) == sorted(f"data/{path.name}" for path in (exported / "data").iterdir())


def test_the_cockroach_scripts_make_the_whole_schema(exported: Path):
    text = "".join(path.read_text() for path in sorted((exported / "cockroach").glob("*.sql")))
    for ddl in load_schema("crdb_rbr", REGIONS, AS_OF).statements:
        assert f"{ddl.sql};\n" in text, ddl.name


def test_checks_are_named_as_cockroach_names_them():
    model = load_schema("crdb_rbr", REGIONS, AS_OF).model
    names = {
        name for table in model.tables for line in validate(table) for name in re.findall(r'CONSTRAINT "(.*)"', line)
    }
    assert {"check_rating_rating", "check_price", "orders_status_check"} <= names
    written = sum(column.definition.count("CHECK (") for table in model.tables for column in table.columns)
    assert sum(len(validate(table)) for table in model.tables) == written + sum(len(t.checks) for t in model.tables)


def test_large_data_gets_its_indexes_after_the_import(exported: Path, target: Path, monkeypatch):
    def order(folder: Path) -> bool:
        text = (folder / "README.md").read_text()
        return text.index("-f cockroach/indexes.sql") < text.index("cat cockroach/import")

    assert order(exported)
    monkeypatch.setattr(files.files_scripts, "LARGE_IMPORT_BYTES", 1)
    export(target, DataSet(TINY))
    assert not order(target)


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("nodelocal://1/shop", "nodelocal://1/shop/data/a.csv"),
        ("userfile:///shop/", "userfile:///shop/data/a.csv"),
        ("s3://b/f?AUTH=specified&AWS_ACCESS_KEY_ID=k", "s3://b/f/data/a.csv?AUTH=specified&AWS_ACCESS_KEY_ID=k"),
    ],
)
def test_urls_keep_their_parameters(base: str, url: str):
    assert file_url(base, "data/a.csv") == url


def test_a_variant_takes_the_place_of_its_databases_usual_one():
    spec: SeedSpec = TINY
    assert [s.variant for s in schemas_for(spec)] == ["pg", "crdb_rbr"]
    assert [s.variant for s in schemas_for(spec, "pg_partitioned")] == ["pg_partitioned", "crdb_rbr"]
    assert [s.variant for s in schemas_for(spec, "crdb_single")] == ["pg", "crdb_single"]
