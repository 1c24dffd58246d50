-- What `bench cluster smoke` asks a server, in a database that it makes and drops: one statement or a few for each fact of
-- bench/db/facts.py.

-- name: smoke_items_make
CREATE TABLE smoke_items (
  id BIGINT NOT NULL PRIMARY KEY, units BIGINT NOT NULL CHECK (units >= 0), name TEXT, tags VARCHAR(20)[],
  words TSVECTOR GENERATED ALWAYS AS (to_tsvector('english', COALESCE(name, ''))) STORED
)

-- name: smoke_items_fill
INSERT INTO smoke_items (id, units, name, tags)
VALUES (1, 10, 'red shoes', ARRAY['summer', 'sale']), (2, 10, 'blue hats', ARRAY['winter'])

-- name: smoke_lines_make
CREATE TABLE smoke_lines (
  id UUID NOT NULL DEFAULT gen_random_uuid() PRIMARY KEY, cart BIGINT NOT NULL, variant_id UUID,
  variant_key UUID NOT NULL GENERATED ALWAYS AS
    (COALESCE(variant_id, '00000000-0000-0000-0000-000000000000'::UUID)) STORED,
  units BIGINT NOT NULL, CONSTRAINT smoke_lines_key UNIQUE (cart, variant_key)
)

-- name: smoke_nulls_last
SELECT n FROM (VALUES (2), (NULL), (1)) AS v (n) ORDER BY n NULLS LAST

-- name: smoke_nulls
-- dialect: cockroach
SELECT n FROM (VALUES (2), (NULL), (1)) AS v (n) ORDER BY n

-- name: smoke_division
-- dialect: cockroach
SELECT 7 / 2 > 3

-- name: smoke_unnest
SELECT t.a, t.b FROM unnest(ARRAY[1, 2]::BIGINT[], ARRAY['x', 'y']::TEXT[]) AS t (a, b) ORDER BY t.a

-- name: smoke_keyset
SELECT id FROM smoke_items WHERE (units, id) > (10, 1) ORDER BY units, id

-- name: smoke_add_line
-- The same line twice, without a variant: NULL is equal to NULL by its key alone.
INSERT INTO smoke_lines (cart, units) VALUES (1, 5)
    ON CONFLICT (cart, variant_key) DO UPDATE SET units = smoke_lines.units + excluded.units
RETURNING units

-- name: smoke_add_nothing
INSERT INTO smoke_lines (cart, units) VALUES (1, 5) ON CONFLICT DO NOTHING RETURNING units

-- name: smoke_guard
UPDATE smoke_items SET units = units - 1000 WHERE id = 1 AND units >= 1000 RETURNING units

-- name: smoke_take
UPDATE smoke_items SET units = units - 1 WHERE id = 1 RETURNING units

-- name: smoke_look
SELECT units FROM smoke_items WHERE id = 1

-- name: smoke_count
SELECT count(*) FROM smoke_items

-- name: smoke_put
-- params: id bigint
INSERT INTO smoke_items (id, units) VALUES (%(id)s::BIGINT, 0) RETURNING id

-- name: smoke_lock
SELECT id FROM smoke_items WHERE id = 1 FOR UPDATE

-- name: smoke_skip
SELECT id FROM smoke_items ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED

-- name: smoke_tags_index
CREATE INDEX smoke_items_tags ON smoke_items USING GIN (tags) WHERE name IS NOT NULL

-- name: smoke_tagged
SELECT id FROM smoke_items WHERE name IS NOT NULL AND tags @> ARRAY['sale']::VARCHAR[]

-- name: smoke_words_index
CREATE INDEX smoke_items_words ON smoke_items USING GIN (words)

-- name: smoke_search
SELECT id FROM smoke_items WHERE words @@ plainto_tsquery('english', 'shoe')

-- name: smoke_sequence_make
CREATE SEQUENCE smoke_numbers CACHE 1000

-- name: smoke_sequence_next
SELECT nextval('smoke_numbers')

-- name: smoke_order_number
-- The schema's own function.
SELECT left(generate_order_number('east'), 9)

-- name: smoke_echo
-- Values without a type, which the server takes from the casts.
-- params: number bigint, text text, flag boolean, id uuid, amount numeric, texts text[], numbers bigint[], document jsonb
SELECT %(number)s::BIGINT, %(text)s::TEXT, %(flag)s::BOOLEAN, %(id)s::UUID, %(amount)s::DECIMAL, %(texts)s::TEXT[],
       %(numbers)s::BIGINT[], (%(document)s::JSONB)->>'a'

-- name: smoke_region
-- params: region text
SELECT %(region)s::crdb_internal_region::TEXT

-- name: smoke_timezone
SHOW timezone

-- name: smoke_search_path
SHOW search_path

-- name: smoke_default_isolation
SHOW default_transaction_isolation

-- name: smoke_sleep
SELECT pg_sleep(20)

-- name: smoke_divide
SELECT 1 / (units - units) FROM smoke_items WHERE id = 1

-- name: smoke_one
SELECT 1

-- name: smoke_regions
-- dialect: cockroach
SELECT region FROM [SHOW REGIONS FROM CLUSTER] ORDER BY region

-- name: smoke_stale
-- dialect: cockroach
SELECT count(*) > 0 FROM smoke_items AS OF SYSTEM TIME follower_read_timestamp()

-- name: smoke_any
SELECT count(*) > 0 FROM smoke_items

-- name: smoke_view_make
-- dialect: cockroach
CREATE MATERIALIZED VIEW smoke_view AS SELECT id, units FROM smoke_items

-- name: smoke_view_refresh
-- dialect: cockroach
REFRESH MATERIALIZED VIEW smoke_view AS OF SYSTEM TIME follower_read_timestamp()

-- name: smoke_view_refresh_now
-- dialect: cockroach
REFRESH MATERIALIZED VIEW smoke_view

-- name: smoke_unsafe
-- dialect: cockroach
SELECT count(*) FROM crdb_internal.gossip_nodes

-- name: smoke_units_index
-- dialect: cockroach
CREATE INDEX smoke_items_units ON smoke_items (units)

-- name: smoke_plan
-- dialect: cockroach
EXPLAIN SELECT id FROM smoke_items WHERE units = 3

-- name: smoke_advisory_lock
-- dialect: cockroach
SELECT pg_try_advisory_lock(7)
