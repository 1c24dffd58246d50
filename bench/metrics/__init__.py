"""Samples, histograms and frames: what a run records.  No I/O; may import only ``errors`` and ``units``."""
