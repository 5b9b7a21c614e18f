"""Benchmarks of the workbench that are asked after worked examples, and held-out text. Torch-free.

The deck's claims about interleaved data and about text-only data concern these abilities, so a study can select these
benchmarks: `scene-qa-4shot`. They have categories of their own, outside the deck's averages.
"""

from __future__ import annotations

from typing import NamedTuple

from model.config.benchmark import Benchmark

SHOTS = (0, 4, 8)
NUM_TEXTS = 32


class _Task(NamedTuple):
    name: str
    manner_of: str
    category: str = ""
    """Of the training samples that are its examples; empty: the task makes its own."""
    max_new_tokens: int = 8


_TASKS = (
    _Task("bound-words", "VL-ICL open MiniImageNet"),
    _Task("operators", "VL-ICL operator induction"),
    _Task("scene-qa", "GQA", "general"),
    _Task("science-names", "ScienceQA", "science"),
    _Task("drawn-sums", "MathVista", "math"),
)

IN_CONTEXT: tuple[Benchmark, ...] = tuple(
    Benchmark(name=f"{task.name}-{shots}shot", category="in_context", metric="exact", num_items=100, max_new_tokens=task.max_new_tokens,
              manner_of=task.manner_of, shots=shots, shots_of=task.category and task.name, examples=task.category,
              made_of=tuple(filter(None, (task.name, task.category))))
    for task in _TASKS for shots in SHOTS if shots or not task.category)

TEXT_ONLY: tuple[Benchmark, ...] = (
    Benchmark(name="english-bits", category="text_only", metric="likelihood", total="bits", num_items=NUM_TEXTS, manner_of="held-out loss",
              made_of=("text_only",)),
)

IN_CONTEXT_SUITES: dict[str, tuple[str, ...]] = {
    "workbench-in-context": tuple(each.name for each in IN_CONTEXT),
}
