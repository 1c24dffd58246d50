"""The only package that talks to a database: connections, dialects, the statement catalogue, retries, schemas.

May import ``errors``, ``units`` and ``metrics``.  Nothing outside it (but workloads, through it) imports psycopg.
"""
