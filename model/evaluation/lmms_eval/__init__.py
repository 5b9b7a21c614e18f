"""A checkpoint as a model of lmms-eval, so that the benchmarks it brings run on it."""
