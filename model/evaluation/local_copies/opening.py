"""Open a local copy: rows that become questions, or records of a held-out loss."""

from __future__ import annotations

from pathlib import Path

from model.config.benchmark import Benchmark
from model.config.stages import Orientation
from model.evaluation.local_copies.items import LocalItems
from model.evaluation.local_copies.records import RecordItems


def open_copy(spec: Benchmark, folder: Path, orientation: Orientation = "stored") -> LocalItems | RecordItems:
    """Open the copy of a benchmark.

    Args:
        spec: the benchmark.
        folder: the folder of the copy.
        orientation: whether photographs are rotated as their EXIF data say.

    Raises:
        ValueError: the copy does not exist, or a row is broken.
    """
    return (RecordItems if spec.is_loss else LocalItems)(spec, folder, orientation)
