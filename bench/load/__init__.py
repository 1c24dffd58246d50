"""The load engine, on Locust.

Importing this package imports locust, which patches the standard library for gevent.  It has to come before psycopg: the
driver picks its wait function when it is imported, and the wrong one serialises all users (docs/concepts.md).
"""

import locust

__all__ = ["locust"]
