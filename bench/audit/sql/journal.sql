-- The orders of a run, for the comparison with the client's journal.

-- name: audit_regions
-- The regions that have orders.
SELECT DISTINCT region::TEXT FROM orders ORDER BY 1;

-- name: run_orders
-- A page of a region's orders of a run, by id: those whose idempotency key ends with the run's tag.  Lines as text:
-- product/variant/region of the warehouse/units, with a blank between.
-- params: region text, since timestamptz, tag text, after uuid, page bigint
WITH page AS (
  SELECT region, id, order_number, idempotency_key, total_amount, status, created_at
    FROM orders
   WHERE region = %(region)s::crdb_internal_region AND id > %(after)s::UUID
     AND created_at >= %(since)s::TIMESTAMPTZ AND right(idempotency_key::TEXT, 12) = %(tag)s::TEXT
   ORDER BY id
   LIMIT %(page)s::BIGINT
), lines AS (
  SELECT p.id, string_agg(oi.product_id::TEXT || '/' || COALESCE(oi.variant_id::TEXT, '') || '/'
                          || COALESCE(w.region::TEXT, '') || '/' || oi.quantity::TEXT, ' ') AS lines
    FROM page p
    JOIN order_items oi ON oi.region = p.region AND oi.order_id = p.id
    LEFT JOIN warehouses w ON w.id = oi.warehouse_id
   GROUP BY p.id
)
SELECT p.region::TEXT, p.id::TEXT, p.order_number, p.idempotency_key::TEXT, p.total_amount, p.status, p.created_at,
       COALESCE(l.lines, '') AS lines
  FROM page p
  LEFT JOIN lines l ON l.id = p.id
 ORDER BY p.id;

-- name: journalled_orders
-- Orders of a region by id, whatever their time and key; columns as in run_orders.
-- params: region text, ids uuid[]
WITH page AS (
  SELECT region, id, order_number, idempotency_key, total_amount, status, created_at
    FROM orders
   WHERE region = %(region)s::crdb_internal_region AND id = ANY(%(ids)s::UUID[])
), lines AS (
  SELECT p.id, string_agg(oi.product_id::TEXT || '/' || COALESCE(oi.variant_id::TEXT, '') || '/'
                          || COALESCE(w.region::TEXT, '') || '/' || oi.quantity::TEXT, ' ') AS lines
    FROM page p
    JOIN order_items oi ON oi.region = p.region AND oi.order_id = p.id
    LEFT JOIN warehouses w ON w.id = oi.warehouse_id
   GROUP BY p.id
)
SELECT p.region::TEXT, p.id::TEXT, p.order_number, p.idempotency_key::TEXT, p.total_amount, p.status, p.created_at,
       COALESCE(l.lines, '') AS lines
  FROM page p
  LEFT JOIN lines l ON l.id = p.id
 ORDER BY p.id;
