"""The benchmarks: category, metric, whether they enter the averages. Torch-free; plans read it.

Workbench benchmarks are in the manner of public ones and never named after them. The public ones of the deck are
registered so that plans can name them; their data come from a catalogue.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark; its score is the mean of its items' scores x 100."""

    name: str
    category: Literal["general", "text_rich", "knowledge", "refer_ground", "multi_image", "text_only"]
    metric: str
    """A key of `model.evaluation.metrics.METRICS`, or one of `WITHOUT_METRIC`."""
    num_items: int
    """Items of the test split; 0 where the catalogue says."""
    max_new_tokens: int = 8
    in_average: bool = True
    version: int = 1
    """Bumped by hand when prompt, metric or decoding change what is measured."""
    source: Literal["workbench", "catalogue"] = "workbench"
    manner_of: str = ""
    """Public benchmarks that a workbench one resembles."""


def _workbench() -> list[Benchmark]:
    return [
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
    ]


_PUBLIC: dict[str, dict[str, str]] = {
    "general": {"mme": "mme", "seed-img": "choice", "pope": "yes_no", "llava-bench-wild": "judge", "mm-vet": "judge",
                "realworldqa": "realworldqa"},
    "text_rich": {"wtq": "denotation", "tabfact": "tabfact", "ocrbench": "contains", "chartqa": "relaxed", "textvqa": "vqa",
                  "docvqa": "anls", "infovqa": "anls"},
    "knowledge": {"ai2d": "choice_ai2d", "scienceqa-img": "choice_scienceqa", "mathvista": "judge", "mmmu": "mmmu"},
    "refer_ground": {"flickr30k": "phrase_recall", "lvis-ferret": "lvis", "refcoco": "iou", "refcoco-plus": "iou", "refcocog": "iou",
                     "ferret-bench": "judge"},
    "multi_image": {"qbench2": "choice_qbench2", "mantis": "mantis", "nlvr2": "choice_nlvr2", "blink": "choice_blink",
                    "mvbench": "choice_mvbench", "muirbench": "choice_mmmu"},
}
WITHOUT_METRIC = frozenset({"judge", "denotation", "vqa", "mmmu", "phrase_recall"})
"""Metrics that are not built in: a benchmark of one of them can be planned, not run, and withholds its averages."""
OUTSIDE_AVERAGES = frozenset({"ferret-bench", "muirbench"})
"""Marked with a dagger in the deck; that they stay out of the ablation averages is probable, not verified."""


def _public() -> list[Benchmark]:
    return [Benchmark(name=name, category=category, metric=metric, num_items=0, in_average=name not in OUTSIDE_AVERAGES,  # type: ignore[arg-type]
                      source="catalogue", max_new_tokens=64)
            for category, names in _PUBLIC.items() for name, metric in names.items()]


BENCHMARKS: dict[str, Benchmark] = {each.name: each for each in (*_workbench(), *_public())}

SUITES: dict[str, tuple[str, ...]] = {
    "workbench": tuple(each.name for each in _workbench()),
    "workbench-quick": ("scene-qa", "scene-probe", "form-fields", "chart-values", "science-names", "science-choice"),
    "mm15": tuple(each.name for each in _public()),
}
"""Named sets of benchmarks; a scale names one."""
