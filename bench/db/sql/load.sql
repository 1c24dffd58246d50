-- What a load keeps of itself in the database that it fills, so that it can go on after any end.

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
-- True when no session of another load is left; PostgreSQL only, where a dead client's COPY or index build can linger.
-- dialect: postgres
-- params: key bigint
SELECT pg_try_advisory_lock(%(key)s)

-- name: load_lock_shared
-- dialect: postgres
-- params: key bigint
SELECT pg_advisory_lock_shared(%(key)s)

-- name: load_unlock_alone
-- dialect: postgres
-- params: key bigint
SELECT pg_advisory_unlock(%(key)s)
