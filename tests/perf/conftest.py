"""Benchmarks: each test measures, the table at the end says what was reached. Nothing fails for being slow on a busy machine."""

import importlib.metadata
import json
import os
import platform
import time
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

LIBRARIES = ("torch", "transformers", "ray", "optuna", "mlflow", "sqlalchemy", "pillow", "numpy")


@dataclass(frozen=True)
class Row:
    """One figure, what it should be, and what others reach in the same run."""

    what: str
    value: float
    unit: str
    target: str
    beside: dict[str, float] = field(default_factory=dict)


ROWS: list[Row] = []


@pytest.fixture
def measured():
    """Return the function that keeps a figure for the table."""
    return lambda *args, **more: ROWS.append(Row(*args, **more))


def pytest_addoption(parser):
    parser.addoption("--bench-out", default=None, help="also write the figures, with date and versions, to this JSON file")


def pytest_terminal_summary(terminalreporter, config):
    for row in ROWS:
        terminalreporter.write_line(f"{row.what:<58} {row.value:>9.3g} {row.unit:<12} target {row.target}")
        for name, value in row.beside.items():
            terminalreporter.write_line(f"    {'beside: ' + name:<54} {value:>9.3g} {row.unit}")
    out = config.getoption("--bench-out")
    if out and ROWS:
        Path(out).write_text(json.dumps(_document(), indent=1) + "\n", encoding="utf-8")


def _document() -> dict[str, object]:
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": {"cpu": _cpu(), "cores": os.cpu_count(), "python": platform.python_version(), "load_before": os.getloadavg()[2],
                    "python_loop_s": _python_loop_s()},
        "versions": {name: importlib.metadata.version(name) for name in LIBRARIES},
        "figures": [asdict(row) for row in ROWS],
    }


def _python_loop_s() -> float:
    """Return the processor time of ten million additions: machines of one name differ by a factor of three."""
    start, total = time.process_time(), 0
    for number in range(10_000_000):
        total += number
    return round(time.process_time() - start, 3)


def _cpu() -> str:
    names = [line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.machine()
