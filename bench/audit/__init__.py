"""The audit: business rules checked in the database after a run, each violation with a witness.

May import ``errors``, ``metrics`` and ``bench.db``'s statement catalogue; never a driver.
"""
