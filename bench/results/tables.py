"""The tables of run.sqlite: one for each kind of cell, named and typed so that anyone can query them with sqlite3.

Histograms are BLOBs (``Histogram.to_bytes``), lists are JSON text.  A table's columns are in the order of the fields of
the record that it keeps, after ``frame``.
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
CREATE TABLE retries (
    frame INTEGER NOT NULL, phase TEXT NOT NULL, region TEXT NOT NULL, transaction_name TEXT NOT NULL,
    statement TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL, wasted_ns INTEGER NOT NULL
);
CREATE TABLE arrivals (
    frame INTEGER NOT NULL, phase TEXT NOT NULL, region TEXT NOT NULL, session TEXT NOT NULL, offered INTEGER NOT NULL,
    started INTEGER NOT NULL, dropped INTEGER NOT NULL, lag BLOB NOT NULL, dispatch BLOB NOT NULL
);
CREATE TABLE generator (
    frame INTEGER PRIMARY KEY, cpu_share REAL NOT NULL, stall_ms REAL NOT NULL, gc_ms REAL NOT NULL,
    users INTEGER NOT NULL, busy INTEGER NOT NULL, queued INTEGER NOT NULL
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
    attempts INTEGER NOT NULL, statements TEXT NOT NULL
);
CREATE TABLE findings (
    rule TEXT NOT NULL, title TEXT NOT NULL, passed INTEGER NOT NULL, violations INTEGER NOT NULL,
    witness TEXT NOT NULL, look TEXT NOT NULL, detail TEXT NOT NULL
);
CREATE TABLE stock (
    item TEXT NOT NULL, product_id TEXT NOT NULL, region TEXT NOT NULL, offered INTEGER NOT NULL, sold INTEGER NOT NULL,
    oversold INTEGER NOT NULL, left INTEGER NOT NULL, sold_out_after_s REAL
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
        "retries": 8,
        "arrivals": 9,
        "generator": 7,
        "server": 3,
        "journal": 10,
        "events": 5,
        "slow": 10,
        "findings": 7,
        "stock": 8,
    }.items()
}
REPLACE_OUTCOME = "INSERT OR REPLACE INTO outcome VALUES (1, ?, ?, ?, ?, ?)"
