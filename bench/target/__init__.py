"""What is tested: the embedded server's life cycle, and targets by URL.  May import ``db``, ``errors`` and ``units``."""
