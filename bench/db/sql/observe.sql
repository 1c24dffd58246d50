-- The server's own counters, read on connections of their own (docs/server.md).  They are cumulative, readers take
-- differences.  Of `counters_…` the first columns are the region of the node that counted and what the counter is of; every
-- further column is a counter under its name.

-- name: server_counters
-- Once a second.
-- dialect: postgres
SELECT xact_commit, xact_rollback, deadlocks, blks_read, blks_hit, tup_returned, tup_fetched, tup_inserted, tup_updated,
       conflicts, (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
       AS waiting_for_locks
  FROM pg_stat_database
 WHERE datname = current_database()

-- name: sampled_waits
-- What the run's sessions wait for at this moment, once a second; those that are at work are counted as Running.
-- dialect: postgres
-- params: prefix text
SELECT split_part(application_name, '/', 3) AS region,
       COALESCE(wait_event_type || ':' || wait_event, 'Running') AS name, count(*) AS samples
  FROM pg_stat_activity
 WHERE datname = current_database() AND left(application_name, length(%(prefix)s::TEXT)) = %(prefix)s::TEXT AND state = 'active'
 GROUP BY 1, 2

-- name: sampled_locks
-- The locks that the run's sessions ask for and do not have at this moment, once a second.
-- dialect: postgres
-- params: prefix text
SELECT split_part(a.application_name, '/', 3) AS region,
       concat_ws(' ', l.locktype, l.mode, c.relname) AS name, count(*) AS samples
  FROM pg_locks l
  JOIN pg_stat_activity a ON a.pid = l.pid
  LEFT JOIN pg_class c ON c.oid = l.relation
 WHERE NOT l.granted AND left(a.application_name, length(%(prefix)s::TEXT)) = %(prefix)s::TEXT
 GROUP BY 1, 2

-- name: open_sessions
-- How many sessions of a run are still open; a backend hands in the last of its counters when it ends.
-- dialect: postgres
-- params: prefix text
SELECT count(*) FROM pg_stat_activity WHERE left(application_name, length(%(prefix)s::TEXT)) = %(prefix)s::TEXT

-- name: use_statement_statistics
-- Look in the schema of pg_stat_statements, too; no row where the extension is not installed in this database.
-- dialect: postgres
SELECT set_config('search_path', 'public, ' || quote_ident(n.nspname), false)
  FROM pg_extension e
  JOIN pg_namespace n ON n.oid = e.extnamespace
 WHERE e.extname = 'pg_stat_statements'

-- name: install_statement_statistics
-- For the embedded server's own database; in others' nothing is installed.
-- dialect: postgres
CREATE EXTENSION IF NOT EXISTS pg_stat_statements

-- name: counters_database
-- dialect: postgres
SELECT '' AS region, datname AS name, xact_commit AS commits, xact_rollback AS rollbacks, deadlocks, conflicts, blks_hit,
       blks_read, tup_returned, tup_fetched, tup_inserted, tup_updated, tup_deleted, temp_files, temp_bytes,
       active_time AS active_ms, sessions, sessions_abandoned, sessions_fatal, sessions_killed
  FROM pg_stat_database
 WHERE datname = current_database()

-- name: counters_wal
-- Of the whole server: PostgreSQL does not count its log by database.
-- dialect: postgres
SELECT '' AS region, 'write-ahead log of the server' AS name, wal_records, wal_fpi AS full_page_images, wal_bytes,
       wal_buffers_full AS buffers_full
  FROM pg_stat_wal

-- name: counters_table
-- dead_tuples is a level, not a count: its difference is what came to it.
-- dialect: postgres
SELECT '' AS region, relname AS name, seq_scan AS seq_scans, seq_tup_read, idx_scan AS idx_scans, idx_tup_fetch,
       n_tup_ins AS inserted, n_tup_upd AS updated, n_tup_hot_upd AS hot_updated, n_tup_del AS deleted,
       n_dead_tup AS dead_tuples, autovacuum_count AS autovacuums, autoanalyze_count AS autoanalyzes
  FROM pg_stat_user_tables

-- name: counters_index
-- dialect: postgres
SELECT '' AS region, indexrelname AS name, idx_scan AS scans, idx_tup_read AS tup_read, idx_tup_fetch AS tup_fetched
  FROM pg_stat_user_indexes

-- name: counters_statement
-- The name is the statement's text, without its constants.
-- dialect: postgres
SELECT '' AS region, query AS name, calls, total_exec_time AS exec_ms, rows, shared_blks_hit AS blks_hit,
       shared_blks_read AS blks_read, shared_blks_dirtied AS blks_dirtied, temp_blks_written, wal_bytes
  FROM pg_stat_statements
 WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())

-- name: counters_statement_losses
-- How often pg_stat_statements threw out its least used entries: from then on differences by statement are too small.
-- dialect: postgres
SELECT '' AS region, 'pg_stat_statements' AS name, dealloc AS evictions FROM pg_stat_statements_info

