-- What bench asks of a database before and after a run, outside the load.

-- name: database_exists
-- params: name text
SELECT 1 FROM pg_catalog.pg_database WHERE datname = %(name)s

-- name: databases_like
-- Databases whose name begins so, the oldest first; seeds are kept as databases of their own.
-- params: prefix text
SELECT datname FROM pg_catalog.pg_database WHERE left(datname, length(%(prefix)s)) = %(prefix)s ORDER BY oid

-- name: meta_exists
-- Whether bench has put its mark on this database.
SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'shopbench_meta'

-- name: meta_read
SELECT key, value FROM shopbench_meta

-- name: meta_write
-- params: key text, value text
INSERT INTO shopbench_meta (key, value) VALUES (%(key)s, %(value)s)
ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: isolation
SHOW transaction_isolation

-- name: setting
-- A setting's value, by name.
-- dialect: postgres
-- params: name text
SELECT setting || COALESCE(unit, '') FROM pg_catalog.pg_settings WHERE name = %(name)s

-- name: begin_snapshot
-- One consistent view of the whole database for as long as the transaction lasts.
-- dialect: postgres
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: begin_snapshot
-- Every SERIALIZABLE transaction reads at one timestamp.
-- dialect: cockroach
BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY

-- name: begin_live_snapshot
-- The same while load goes on, of a moment ago, so that writers are neither waited for nor pushed.
-- dialect: cockroach
BEGIN TRANSACTION AS OF SYSTEM TIME '-5s'

-- name: end_snapshot
COMMIT

-- name: clock
-- The server's clock, against which orders are dated.
SELECT clock_timestamp()

-- name: tables_present
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
