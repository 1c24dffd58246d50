-- Views and reports.  On CockroachDB they read as of a moment ago, so that they neither wait for writers nor push them, and the
-- nearest replica answers ([D:follower-reads]); a view is refreshed outside any transaction ([LT:materialized_view]).

-- name: refresh_daily_sales_summary
-- Readers go on meanwhile: CONCURRENTLY needs the view's unique index.
-- dialect: postgres
REFRESH MATERIALIZED VIEW CONCURRENTLY daily_sales_summary

-- name: refresh_daily_sales_summary
-- As of a moment ago, so that it does not push writers.
-- dialect: cockroach
REFRESH MATERIALIZED VIEW daily_sales_summary AS OF SYSTEM TIME follower_read_timestamp()

-- name: refresh_product_performance
-- Readers go on meanwhile: CONCURRENTLY needs the view's unique index.
-- dialect: postgres
REFRESH MATERIALIZED VIEW CONCURRENTLY product_performance

-- name: refresh_product_performance
-- As of a moment ago, so that it does not push writers.
-- dialect: cockroach
REFRESH MATERIALIZED VIEW product_performance AS OF SYSTEM TIME follower_read_timestamp()

-- name: refresh_product_ratings
-- Readers go on meanwhile: CONCURRENTLY needs the view's unique index.
-- dialect: postgres
REFRESH MATERIALIZED VIEW CONCURRENTLY product_ratings

-- name: refresh_product_ratings
-- As of a moment ago, so that it does not push writers.
-- dialect: cockroach
REFRESH MATERIALIZED VIEW product_ratings AS OF SYSTEM TIME follower_read_timestamp()

-- name: low_stock_report
-- What runs low in a region, the lowest first, with what is on the way.
-- params: region text, count bigint
-- dialect: postgres
SELECT p.sku, p.name, w.code, i.quantity_available, i.reorder_point, i.quantity_reserved, i.quantity_incoming
  FROM inventory i
  JOIN products p ON p.id = i.product_id
  JOIN warehouses w ON w.id = i.warehouse_id
 WHERE i.quantity_available <= i.reorder_point AND i.region = %(region)s::crdb_internal_region
   AND strpos(w.code, '/') = 0
 ORDER BY i.quantity_available, p.sku
 LIMIT %(count)s::BIGINT

-- name: low_stock_report
-- What runs low in a region, the lowest first, with what is on the way.
-- params: region text, count bigint
-- dialect: cockroach
SELECT p.sku, p.name, w.code, i.quantity_available, i.reorder_point, i.quantity_reserved, i.quantity_incoming
  FROM inventory i
  JOIN products p ON p.id = i.product_id
  JOIN warehouses w ON w.id = i.warehouse_id
    AS OF SYSTEM TIME follower_read_timestamp()
 WHERE i.quantity_available <= i.reorder_point AND i.region = %(region)s::crdb_internal_region
   AND strpos(w.code, '/') = 0
 ORDER BY i.quantity_available, p.sku
 LIMIT %(count)s::BIGINT

-- name: report_daily_sales
-- The last days of every region, from the view.
-- params: days bigint
-- dialect: postgres
SELECT sale_date, region::TEXT, order_count, total_revenue, avg_order_value, cancelled_orders
  FROM daily_sales_summary
 ORDER BY sale_date DESC, region
 LIMIT %(days)s::BIGINT

-- name: report_daily_sales
-- The last days of every region, from the view.
-- params: days bigint
-- dialect: cockroach
SELECT sale_date, region::TEXT, order_count, total_revenue, avg_order_value, cancelled_orders
  FROM daily_sales_summary
    AS OF SYSTEM TIME follower_read_timestamp()
 ORDER BY sale_date DESC, region
 LIMIT %(days)s::BIGINT

-- name: report_last_hours
-- A region's orders of the last hours by status, from the orders themselves.
-- params: region text, hours bigint
-- dialect: postgres
SELECT status, count(*), sum(total_amount), avg(total_amount)
  FROM orders
 WHERE region = %(region)s::crdb_internal_region AND created_at >= now() - %(hours)s::BIGINT * INTERVAL '1 hour'
 GROUP BY status
 ORDER BY status

-- name: report_last_hours
-- A region's orders of the last hours by status, from the orders themselves.
-- params: region text, hours bigint
-- dialect: cockroach
SELECT status, count(*), sum(total_amount), avg(total_amount)
  FROM orders
    AS OF SYSTEM TIME follower_read_timestamp()
 WHERE region = %(region)s::crdb_internal_region AND created_at >= now() - %(hours)s::BIGINT * INTERVAL '1 hour'
 GROUP BY status
 ORDER BY status

-- name: report_products
-- The products that earned most, from the view, with their rating.
-- params: count bigint
-- dialect: postgres
SELECT f.product_id, f.name, f.times_ordered, f.total_quantity_sold, f.total_revenue, r.avg_rating, r.review_count
  FROM product_performance f
  LEFT JOIN product_ratings r ON r.product_id = f.product_id
 ORDER BY f.total_revenue DESC, f.product_id
 LIMIT %(count)s::BIGINT

-- name: report_products
-- The products that earned most, from the view, with their rating.
-- params: count bigint
-- dialect: cockroach
SELECT f.product_id, f.name, f.times_ordered, f.total_quantity_sold, f.total_revenue, r.avg_rating, r.review_count
  FROM product_performance f
  LEFT JOIN product_ratings r ON r.product_id = f.product_id
    AS OF SYSTEM TIME follower_read_timestamp()
 ORDER BY f.total_revenue DESC, f.product_id
 LIMIT %(count)s::BIGINT