-- name: counters_app_statement
-- Statements of the run by region, from the name of the application.  Latencies are means times the count; contention_ms is
-- that of the executions that were sampled.  retries are of statements outside BEGIN alone: the server tells an execution's
-- attempt by how often it has begun its transaction anew, so after one retry every later statement of an explicit
-- transaction, which runs for the first time, looks like a retry, too.
-- dialect: cockroach
-- params: prefix text
SELECT split_part(app_name, '/', 3) AS region,
       COALESCE(left(metadata->>'query', 60), '') || ' #' || left(encode(fingerprint_id, 'hex'), 6) AS name,
       sum((statistics->'statistics'->>'cnt')::FLOAT8) AS calls,
       sum((statistics->'statistics'->>'failureCount')::FLOAT8) AS failures,
       sum((statistics->'statistics'->>'cnt')::FLOAT8 - (statistics->'statistics'->>'firstAttemptCnt')::FLOAT8)
           FILTER (WHERE (metadata->>'implicitTxn')::BOOL) AS retries,
       sum((statistics->'statistics'->>'cnt')::FLOAT8
           * (statistics->'statistics'->'svcLat'->>'mean')::FLOAT8) * 1000 AS exec_ms,
       sum((statistics->'statistics'->>'cnt')::FLOAT8
           * (statistics->'statistics'->'numRows'->>'mean')::FLOAT8) AS rows,
       sum((statistics->'statistics'->>'cnt')::FLOAT8
           * (statistics->'statistics'->'rowsRead'->>'mean')::FLOAT8) AS rows_read,
       sum((statistics->'statistics'->>'cnt')::FLOAT8
           * (statistics->'statistics'->'bytesRead'->>'mean')::FLOAT8) AS bytes_read,
       sum((statistics->'execution_statistics'->>'cnt')::FLOAT8) AS sampled,
       sum((statistics->'execution_statistics'->>'cnt')::FLOAT8
           * (statistics->'execution_statistics'->'contentionTime'->>'mean')::FLOAT8) * 1000 AS contention_ms
  FROM crdb_internal.statement_statistics
 WHERE left(app_name, length(%(prefix)s::TEXT)) = %(prefix)s::TEXT
 GROUP BY 1, 2

-- name: counters_index
-- By number; index_names has their names.
-- dialect: cockroach
SELECT '' AS region, table_id::TEXT || '@' || index_id::TEXT AS name, total_reads AS scans
  FROM crdb_internal.index_usage_statistics

-- name: index_names
-- The indexes of this database by number.  Without DETAILS, which asks every range.
-- dialect: cockroach
SELECT DISTINCT table_id::TEXT || '@' || index_id::TEXT AS number, table_name || '@' || index_name AS name
  FROM [SHOW RANGES FROM CURRENT_CATALOG WITH INDEXES]
 WHERE index_name IS NOT NULL

-- name: counters_contention
-- Contention by index since the run began, of those events that the nodes still remember.
-- dialect: cockroach
-- params: since timestamptz
SELECT '' AS region, concat(table_name, '@', index_name, ' ', contention_type) AS name, count(*) AS events,
       sum(extract(epoch FROM contention_duration)) * 1000 AS waited_ms
  FROM crdb_internal.transaction_contention_events
 WHERE database_name = current_database() AND collection_ts >= %(since)s::TIMESTAMPTZ
 GROUP BY 2

-- name: leaseholders
-- Where the leaseholders of each index stand: its ranges, live keys and bytes by the region of the leaseholder's locality.
-- With DETAILS every range is asked ([D:show-ranges]): once a run, after its end.  In INDEXES mode span_stats is of the
-- index's part of a range.
-- dialect: cockroach
SELECT split_part(split_part(lease_holder_locality, 'region=', 2), ',', 1) AS region,
       table_name || '@' || index_name AS name, count(*) AS ranges,
       sum((span_stats->>'live_count')::INT8)::INT8 AS live_keys, sum((span_stats->>'live_bytes')::INT8)::INT8 AS live_bytes
  FROM [SHOW RANGES FROM CURRENT_CATALOG WITH INDEXES, DETAILS]
 WHERE index_name IS NOT NULL
 GROUP BY 1, 2

-- name: row_homes
-- Where rows live: what leaseholders are compared with.
SELECT region::TEXT AS region, 'users' AS name, count(*) AS rows FROM users GROUP BY 1
UNION ALL
SELECT region::TEXT, 'orders', count(*) FROM orders GROUP BY 1
UNION ALL
SELECT region::TEXT, 'inventory', count(*) FROM inventory GROUP BY 1
UNION ALL
SELECT region::TEXT, 'shopping_carts', count(*) FROM shopping_carts GROUP BY 1

-- name: name_session
-- Tell the server's statistics which phase a session's statements belong to.
-- dialect: cockroach
-- params: name text
SELECT set_config('application_name', %(name)s::TEXT, false)

-- name: session_settings
-- Every session variable with its value ([D:show-vars]; no privilege is needed).
-- dialect: cockroach
SHOW ALL

-- name: cluster_settings
-- The public cluster settings; the first two columns are name and value ([D:show-cluster-setting]; VIEWCLUSTERSETTING).
-- dialect: cockroach
SHOW CLUSTER SETTINGS
