"""Load testing for an e-commerce schema on CockroachDB and PostgreSQL."""

__version__ = "0.1.0"
