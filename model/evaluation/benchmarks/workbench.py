"""Benchmarks of the workbench: similar to public ones, and never named after them. Torch-free.

Each has a generator of the same name in `model.workbench`.
"""

from __future__ import annotations

from typing import Any

from model.evaluation.benchmarks.benchmark import JUDGES, Benchmark, Category

OPEN: dict[str, Any] = {"choices": JUDGES, "max_new_tokens": 48}


def _benchmark(
    name: str, category: Category, metric: str, manner_of: str, *, num_items: int = 100, **fields: Any
) -> Benchmark:
    return Benchmark(name=name, category=category, metric=metric, manner_of=manner_of, num_items=num_items, **fields)


WORKBENCH: tuple[Benchmark, ...] = (
    _benchmark("scene-qa", "general", "exact", "GQA", num_items=200),
    _benchmark("scene-probe", "general", "yes_no", "POPE", num_items=200),
    _benchmark("scene-pairs", "general", "mme", "MME", version=2, total="mme", group="category", groups=("existence",)),
    _benchmark("scene-choice", "general", "choice", "SEED-IMG"),
    _benchmark("scene-layout", "general", "realworldqa", "RealWorldQA", version=2),
    _benchmark("form-fields", "text_rich", "anls", "DocVQA", num_items=200),
    _benchmark("small-print", "text_rich", "anls", "InfoVQA"),
    _benchmark("chart-values", "text_rich", "relaxed", "ChartQA", num_items=200),
    _benchmark("line-values", "text_rich", "relaxed", "ChartQA"),
    _benchmark("table-cells", "text_rich", "denotation", "WTQ", version=2),
    _benchmark("table-facts", "text_rich", "tabfact", "TabFact", version=2),
    _benchmark("screen-words", "text_rich", "vqa", "TextVQA", version=2),
    _benchmark("handwriting", "text_rich", "contains", "OCRBench"),
    _benchmark("science-names", "knowledge", "exact", "ScienceQA", num_items=200),
    _benchmark("science-choice", "knowledge", "choice_scienceqa", "ScienceQA", num_items=200, version=3),
    _benchmark("science-diagram", "knowledge", "choice_ai2d", "AI2D"),
    _benchmark("drawn-sums", "knowledge", "exact", "MathVista", num_items=200),
    _benchmark("geometry", "knowledge", "exact", "MathVista"),
    _benchmark("geometry-choice", "knowledge", "choice_mmmu", "MMMU"),
    _benchmark("markup-source", "knowledge", "anls", "MMMU", max_new_tokens=32),
    _benchmark("box-name", "refer_ground", "lvis", "LVIS-Ferret", version=2),
    _benchmark("name-box", "refer_ground", "iou", "RefCOCO", max_new_tokens=24),
    _benchmark("phrase-box", "refer_ground", "phrase", "Flickr30k", max_new_tokens=24),
    _benchmark("same-or-not", "multi_image", "choice_nlvr2", "NLVR2", version=2),
    _benchmark("which-image", "multi_image", "mantis", "Mantis", version=2),
    _benchmark("spot-difference", "multi_image", "exact", "BLINK", version=2),
    _benchmark("film-moves", "multi_image", "exact", "MVBench", version=2),
    _benchmark("spot-choice", "multi_image", "choice_blink", "BLINK", in_average=False),
    _benchmark("film-choice", "multi_image", "choice_mvbench", "MVBench", in_average=False),
    _benchmark("picture-quality", "multi_image", "choice_qbench2", "Q-Bench2"),
    _benchmark("picture-choice", "multi_image", "choice_mmmu", "MuirBench", in_average=False),
    _benchmark("sums-text", "text_only", "exact", "GSM8K", num_items=200),
    _benchmark("words-text", "text_only", "exact", "IFEval"),
)

JUDGED: tuple[Benchmark, ...] = (
    _benchmark("scene-talk", "general", "judge_pair", "LLaVA-Bench", num_items=60, total="relative", group="category",
               groups=("conv", "detail", "complex"), **OPEN),
    _benchmark("scene-skills", "general", "judge_grade", "MM-Vet", num_items=60, **OPEN),
    _benchmark("region-talk", "refer_ground", "judge_pair", "Ferret-Bench", num_items=60, total="relative", group="category",
               groups=("refer_desc", "refer_reason", "ground_conv"), in_average=False, **OPEN),
    _benchmark("maths-read", "knowledge", "judge_extract", "MathVista", num_items=60, **OPEN),
)
"""Open answers, scored by a judge model; without a judge they are not run."""

UNTRAINED: tuple[Benchmark, ...] = (_benchmark("emoji-pictures", "general", "choice", "SEED-IMG", in_average=False),)
"""Tasks that no training data of the workbench shows. They form a suite of their own, so that a study runs them only
if it asks for them."""

WORKBENCH_SUITES: dict[str, tuple[str, ...]] = {
    "workbench": tuple(each.name for each in WORKBENCH),
    "workbench-judged": tuple(each.name for each in (*WORKBENCH, *JUDGED)),
    "workbench-untrained": tuple(each.name for each in UNTRAINED),
    "workbench-quick": ("scene-qa", "scene-probe", "scene-choice", "form-fields", "chart-values", "science-names", "science-choice"),
}
