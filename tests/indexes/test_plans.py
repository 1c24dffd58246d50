"""Plans as the servers tell them; CockroachDB's in the form of its documentation."""

from bench.indexes.plans import read_plan

COCKROACH = """planning time: 400µs
execution time: 2ms
distribution: local
rows decoded from KV: 1,302 (10.5 KiB, 2,604 KVs, 4 gRPC calls)
isolation level: serializable

• limit
│ count: 10
│
└── • index join
    │ actual row count: 12
    │ table: orders@orders_pkey
    │
    └── • scan
          actual row count: 12
          estimated row count: 10 (0.02% of the table)
          table: orders@idx_orders_user_created
          spans: [/'us-east'/'a' - /'us-east'/'a']""".splitlines()


def test_a_plan_of_cockroachdb():
    plan = read_plan("text", [(line,) for line in COCKROACH], {})
    assert plan.indexes == {"orders_pkey", "idx_orders_user_created"}
    assert (plan.rows, plan.read_bytes, plan.blocks) == (1302, 10.5 * 1024, None)
    assert plan.text == "limit > index join > scan (orders@orders_pkey, orders@idx_orders_user_created)"


def test_a_plan_of_postgresql():
    scan = {
        **{"Node Type": "Index Scan", "Relation Name": "t_east", "Index Name": "t_east_x_idx", "Index Cond": "(x = 1)"},
        **{"Actual Rows": 2.5, "Rows Removed by Filter": 1, "Actual Loops": 4},
    }
    ordered = {
        "Node Type": "Index Only Scan",
        "Relation Name": "u",
        "Index Name": "u_y",
        "Actual Rows": 1,
        "Actual Loops": 1,
    }
    top = {
        **{
            "Node Type": "Nested Loop",
            "Actual Rows": 3,
            "Shared Hit Blocks": 7,
            "Shared Read Blocks": 2,
            "WAL Bytes": 60,
        },
        "Plans": [scan, ordered],
    }
    plan = read_plan("json", [([{"Plan": top}],)], {"t_east_x_idx": "t_x"})
    assert plan.indexes == {"t_x", "u_y"}
    assert plan.sought == {"t_x"}
    assert plan.text == "Nested Loop (Index Scan t_east by t_x; Index Only Scan u by u_y)"
    assert (plan.rows, plan.blocks, plan.wal_bytes) == (15, 9, 60)


def test_what_has_no_plan():
    assert read_plan("json", [('["Utility Statement"]',)], {}).indexes == set()
