"""Adapter to lmms-eval, so that its benchmarks can run on a checkpoint."""
