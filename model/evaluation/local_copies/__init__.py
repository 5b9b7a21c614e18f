"""Read public benchmarks from local copies of their data."""
