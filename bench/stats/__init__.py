"""Statistics on merged figures: pure, no I/O.  May import ``metrics``, ``errors`` and ``units``."""
