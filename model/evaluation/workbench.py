"""Benchmarks of the workbench: in the manner of public ones and never named after them. Torch-free.

Each has a maker of the same name in `model.data.workbench`.
"""

from __future__ import annotations

from model.evaluation.benchmark import Benchmark

WORKBENCH: tuple[Benchmark, ...] = (
    Benchmark(name="scene-qa", category="general", metric="exact", num_items=200, manner_of="GQA, SEED-IMG"),
    Benchmark(name="scene-probe", category="general", metric="yes_no", num_items=200, manner_of="POPE"),
    Benchmark(name="form-fields", category="text_rich", metric="anls", num_items=200, manner_of="DocVQA"),
    Benchmark(name="chart-values", category="text_rich", metric="relaxed", num_items=200, manner_of="ChartQA"),
    Benchmark(name="science-names", category="knowledge", metric="exact", num_items=200, manner_of="ScienceQA"),
    Benchmark(name="science-choice", category="knowledge", metric="choice", num_items=200, manner_of="AI2D"),
    Benchmark(name="drawn-sums", category="knowledge", metric="exact", num_items=200, manner_of="MathVista"),
    Benchmark(name="box-name", category="refer_ground", metric="exact", num_items=100, manner_of="LVIS-Ferret"),
    Benchmark(name="name-box", category="refer_ground", metric="iou", num_items=100, max_new_tokens=24, manner_of="RefCOCO"),
    Benchmark(name="sums-text", category="text_only", metric="exact", num_items=200, manner_of="GSM8K"),
)

WORKBENCH_SUITES: dict[str, tuple[str, ...]] = {
    "workbench": tuple(each.name for each in WORKBENCH),
    "workbench-quick": ("scene-qa", "scene-probe", "form-fields", "chart-values", "science-names", "science-choice"),
}
