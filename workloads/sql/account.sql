-- Accounts: who a shopper is, where he lives, what he bought and thinks of it.

-- name: find_taken_names
-- Whether an e-mail address or a user name is taken, in whichever region: where users are partitioned the keys see only one.
-- params: email text, username text
SELECT 'email' FROM users WHERE email = %(email)s::TEXT
 UNION
SELECT 'username' FROM users WHERE username = %(username)s::TEXT

-- name: insert_user
-- A new account; no row when somebody has taken a name since it was looked for.
-- params: region text, email text, username text, password_hash text, first_name text, last_name text
INSERT INTO users (region, email, username, password_hash, first_name, last_name)
VALUES (%(region)s::crdb_internal_region, %(email)s::TEXT, %(username)s::TEXT, %(password_hash)s::TEXT,
        %(first_name)s::TEXT, %(last_name)s::TEXT)
    ON CONFLICT DO NOTHING
RETURNING id

-- name: find_user_by_email
-- What a login needs, by e-mail address, in whichever region the user registered.
-- params: email text
SELECT region::TEXT, id, username, password_hash, status FROM users WHERE email = %(email)s::TEXT

-- name: find_user_by_username
-- The same by user name.
-- params: username text
SELECT region::TEXT, id, email, password_hash, status FROM users WHERE username = %(username)s::TEXT

-- name: list_addresses
-- A user's address book, the defaults first.
-- params: region text, user_id uuid
SELECT id, address_type, street_address, city, postal_code, country, is_default
  FROM user_addresses
 WHERE region = %(region)s::crdb_internal_region AND user_id = %(user_id)s::UUID
 ORDER BY address_type, is_default DESC, created_at, id

-- name: insert_address
-- Another address; the default only when it is the user's first, which a registration writes.
-- params: region text, user_id uuid, type text, street text, city text, postal_code text, country text, is_default boolean
INSERT INTO user_addresses (region, user_id, address_type, street_address, city, postal_code, country, is_default)
VALUES (%(region)s::crdb_internal_region, %(user_id)s::UUID, %(type)s::TEXT, %(street)s::TEXT, %(city)s::TEXT,
        %(postal_code)s::TEXT, %(country)s::TEXT, %(is_default)s::BOOLEAN)
RETURNING id

-- name: make_default_address
-- Make an address the only default of its type, in one statement: of two at the same time one waits for the other, and the
-- last one wins.  No row when the address is not the user's.
-- params: region text, user_id uuid, address_id uuid
UPDATE user_addresses
   SET is_default = (id = %(address_id)s::UUID)
 WHERE region = %(region)s::crdb_internal_region AND user_id = %(user_id)s::UUID
   AND address_type = (SELECT a.address_type FROM user_addresses a
                        WHERE a.region = %(region)s::crdb_internal_region AND a.user_id = %(user_id)s::UUID
                          AND a.id = %(address_id)s::UUID)
RETURNING id, is_default

-- name: order_history
-- One page of a user's orders, the latest first; the next starts after the last (created_at, id) shown.  As of now, also on
-- CockroachDB: whoever has just bought wants to see it.
-- params: region text, user_id uuid, before timestamptz, before_id uuid
SELECT id, order_number, status, payment_status, total_amount, created_at
  FROM orders
 WHERE region = %(region)s::crdb_internal_region AND user_id = %(user_id)s::UUID
   AND (created_at, id) < (%(before)s::TIMESTAMPTZ, %(before_id)s::UUID)
 ORDER BY created_at DESC, id DESC
 LIMIT 10

-- name: order_status
-- An order by its number, as the link in a confirmation has it; no row when it is another user's.
-- params: region text, user_id uuid, order_number text
SELECT id, status, payment_status, fulfillment_status, subtotal, discount_amount, tax_amount, shipping_amount, total_amount,
       shipping_address, created_at, updated_at
  FROM orders
 WHERE region = %(region)s::crdb_internal_region AND order_number = %(order_number)s::TEXT
   AND user_id = %(user_id)s::UUID

-- name: items_of_order
-- The order's lines as they were bought.
-- params: region text, order_id uuid
SELECT product_id, variant_id, quantity, unit_price, total_price, product_snapshot
  FROM order_items
 WHERE region = %(region)s::crdb_internal_region AND order_id = %(order_id)s::UUID
 ORDER BY product_id, variant_id

-- name: coupons_of_order
-- The coupons that the order used.
-- params: region text, order_id uuid
SELECT c.code, u.discount_amount
  FROM coupon_usages u
  JOIN coupons c ON c.id = u.coupon_id
 WHERE u.region = %(region)s::crdb_internal_region AND u.order_id = %(order_id)s::UUID
 ORDER BY c.code

-- name: delivered_items
-- What a user got lately and may review.
-- params: region text, user_id uuid
SELECT o.id, oi.product_id
  FROM (SELECT region, id, created_at FROM orders
         WHERE region = %(region)s::crdb_internal_region AND user_id = %(user_id)s::UUID AND status = 'delivered'
         ORDER BY created_at DESC, id DESC
         LIMIT 10) o
  JOIN order_items oi ON oi.region = o.region AND oi.order_id = o.id
 ORDER BY o.created_at DESC, o.id, oi.product_id

-- name: reviews_of_user
-- What a user has reviewed.
-- params: region text, user_id uuid
SELECT product_id, order_id, rating, title, is_approved, helpful_count
  FROM product_reviews
 WHERE region = %(region)s::crdb_internal_region AND user_id = %(user_id)s::UUID
 ORDER BY created_at DESC, id
 LIMIT 50

-- name: insert_review
-- A review, verified because the order that it names was the user's, held the product and was delivered; no row when not, or
-- when the user has reviewed it before.  Moderation decides whether it is shown.
-- params: region text, user_id uuid, product_id uuid, order_id uuid, rating bigint, title text, review_text text
INSERT INTO product_reviews (region, product_id, user_id, order_id, rating, title, review_text, is_verified, is_approved)
SELECT o.region, %(product_id)s::UUID, o.user_id, o.id, %(rating)s::BIGINT, %(title)s::TEXT, %(review_text)s::TEXT, true,
       false
  FROM orders o
 WHERE o.region = %(region)s::crdb_internal_region AND o.id = %(order_id)s::UUID AND o.user_id = %(user_id)s::UUID
   AND o.status = 'delivered'
   AND EXISTS (SELECT 1 FROM order_items oi
                WHERE oi.region = o.region AND oi.order_id = o.id AND oi.product_id = %(product_id)s::UUID)
    ON CONFLICT DO NOTHING
RETURNING id

-- name: vote_helpful
-- A reader found a review helpful.
-- params: region text, review_id uuid
UPDATE product_reviews
   SET helpful_count = helpful_count + 1
 WHERE region = %(region)s::crdb_internal_region AND id = %(review_id)s::UUID AND is_approved
RETURNING helpful_count
