-- What bench asks of a database before and after a run, outside the load.

-- name: database_exists
-- params: name text
SELECT 1 FROM pg_catalog.pg_database WHERE datname = %(name)s::TEXT

-- name: databases_like
-- Databases whose name begins so, the oldest first; seeds are kept as databases of their own.
-- params: prefix text
SELECT datname FROM pg_catalog.pg_database WHERE left(datname, length(%(prefix)s::TEXT)) = %(prefix)s::TEXT ORDER BY oid

-- name: database_make
-- names: database
CREATE DATABASE {database}

-- name: database_copy
-- A database as a copy of another.
-- names: database, template
-- dialect: postgres
CREATE DATABASE {database} TEMPLATE {template} STRATEGY file_copy

-- name: database_rename
-- names: database, new
ALTER DATABASE {database} RENAME TO {new}

-- name: database_drop
-- With whoever is connected to it.
-- names: database
-- dialect: postgres
DROP DATABASE IF EXISTS {database} WITH (FORCE)

-- name: database_drop
-- names: database
-- dialect: cockroach
DROP DATABASE IF EXISTS {database} CASCADE

-- name: gateway_region
-- Where the node that answers stands, from its --locality ([D:multiregion-overview]).
-- dialect: cockroach
SELECT gateway_region()

-- name: nap
-- Ten of these at once take no longer than one, where users really run side by side.
SELECT pg_sleep(0.1)

-- name: meta_make
CREATE TABLE IF NOT EXISTS shopbench_meta (key VARCHAR(64) NOT NULL, value TEXT NOT NULL, PRIMARY KEY (key))

-- name: meta_drop
DROP TABLE IF EXISTS shopbench_meta

-- name: meta_exists
-- Whether bench has put its mark on this database.
SELECT 1 FROM information_schema.tables WHERE table_schema = 'public' AND table_name = 'shopbench_meta'

-- name: meta_read
SELECT key, value FROM shopbench_meta

-- name: meta_write
-- params: key text, value text
INSERT INTO shopbench_meta (key, value) VALUES (%(key)s::TEXT, %(value)s::TEXT)
ON CONFLICT (key) DO UPDATE SET value = excluded.value

-- name: isolation
SHOW transaction_isolation

-- name: setting
-- A setting's value, by name.
-- dialect: postgres
-- params: name text
SELECT setting || COALESCE(unit, '') FROM pg_catalog.pg_settings WHERE name = %(name)s::TEXT

-- name: begin_snapshot
-- One consistent view of the whole database for as long as the transaction lasts.
-- dialect: postgres
BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY

-- name: begin_snapshot
-- Every SERIALIZABLE transaction reads at one timestamp ([D:transactions]).
-- dialect: cockroach
BEGIN TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY

-- name: begin_live_snapshot
-- The same while load goes on, of a moment ago, so that writers are neither waited for nor pushed ([D:as-of-system-time]).
-- dialect: cockroach
BEGIN TRANSACTION AS OF SYSTEM TIME '-5s'

-- name: end_snapshot
COMMIT

-- name: clock
-- The server's clock, against which orders are dated.
SELECT clock_timestamp()

-- name: tables_present
SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'
