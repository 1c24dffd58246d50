-- What `bench indexes` asks of a database: its indexes, what refers to what, and the savepoints of a rehearsal (docs/indexes.md).

-- name: index_facts
-- Every index of the schema, those of a partitioned table once.  A key column is named with what decides whether two indexes
-- hold the same: operator class, collation, direction.  ON ONLY would make the index again without those of the partitions.
-- dialect: postgres
SELECT c.relname, t.relname, am.amname, i.indisunique,
       CASE c.relkind WHEN 'I' THEN replace(pg_get_indexdef(c.oid), ' ON ONLY ', ' ON ') ELSE pg_get_indexdef(c.oid) END,
       COALESCE(pg_get_expr(i.indpred, i.indrelid), ''),
       ARRAY(SELECT concat_ws(' ', pg_get_indexdef(c.oid, n, true), i.indclass[n - 1], i.indcollation[n - 1],
                              i.indoption[n - 1])
               FROM generate_series(1, i.indnkeyatts) AS g (n) ORDER BY n),
       ARRAY(SELECT pg_get_indexdef(c.oid, n, true) FROM generate_series(i.indnkeyatts + 1, i.indnatts) AS g (n) ORDER BY n),
       COALESCE((SELECT sum(pg_relation_size(p.relid)) FROM pg_partition_tree(c.oid) p), pg_relation_size(c.oid))::BIGINT
  FROM pg_index i
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_class t ON t.oid = i.indrelid
  JOIN pg_am am ON am.oid = c.relam
  JOIN pg_namespace s ON s.oid = c.relnamespace
 WHERE s.nspname = 'public' AND NOT c.relispartition AND left(t.relname, 9) <> 'shopbench'
 ORDER BY c.oid

-- name: index_facts
-- The same; sizes come from index_sizes, columns from information_schema.statistics ([D:information-schema]).
-- dialect: cockroach
SELECT c.relname, t.relname, COALESCE(am.amname, ''), i.indisunique, pg_get_indexdef(c.oid), COALESCE(i.indpred, ''),
       ARRAY(SELECT concat(s.column_name, ' ', s.direction) FROM information_schema.statistics s
              WHERE s.table_schema = 'public' AND s.table_name = t.relname AND s.index_name = c.relname
                AND s.storing = 'NO' AND s.implicit = 'NO'
              ORDER BY s.seq_in_index),
       ARRAY(SELECT s.column_name FROM information_schema.statistics s
              WHERE s.table_schema = 'public' AND s.table_name = t.relname AND s.index_name = c.relname AND s.storing = 'YES'
              ORDER BY s.seq_in_index),
       0::BIGINT
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_class t ON t.oid = i.indrelid
  LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = 'public' AND left(t.relname, 9) <> 'shopbench'
 ORDER BY t.relname, c.relname

-- name: index_sizes
-- Live bytes of one replica, by index ([D:show-ranges]).  DETAILS asks every range: once for an experiment.
-- dialect: cockroach
SELECT table_name, index_name, sum((span_stats->>'live_bytes')::INT8)::INT8
  FROM [SHOW RANGES FROM CURRENT_CATALOG WITH INDEXES, DETAILS]
 WHERE index_name IS NOT NULL
 GROUP BY 1, 2

-- name: index_partitions
-- The index of a partitioned table that each partition's index belongs to: plans name the latter.
-- dialect: postgres
SELECT c.relname, r.relname
  FROM pg_class c
  JOIN pg_class r ON r.oid = pg_partition_root(c.oid)
 WHERE c.relkind = 'i' AND c.relispartition

-- name: foreign_keys
-- (constraint, referring table, its columns, table referred to, whether a DELETE there deletes here)
-- dialect: postgres
SELECT f.conname, t.relname,
       ARRAY(SELECT a.attname::TEXT FROM unnest(f.conkey) WITH ORDINALITY AS k (number, place)
               JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.number ORDER BY k.place),
       p.relname, f.confdeltype = 'c'
  FROM pg_constraint f
  JOIN pg_class t ON t.oid = f.conrelid
  JOIN pg_class p ON p.oid = f.confrelid
 WHERE f.contype = 'f' AND f.conparentid = 0
 ORDER BY f.conname

-- name: foreign_keys
-- dialect: cockroach
SELECT k.constraint_name, k.table_name, array_agg(k.column_name ORDER BY k.ordinal_position), r.referenced_table_name,
       r.delete_rule = 'CASCADE'
  FROM information_schema.referential_constraints r
  JOIN information_schema.key_column_usage k
    ON k.constraint_name = r.constraint_name AND k.table_name = r.table_name
 WHERE r.constraint_schema = 'public'
 GROUP BY 1, 2, 4, 5
 ORDER BY 1

-- name: updates_so_far
-- Rows updated, and those of them without a new index entry (HOT), in this transaction.
-- dialect: postgres
SELECT COALESCE(sum(n_tup_upd), 0)::BIGINT, COALESCE(sum(n_tup_hot_upd), 0)::BIGINT FROM pg_stat_xact_user_tables

-- name: prefer_indexes
-- The planner takes an index wherever one can serve, however small the table is.
-- dialect: postgres
SET LOCAL enable_seqscan = off

-- name: index_drop
-- names: index
-- dialect: postgres
DROP INDEX {index}

-- name: index_drop
-- Names of indexes are unique within their table only ([D:drop-index]).
-- names: table, index
-- dialect: cockroach
DROP INDEX {table}@{index}

-- name: index_drop_if_there
-- names: index
-- dialect: postgres
DROP INDEX IF EXISTS {index}

-- name: index_drop_if_there
-- names: table, index
-- dialect: cockroach
DROP INDEX IF EXISTS {table}@{index}

-- name: index_hide
-- Still maintained, but used by those sessions only that ask for it ([D:alter-index]).
-- names: table, index
-- dialect: cockroach
ALTER INDEX {table}@{index} NOT VISIBLE

-- name: index_show
-- names: table, index
-- dialect: cockroach
ALTER INDEX {table}@{index} VISIBLE

-- name: see_hidden_indexes
-- Indexes that are NOT VISIBLE may be used by this session ([D:alter-index]).
-- dialect: cockroach
SET optimizer_use_not_visible_indexes = on

-- name: ignore_hidden_indexes
-- dialect: cockroach
SET optimizer_use_not_visible_indexes = off

-- name: rehearsal_begin
BEGIN

-- name: rehearsal_end
ROLLBACK

-- name: open_transaction
-- Where a transaction of a rehearsal begins.
SAVEPOINT shopbench_transaction

-- name: keep_transaction
RELEASE SAVEPOINT shopbench_transaction

-- name: undo_transaction
ROLLBACK TO SAVEPOINT shopbench_transaction

-- name: open_arm
-- Where one side of a comparison begins; its other side begins from the same state.
SAVEPOINT shopbench_arm

-- name: keep_arm
RELEASE SAVEPOINT shopbench_arm

-- name: undo_arm
ROLLBACK TO SAVEPOINT shopbench_arm

-- name: open_trial
-- Where one timed execution begins.
SAVEPOINT shopbench_trial

-- name: keep_trial
RELEASE SAVEPOINT shopbench_trial

-- name: undo_trial
ROLLBACK TO SAVEPOINT shopbench_trial
