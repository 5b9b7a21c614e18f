"""All benchmarks by name, and the suites: the workbench's and the public ones. Torch-free, because plans read it."""

from __future__ import annotations

from model.config.benchmark import Benchmark
from model.evaluation.benchmarks.in_context import IN_CONTEXT, IN_CONTEXT_SUITES, TEXT_ONLY
from model.evaluation.benchmarks.public import PUBLIC, PUBLIC_SUITES
from model.workbench import JUDGED, UNTRAINED, WORKBENCH, WORKBENCH_SUITES

BENCHMARKS: dict[str, Benchmark] = {
    each.name: each for each in (*WORKBENCH, *JUDGED, *UNTRAINED, *TEXT_ONLY, *IN_CONTEXT, *PUBLIC)
}

SUITES: dict[str, tuple[str, ...]] = WORKBENCH_SUITES | IN_CONTEXT_SUITES | PUBLIC_SUITES
"""Named sets of benchmarks. A scale selects one."""
