"""One run of several processes, on this machine and others, carried by Locust's master and workers (docs/workers.md)."""
