"""The load engine, on Locust.

Importing this package imports locust, which patches the standard library for gevent.  It has to come before psycopg: the
driver picks its wait function when it is imported, and the wrong one serialises all users (docs/concepts.md).
"""

import locust
from gevent.hub import Hub

__all__ = ["locust"]

# Ctrl-C is raised in the main greenlet, which says what it has to say; the hub would print it first.
Hub.NOT_ERROR = (*Hub.NOT_ERROR, KeyboardInterrupt)
