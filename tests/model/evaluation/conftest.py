"""The recorded answers of the reference implementations."""

import json
from pathlib import Path

import pytest

VECTORS = Path(__file__).parents[2] / "vectors" / "metric_vectors.json"


@pytest.fixture
def vectors(request):
    path = request.config.getoption("--metric-vectors") or VECTORS
    return {name: metric["vectors"] for name, metric in json.loads(Path(path).read_text())["metrics"].items()}
