"""The data of the shop, made from a seed: vocabularies, distributions, tables as COPY blocks, and the loading plan.

May import ``db``, ``errors`` and ``units``.  Every cell is a function of (seed, table, column, row number), so that any
block can be made alone and the rows do not depend on how many connections or processes made them.
"""
