"""Open the local copies of benchmarks as an evaluation would, and report what it would refuse. Torch-free."""

from __future__ import annotations

import time
from collections.abc import Iterator

from model.config.benchmark import Benchmark
from model.config.catalogue import CatalogueConfig, CopyConfig
from model.data.checking import Broken, Checked
from model.data.shuffle import permuted
from model.evaluation.benchmarks.registry import specs
from model.evaluation.judge.grading import require
from model.evaluation.local_copies.opening import open_copy

CATEGORY = "benchmark"


def check_copies(catalogue: CatalogueConfig, num_items: int) -> Iterator[Checked]:
    """Read all rows of every copy, and open the images of some items, spread over its files; 0 opens all."""
    known = specs(catalogue.own)
    for copy in catalogue.benchmarks:
        yield _checked(copy, known[copy.name], num_items)


def _checked(copy: CopyConfig, spec: Benchmark, num_items: int) -> Checked:
    began = time.monotonic()
    try:
        items = open_copy(spec, copy.path)
        if spec.needs_judge:
            require(spec, items.materials())
    except ValueError as error:
        return Checked(category=CATEGORY, name=copy.name, size=0, num_opened=0, num_images=0, broken=(), most_broken=0.0,
                       error=str(error), seconds=time.monotonic() - began)
    count = min(num_items, len(items)) if num_items else len(items)
    num_images, broken = 0, []
    for position in range(count):
        index = permuted(position, size=len(items), key="check")
        try:
            num_images += len(items[index].images)
        except ValueError as error:
            broken.append(Broken(where=items.where(index), reason=str(error)))
    return Checked(category=CATEGORY, name=copy.name, size=len(items), num_opened=count, num_images=num_images, broken=tuple(broken),
                   most_broken=0.0, error="", seconds=time.monotonic() - began)
