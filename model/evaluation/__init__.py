"""Benchmarks, metrics, averages, and evaluation by generation."""
