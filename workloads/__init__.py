"""What shoppers do: transactions and user classes, with their statements in ``sql/``.

May import ``bench.load``, ``bench.db`` and ``bench.data``; siblings relatively.
"""
