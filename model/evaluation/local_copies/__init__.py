"""Public benchmarks from local copies of their data."""
