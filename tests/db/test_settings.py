"""Settings for the manifest: read where they can be, and said to be unreadable where they cannot."""

import psycopg

from bench.db.connection import connect
from bench.db.settings import UNREADABLE, cluster_settings, session_settings


def test_settings_of_a_session_are_those_in_force_in_it(pg_url: str) -> None:
    # SHOW ALL has name and value first on both databases.
    options = ["statement_timeout=7000", "plan_cache_mode=force_generic_plan"]
    with connect(pg_url, options=options) as connection:
        found = session_settings(connection, "cockroach")
    assert found["statement_timeout"] == "7s"
    assert found["plan_cache_mode"] == "force_generic_plan"
    # A run's own name would make every run another.
    assert "application_name" not in found
    assert "search_path" not in found


def test_on_postgresql_they_are_read_elsewhere(pg_url: str) -> None:
    with connect(pg_url) as connection:
        assert session_settings(connection, "postgres") == {}
        assert cluster_settings(connection, "postgres") == {}


def test_what_the_server_refuses_is_not_readable(pg_url: str) -> None:
    with connect(pg_url) as connection:
        assert cluster_settings(connection, "cockroach") == {"cluster_settings": UNREADABLE}
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
