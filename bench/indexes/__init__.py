"""The index experiment: what each index gives to the statements of a workload, and what it costs them (docs/indexes.md)."""
