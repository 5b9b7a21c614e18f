"""Evaluation: benchmarks, generated answers, metrics, judges, and averages."""
