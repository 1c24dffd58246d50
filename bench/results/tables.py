"""The tables of run.sqlite: one for each kind of cell, named and typed so that anyone can query them with sqlite3.

Histograms are BLOBs (``Histogram.to_bytes``), lists are JSON text.  A table's columns are in the order of the fields of
the record that it keeps, after ``frame``.  ``statement_sums`` repeats what ``statements`` holds, merged over many frames:
each of its rows stands for rows of ``statements`` up to ``until_rowid``, and those after the last one are in no sum yet.
"""

DDL = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE frames (frame INTEGER PRIMARY KEY, elapsed_s REAL NOT NULL, unix_s REAL NOT NULL);
CREATE TABLE transactions (
    frame INTEGER NOT NULL, phase TEXT NOT NULL, region TEXT NOT NULL, name TEXT NOT NULL, outcome TEXT NOT NULL,
    kind TEXT NOT NULL, count INTEGER NOT NULL, attempts INTEGER NOT NULL, response BLOB NOT NULL, service BLOB NOT NULL
);
CREATE TABLE statements (
    frame INTEGER NOT NULL, phase TEXT NOT NULL, region TEXT NOT NULL, transaction_name TEXT NOT NULL,
    statement TEXT NOT NULL, count INTEGER NOT NULL, errors INTEGER NOT NULL, time BLOB NOT NULL
);
CREATE TABLE statement_sums (
    until_rowid INTEGER NOT NULL, phase TEXT NOT NULL, region TEXT NOT NULL, transaction_name TEXT NOT NULL,
    statement TEXT NOT NULL, count INTEGER NOT NULL, errors INTEGER NOT NULL, time BLOB NOT NULL
);
CREATE TABLE retries (
    frame INTEGER NOT NULL, phase TEXT NOT NULL, region TEXT NOT NULL, transaction_name TEXT NOT NULL,
    statement TEXT NOT NULL, reason TEXT NOT NULL, key TEXT NOT NULL, count INTEGER NOT NULL, wasted_ns INTEGER NOT NULL
);
CREATE TABLE arrivals (
    frame INTEGER NOT NULL, phase TEXT NOT NULL, region TEXT NOT NULL, session TEXT NOT NULL, offered INTEGER NOT NULL,
    started INTEGER NOT NULL, dropped INTEGER NOT NULL, lag BLOB NOT NULL, dispatch BLOB NOT NULL
);
CREATE TABLE generator (
    frame INTEGER NOT NULL, cpu_share REAL NOT NULL, stall_ms REAL NOT NULL, gc_ms REAL NOT NULL,
    users INTEGER NOT NULL, busy INTEGER NOT NULL, queued INTEGER NOT NULL, worker TEXT NOT NULL,
    starved_ms REAL NOT NULL, PRIMARY KEY (frame, worker)
);
CREATE TABLE server (frame INTEGER NOT NULL, name TEXT NOT NULL, value REAL NOT NULL);
CREATE TABLE journal (
    frame INTEGER NOT NULL, region TEXT NOT NULL, order_id TEXT NOT NULL, order_number TEXT NOT NULL,
    idempotency_key TEXT NOT NULL, total_amount TEXT NOT NULL, status TEXT NOT NULL, attempts INTEGER NOT NULL,
    elapsed_s REAL NOT NULL, taken TEXT NOT NULL
);
CREATE TABLE events (
    frame INTEGER NOT NULL, elapsed_s REAL NOT NULL, kind TEXT NOT NULL, detail TEXT NOT NULL, region TEXT
);
CREATE TABLE slow (
    frame INTEGER NOT NULL, elapsed_s REAL NOT NULL, phase TEXT NOT NULL, region TEXT NOT NULL,
    transaction_name TEXT NOT NULL, outcome TEXT NOT NULL, response_ms REAL NOT NULL, service_ms REAL NOT NULL,
    attempts INTEGER NOT NULL, statements TEXT NOT NULL, dispatch_ms REAL NOT NULL, wait_ms REAL NOT NULL,
    backoff_ms REAL NOT NULL, reasons TEXT NOT NULL, key TEXT NOT NULL
);
CREATE TABLE contenders (
    frame INTEGER NOT NULL, region TEXT NOT NULL, key TEXT NOT NULL, arrived_s REAL NOT NULL, ended_s REAL NOT NULL,
    outcome TEXT NOT NULL, attempts INTEGER NOT NULL
);
CREATE TABLE counters (
    frame INTEGER NOT NULL, moment TEXT NOT NULL, elapsed_s REAL NOT NULL, region TEXT NOT NULL, kind TEXT NOT NULL,
    name TEXT NOT NULL, metric TEXT NOT NULL, value REAL NOT NULL
);
CREATE TABLE checks (
    frame INTEGER NOT NULL, elapsed_s REAL NOT NULL, took_ms REAL NOT NULL, rule TEXT NOT NULL, passed INTEGER NOT NULL,
    violations INTEGER NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE disconnects (
    frame INTEGER NOT NULL, region TEXT NOT NULL, began_s REAL NOT NULL, refused_until_s REAL, lost INTEGER NOT NULL,
    refused INTEGER NOT NULL
);
CREATE TABLE workers (
    worker TEXT PRIMARY KEY, place TEXT NOT NULL, regions TEXT NOT NULL, offset_ns INTEGER NOT NULL, rtt_ns INTEGER NOT NULL,
    users INTEGER NOT NULL, lost_s REAL, detail TEXT NOT NULL
);
CREATE TABLE findings (
    rule TEXT NOT NULL, title TEXT NOT NULL, passed INTEGER NOT NULL, violations INTEGER NOT NULL,
    witness TEXT NOT NULL, look TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE stock (
    item TEXT NOT NULL, product_id TEXT NOT NULL, region TEXT NOT NULL, offered INTEGER NOT NULL, sold INTEGER NOT NULL,
    oversold INTEGER NOT NULL, left INTEGER NOT NULL, sold_out_after_s REAL, sku TEXT NOT NULL
);
CREATE TABLE outcome (
    only_row INTEGER PRIMARY KEY CHECK (only_row = 1), status TEXT NOT NULL, detail TEXT NOT NULL,
    verdict TEXT, reasons TEXT NOT NULL, finished_unix_s REAL NOT NULL
);
"""

INSERTS = {
    table: f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})"  # noqa: S608 - constants of this module
    for table, columns in {
        "frames": 3,
        "transactions": 10,
        "statements": 8,
        "statement_sums": 8,
        "retries": 9,
        "arrivals": 9,
        "generator": 9,
        "server": 3,
        "journal": 10,
        "events": 5,
        "slow": 15,
        "contenders": 7,
        "counters": 8,
        "checks": 7,
        "disconnects": 6,
        "workers": 8,
        "findings": 7,
        "stock": 9,
    }.items()
}
UPGRADES = {
    1: """
        CREATE TEMP VIEW retries AS SELECT *, '' AS key FROM main.retries;
        CREATE TEMP VIEW generator AS SELECT *, '' AS worker, 0.0 AS starved_ms FROM main.generator;
        CREATE TEMP VIEW slow AS SELECT *, max(0.0, response_ms - service_ms) AS wait_ms, 0.0 AS dispatch_ms,
            0.0 AS backoff_ms, '[]' AS reasons, '' AS key FROM main.slow;
        CREATE TEMP VIEW stock AS SELECT *, '' AS sku FROM main.stock;
        CREATE TEMP TABLE contenders (region, key, arrived_s, ended_s, outcome, attempts);
        CREATE TEMP TABLE counters (moment, elapsed_s, region, kind, name, metric, value);
        CREATE TEMP TABLE checks (elapsed_s, took_ms, rule, passed, violations, detail);
        CREATE TEMP TABLE disconnects (frame, region, began_s, refused_until_s, lost, refused);
        CREATE TEMP TABLE workers (worker, place, regions, offset_ns, rtt_ns, users, lost_s, detail);
    """,
    2: """
        CREATE TEMP TABLE statement_sums (
            until_rowid, phase, region, transaction_name, statement, count, errors, time
        );
    """,
}
"""What makes the store of an older version look like one of the next: temporary views that stand before its tables."""

REPLACE_OUTCOME = "INSERT OR REPLACE INTO outcome VALUES (1, ?, ?, ?, ?, ?)"
