"""Options that every test may ask for."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--grid-vectors", default=None, help="another file in the form of tests/vectors/grid_vectors.json")
    parser.addoption("--metric-vectors", default=None, help="another file in the form of tests/vectors/metric_vectors.json")
