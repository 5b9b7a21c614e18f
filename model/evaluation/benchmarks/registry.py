"""All benchmarks by name, and the suites: the workbench's and the public ones. Torch-free, because plans read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from model.config.benchmark import Benchmark
from model.config.fields import build
from model.evaluation.benchmarks.held_out import LOSS_SUITES, LOSSES
from model.evaluation.benchmarks.in_context import IN_CONTEXT, IN_CONTEXT_SUITES, TEXT_ONLY
from model.evaluation.benchmarks.public import PUBLIC, PUBLIC_SUITES
from model.workbench import JUDGED, UNTRAINED, WORKBENCH, WORKBENCH_SUITES

BENCHMARKS: dict[str, Benchmark] = {
    each.name: each for each in (*WORKBENCH, *JUDGED, *UNTRAINED, *TEXT_ONLY, *IN_CONTEXT, *LOSSES, *PUBLIC)
}

SUITES: dict[str, tuple[str, ...]] = WORKBENCH_SUITES | IN_CONTEXT_SUITES | LOSS_SUITES | PUBLIC_SUITES
"""Named sets of benchmarks. A scale selects one."""


def specs(own: Iterable[Benchmark] = ()) -> Mapping[str, Benchmark]:
    """Return what is known of every benchmark by name, those that a catalogue declares too."""
    declared = {each.name: each for each in own}
    return BENCHMARKS | declared if declared else BENCHMARKS


def own_of(evaluate: Mapping[str, Any]) -> tuple[Benchmark, ...]:
    """Return what an evaluation's configuration, as plain values, says of benchmarks that a catalogue declares."""
    return tuple(build(Benchmark, each, f"own[{i}]") for i, each in enumerate(evaluate.get("own", ())))
