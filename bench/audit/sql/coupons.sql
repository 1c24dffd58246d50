-- Rules of the coupons.

-- name: audit_coupon_uses
-- Each region's counter against its usages and its allotment.
WITH usages AS (
  SELECT region, coupon_id, count(*) AS uses
    FROM coupon_usages
   GROUP BY region, coupon_id
)
SELECT count(*) OVER () AS violations, COALESCE(a.region, u.region)::TEXT AS region,
       COALESCE(a.coupon_id, u.coupon_id) AS coupon_id, a.allotted, COALESCE(a.used, 0) AS used,
       COALESCE(u.uses, 0) AS usages
  FROM coupon_allotments a
  FULL JOIN usages u ON u.region = a.region AND u.coupon_id = a.coupon_id
 WHERE COALESCE(a.used, 0) <> COALESCE(u.uses, 0) OR a.used > a.allotted
 ORDER BY 3, 2
 LIMIT 3;

-- name: audit_coupon_limits
-- Coupons of which more is allotted than their limit allows; audit_coupon_uses holds the uses to the allotment.
WITH allotments AS (
  SELECT coupon_id, sum(allotted)::BIGINT AS allotted, sum(used)::BIGINT AS used,
         count(*) FILTER (WHERE allotted IS NULL) AS unlimited
    FROM coupon_allotments
   GROUP BY coupon_id
)
SELECT count(*) OVER () AS violations, c.id AS coupon_id, c.code, c.usage_limit, a.allotted, a.unlimited, a.used
  FROM coupons c
  JOIN allotments a ON a.coupon_id = c.id
 WHERE a.allotted > c.usage_limit OR (a.unlimited > 0 AND c.usage_limit IS NOT NULL)
 ORDER BY c.id
 LIMIT 3;

-- name: audit_discounts
-- Each order's discount against its coupon usages.  A cancelled order may have given its use back.
WITH usages AS (
  SELECT region, order_id, sum(discount_amount) AS discount
    FROM coupon_usages
   GROUP BY region, order_id
)
SELECT count(*) OVER () AS violations, o.region::TEXT AS region, o.id AS order_id, o.order_number, o.status,
       o.discount_amount, COALESCE(u.discount, 0) AS discount_by_usages
  FROM orders o
  LEFT JOIN usages u ON u.region = o.region AND u.order_id = o.id
 WHERE o.discount_amount <> COALESCE(u.discount, 0) AND NOT (o.status = 'cancelled' AND u.order_id IS NULL)
 ORDER BY o.id
 LIMIT 3;
