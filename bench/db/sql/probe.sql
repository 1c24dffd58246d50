-- A sample load that is measured and rolled back; all of it in one transaction, in a schema of its own.

-- name: probe_schema
-- dialect: postgres
CREATE SCHEMA shopbench_probe

-- name: probe_path
-- Every name that the schema's statements make or use without a schema is then the probe's.
-- dialect: postgres
SET LOCAL search_path TO shopbench_probe

-- name: probe_analyze
-- VACUUM may not run in a transaction.
-- names: table
-- dialect: postgres
ANALYZE {table}

-- name: probe_used_pages
-- The last page of each heap that holds a row; a row's place is (page, number).
-- names: table
-- dialect: postgres
SELECT tableoid::BIGINT, max(ctid)::TEXT FROM {table} GROUP BY 1

-- name: probe_relations
-- Tables, indexes and materialized views of the current schema: the table at the root of their partitions, method, size of
-- the rows or entries themselves, and of the TOAST table with its index.
-- dialect: postgres
SELECT c.oid::BIGINT, root.relname, c.relname, am.amname, c.relkind = 'm' OR t.relkind = 'm', pg_relation_size(c.oid),
       CASE WHEN c.reltoastrelid = 0 THEN 0 ELSE pg_total_relation_size(c.reltoastrelid) END
  FROM pg_catalog.pg_class c
  JOIN pg_catalog.pg_am am ON am.oid = c.relam
  LEFT JOIN pg_catalog.pg_index x ON x.indexrelid = c.oid
  JOIN pg_catalog.pg_class t ON t.oid = COALESCE(x.indrelid, c.oid)
  JOIN pg_catalog.pg_class root ON root.oid = COALESCE(pg_partition_root(t.oid), t.oid)
 WHERE c.relnamespace = current_schema()::REGNAMESPACE AND c.relkind IN ('r', 'i', 'm')
 ORDER BY c.relname

-- name: probe_wal
-- Bytes of WAL that the server has ever written.
-- dialect: postgres
SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::BIGINT
