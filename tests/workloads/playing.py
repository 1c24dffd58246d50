"""For tests: runs a script of the troupe in a process of its own."""

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from tests_support import HANG_S

TROUPE = Path(__file__).with_name("troupe.py")


def act(url: str, script: str, **names: object) -> Any:
    """Return what the script says; ``names`` are set before it."""
    given = "".join(f"{name} = {value!r}\n" for name, value in names.items())
    command = [sys.executable, str(TROUPE), given + textwrap.dedent(script), url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def rewind(shop: Any, status: str, count: int = 1, region: str = "eu-west") -> list[str]:
    """Take the latest orders of a region that have left back to a status before; returns their ids, the latest first."""
    rows = shop.rows(
        "SELECT id::TEXT FROM orders o WHERE region = %s AND status IN ('shipped', 'delivered')"
        " AND EXISTS (SELECT FROM inventory_movements WHERE reference_id = o.id AND movement_type = 'out')"
        " ORDER BY created_at DESC LIMIT %s",
        region,
        count,
    )
    ids = [row[0] for row in rows]
    assert len(ids) == count
    if status != "shipped":
        shop.rows(
            "WITH gone AS (DELETE FROM inventory_movements WHERE reference_id = ANY (%s::UUID[]) AND movement_type = 'out'"
            " RETURNING inventory_id, quantity), sums AS (SELECT inventory_id, sum(quantity)::BIGINT AS units FROM gone"
            " GROUP BY 1) UPDATE inventory i SET quantity_reserved = quantity_reserved + units FROM sums"
            " WHERE i.id = inventory_id",
            ids,
        )
    shop.rows(
        "UPDATE orders SET status = %s, fulfillment_status = %s, payment_status = %s WHERE id = ANY (%s::UUID[])",
        status,
        "fulfilled" if status == "shipped" else "unfulfilled",
        "pending" if status == "pending" else "paid",
        ids,
    )
    return ids
