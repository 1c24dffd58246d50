-- The server's own counters, read once a second on a connection of their own; cumulative, readers take differences.

-- name: server_counters
-- dialect: postgres
SELECT xact_commit, xact_rollback, deadlocks, blks_read, blks_hit, tup_returned, tup_fetched, tup_inserted, tup_updated,
       conflicts, (SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
       AS waiting_for_locks
  FROM pg_stat_database
 WHERE datname = current_database()
