"""Benchmarks: public ones, the workbench's, in-context ones, and the suites that list them."""
