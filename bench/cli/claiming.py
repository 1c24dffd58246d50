"""Whose a database is: each run notes itself there, and ``bench audit --run`` asks."""

from contextlib import closing, suppress
from dataclasses import replace

from bench.cli import console
from bench.cli.auditing import RUN_NOTE
from bench.cli.preparing import Prepared
from bench.db.admin import Admin
from bench.db.connection import DriverError, connect
from bench.db.settings import cluster_settings, session_settings
from bench.load.gateways import gateway_connector
from bench.scenario.model import Scenario


def claimed(prepared: Prepared, scenario: Scenario, run_id: str) -> Prepared:
    """Note in the database which run is the last to use it, and return it with the isolation and settings of its sessions.

    The isolation is read inside a transaction of a session as the load's: CockroachDB may give a stricter one than asked.  So
    are the settings of sessions, which a role or the URL may have changed.
    """
    target = prepared.target
    settings = dict(prepared.settings)
    with closing(connect(target.admin_url)) as connection, suppress(DriverError):
        settings |= cluster_settings(connection, target.dialect)
        # Somebody who may only read and write the shop can still run; the audit then cannot tell.
        Admin.of(connection, target.dialect).read("meta_write", key=RUN_NOTE, value=run_id)
    with closing(gateway_connector(target, target.regions[0], scenario, run_id)()) as connection:
        admin = Admin.of(connection, target.dialect)
        settings |= session_settings(connection, target.dialect)
        with connection.transaction():
            in_force = admin.isolation()
    if scenario.isolation and in_force != scenario.isolation:
        console.note(f"isolation {scenario.isolation} was asked for, the server gives {in_force}")
    return replace(prepared, isolation=in_force, settings=settings)
