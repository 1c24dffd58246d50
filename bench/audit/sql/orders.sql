-- Rules of the orders and the customers.

-- name: audit_order_totals
-- Each order against its lines and its own arithmetic.
WITH lines AS (
  SELECT region, order_id, sum(total_price) AS subtotal,
         count(*) FILTER (WHERE total_price <> quantity * unit_price) AS wrong
    FROM order_items
   GROUP BY region, order_id
)
SELECT count(*) OVER () AS violations, o.region::TEXT AS region, o.id AS order_id, o.order_number,
       CASE WHEN l.order_id IS NULL THEN 'no lines'
            WHEN l.wrong > 0 THEN 'a line is not quantity x unit price'
            WHEN o.subtotal <> l.subtotal THEN 'subtotal is not the sum of the lines'
            ELSE 'total is not subtotal - discount + tax + shipping' END AS fault,
       l.subtotal AS lines, o.subtotal, o.discount_amount, o.tax_amount, o.shipping_amount, o.total_amount
  FROM orders o
  LEFT JOIN lines l ON l.region = o.region AND l.order_id = o.id
 WHERE l.order_id IS NULL OR l.wrong > 0 OR o.subtotal <> l.subtotal
    OR o.total_amount <> o.subtotal - o.discount_amount + o.tax_amount + o.shipping_amount
 ORDER BY o.id
 LIMIT 3;

-- name: audit_payment
-- The payment and the fulfilment that each status implies.
SELECT count(*) OVER () AS violations, region::TEXT AS region, id AS order_id, order_number, status, payment_status,
       fulfillment_status
  FROM orders
 WHERE NOT CASE status
           WHEN 'pending' THEN payment_status = 'pending'
           WHEN 'cancelled' THEN payment_status IN ('pending', 'failed', 'refunded')
           WHEN 'refunded' THEN payment_status = 'refunded'
           ELSE payment_status = 'paid' END
    OR (status IN ('shipped', 'delivered') AND fulfillment_status <> 'fulfilled')
 ORDER BY id
 LIMIT 3;

-- name: audit_order_numbers
-- Order numbers given twice; the keys only see their own region.
SELECT count(*) OVER () AS violations, order_number, count(*) AS orders, min(id::TEXT) AS first_order_id,
       max(id::TEXT) AS last_order_id
  FROM orders
 GROUP BY order_number
HAVING count(*) > 1
 ORDER BY order_number
 LIMIT 3;

-- name: audit_idempotency_keys
-- Idempotency keys that bought twice, in two regions.
SELECT count(*) OVER () AS violations, idempotency_key, count(*) AS orders, min(id::TEXT) AS first_order_id,
       max(id::TEXT) AS last_order_id
  FROM orders
 GROUP BY idempotency_key
HAVING count(*) > 1
 ORDER BY idempotency_key
 LIMIT 3;

-- name: audit_accounts
-- E-mail addresses and user names held by several users; where users are partitioned the keys only see one region.
WITH twice AS (
  SELECT 'email' AS kind, email AS value, count(*) AS users
    FROM users
   GROUP BY email
  HAVING count(*) > 1
   UNION ALL
  SELECT 'username', username, count(*)
    FROM users
   GROUP BY username
  HAVING count(*) > 1
)
SELECT count(*) OVER () AS violations, kind, value, users
  FROM twice
 ORDER BY kind, value
 LIMIT 3;
