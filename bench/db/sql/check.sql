-- What a database holds, to be compared with the schema it should have.

-- name: check_columns
-- dialect: postgres
SELECT c.table_name, c.column_name, c.is_nullable = 'YES',
       CASE WHEN c.data_type = 'USER-DEFINED' THEN c.udt_name
            WHEN c.data_type = 'ARRAY' THEN c.udt_name
            WHEN c.character_maximum_length IS NOT NULL
            THEN c.data_type || '(' || c.character_maximum_length::TEXT || ')'
            WHEN c.data_type = 'numeric' AND c.numeric_precision IS NOT NULL
            THEN 'numeric(' || c.numeric_precision::TEXT || ',' || c.numeric_scale::TEXT || ')'
            ELSE c.data_type END
  FROM information_schema.columns c
 WHERE c.table_schema = 'public'

-- name: check_columns
-- A hash-sharded index adds a hidden column to its table ([D:hash-sharded-indexes], [D:information-schema]).
-- dialect: cockroach
SELECT c.table_name, c.column_name, c.is_nullable = 'YES', c.data_type
  FROM information_schema.columns c
 WHERE c.table_schema = 'public' AND c.is_hidden = 'NO'

-- name: check_indexes
SELECT tablename, indexname, indexdef FROM pg_catalog.pg_indexes WHERE schemaname = 'public'

-- name: check_constraints
SELECT r.relname, c.conname, c.contype::TEXT
  FROM pg_catalog.pg_constraint c
  JOIN pg_catalog.pg_class r ON r.oid = c.conrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
 WHERE n.nspname = 'public'

-- name: check_views
SELECT matviewname FROM pg_catalog.pg_matviews WHERE schemaname = 'public'

-- name: check_sequences
SELECT sequence_name FROM information_schema.sequences WHERE sequence_schema = 'public'

-- name: check_functions
SELECT p.proname FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = 'public'
