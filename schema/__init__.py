"""The e-commerce schema: the logical model once, and its variants for two databases.

Reached by ``bench.db.schemas`` through ``definition``; imports only the core's ``bench.db.model`` and ``bench.db.ddl``.
"""

from .model import MODEL
from .variants import VARIANTS, definition

__all__ = ["MODEL", "VARIANTS", "definition"]
