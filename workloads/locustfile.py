"""The shop under Locust's own command, for those who want its web page and its flags:

    locust -f workloads/locustfile.py --host postgresql://user@host/shop --users 50 --spawn-rate 50

The database is one that ``bench seed`` has filled.  Set ``--shop-set strategy=optimistic``, ``--shop-think-time`` and
``--shop-regions`` as you like.  What ``bench run`` has beyond this: an open schedule, a run store, the audit, the verdict.
"""

# First of all, because it patches the standard library for gevent before psycopg looks at it.
from bench.workloads.shop import ShopperUser

from bench.load.standalone import shoppers

Shopper = shoppers(
    ShopperUser, {"browse": 24, "shop": 5, "log_in": 4, "fill_and_leave": 4, "history": 3, "register": 1}
)
