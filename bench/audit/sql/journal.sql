-- The orders of a run, for the comparison with the client's journal.

-- name: audit_regions
-- The regions that have orders.
SELECT DISTINCT region::TEXT FROM orders ORDER BY 1;

-- name: run_orders
-- A page of a region's orders of a run, by id: those whose idempotency key ends with the run's tag.  Lines as text:
-- product/variant/region of the warehouse/units, with a blank between.
-- params: region text, since timestamptz, tag text, after uuid, page bigint
SELECT o.region::TEXT, o.id::TEXT, o.order_number, o.idempotency_key::TEXT, o.total_amount::TEXT, o.status,
       o.created_at,
       COALESCE((SELECT string_agg(oi.product_id::TEXT || '/' || COALESCE(oi.variant_id::TEXT, '') || '/'
                                   || COALESCE(w.region::TEXT, '') || '/' || oi.quantity::TEXT, ' ')
                   FROM order_items oi
                   LEFT JOIN warehouses w ON w.id = oi.warehouse_id
                  WHERE oi.region = o.region AND oi.order_id = o.id), '') AS lines
  FROM orders o
 WHERE o.region = %(region)s::crdb_internal_region AND o.id > %(after)s::UUID
   AND o.created_at >= %(since)s::TIMESTAMPTZ AND right(o.idempotency_key::TEXT, 12) = %(tag)s::TEXT
 ORDER BY o.id
 LIMIT %(page)s::BIGINT;

-- name: journalled_orders
-- Orders of a region by id, whatever their time and key; columns as in run_orders.
-- params: region text, ids uuid[]
SELECT o.region::TEXT, o.id::TEXT, o.order_number, o.idempotency_key::TEXT, o.total_amount::TEXT, o.status,
       o.created_at,
       COALESCE((SELECT string_agg(oi.product_id::TEXT || '/' || COALESCE(oi.variant_id::TEXT, '') || '/'
                                   || COALESCE(w.region::TEXT, '') || '/' || oi.quantity::TEXT, ' ')
                   FROM order_items oi
                   LEFT JOIN warehouses w ON w.id = oi.warehouse_id
                  WHERE oi.region = o.region AND oi.order_id = o.id), '') AS lines
  FROM orders o
 WHERE o.region = %(region)s::crdb_internal_region AND o.id = ANY(%(ids)s::UUID[])
 ORDER BY o.id;
