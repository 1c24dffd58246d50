-- What a load keeps of itself in the database that it fills, so that it can go on after any end.

-- name: load_set_commits
-- Every load_set_… is sent to each connection that loads.  A load is repeated, not repaired, after a crash of the server, so its
-- commits need not wait for the disk.
-- dialect: postgres
SET synchronous_commit = off

-- name: load_set_memory
-- dialect: postgres
SET maintenance_work_mem = '256MB'

-- name: load_set_workers_of_indexes
-- The connections work side by side already; more workers for one index only contend for the same cores.
-- dialect: postgres
SET max_parallel_maintenance_workers = 0

-- name: load_set_workers_of_queries
-- dialect: postgres
SET max_parallel_workers_per_gather = 0

-- name: load_set_jit
-- dialect: postgres
SET jit = off

-- name: load_set_priority
-- Otherwise COPY runs at background priority and is throttled under load ([D:admission-control]).
-- dialect: cockroach
SET copy_transaction_quality_of_service = 'regular'

-- name: load_set_timeout
SET statement_timeout = 0

-- name: load_notice_loss
-- A loader that was killed leaves no statement behind that runs on for minutes; not every platform's server can do it.
-- dialect: postgres
SET client_connection_check_interval = '1s'

-- name: load_on_disk
-- Before VACUUM, which marks no page as visible to all whose commits it does not know to be on disk.
-- dialect: postgres
SET synchronous_commit = on

-- name: copy_binary
-- names: table, columns
COPY {table} ({columns}) FROM STDIN WITH (FORMAT binary)

-- name: copy_text
-- names: table, columns
COPY {table} ({columns}) FROM STDIN

-- name: analyze
-- Statistics, and the visibility map, without which no scan is index-only.
-- names: table
-- dialect: postgres
VACUUM (ANALYZE) {table}

-- name: analyze
-- names: table
-- dialect: cockroach
ANALYZE {table}

-- name: set_sequence
-- params: name text, value bigint
SELECT setval(%(name)s::TEXT, %(value)s::BIGINT)

-- name: load_journal_make
-- A unit of work that is committed is in here: blocks of rows, and statements of the schema as part 'ddl'.
CREATE TABLE IF NOT EXISTS shopbench_load (
  part VARCHAR(64) NOT NULL, first_unit BIGINT NOT NULL, row_count BIGINT NOT NULL, PRIMARY KEY (part, first_unit)
)

-- name: load_journal_drop
DROP TABLE IF EXISTS shopbench_load

-- name: load_journal_exists
SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'shopbench_load'

-- name: load_journal_read
SELECT part, first_unit, row_count FROM shopbench_load

-- name: load_begin
-- Gives a load its number, which it keeps when it is resumed.
-- params: load bigint
INSERT INTO shopbench_load (part, first_unit, row_count)
SELECT 'load', %(load)s::BIGINT, 0
 WHERE NOT EXISTS (SELECT 1 FROM shopbench_load WHERE part = 'load')

-- name: load_is_at_work
-- params: load bigint
SELECT 1 FROM shopbench_load WHERE part = 'load' AND first_unit = %(load)s::BIGINT

-- name: load_claim
-- Enters a unit of work, in the transaction that does it; no row comes back when it was done before, or by another load.
-- params: load bigint, part text, first_unit bigint, row_count bigint
INSERT INTO shopbench_load (part, first_unit, row_count)
SELECT %(part)s::VARCHAR(64), %(first_unit)s::BIGINT, %(row_count)s::BIGINT
 WHERE EXISTS (SELECT 1 FROM shopbench_load WHERE part = 'load' AND first_unit = %(load)s::BIGINT)
ON CONFLICT (part, first_unit) DO NOTHING
RETURNING first_unit

-- name: load_lock_alone
-- True when no session of another load is left: a dead client's COPY or index build can linger.  Not on CockroachDB, where such
-- a lock holds nobody off (cockroachdb/cockroach#13546, #169981); there load_claim alone keeps two loads apart.
-- dialect: postgres
-- params: key bigint
SELECT pg_try_advisory_lock(%(key)s::BIGINT)

-- name: load_lock_shared
-- dialect: postgres
-- params: key bigint
SELECT pg_advisory_lock_shared(%(key)s::BIGINT)

-- name: load_unlock_alone
-- dialect: postgres
-- params: key bigint
SELECT pg_advisory_unlock(%(key)s::BIGINT)
