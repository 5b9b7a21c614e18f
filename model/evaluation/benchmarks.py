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
    """A key of `model.evaluation.metrics.METRICS` for the workbench, the public metric's name otherwise."""
    num_items: int
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
                "realworldqa": "choice"},
    "text_rich": {"wtq": "denotation", "tabfact": "contains", "ocrbench": "contains", "chartqa": "relaxed", "textvqa": "vqa",
                  "docvqa": "anls", "infovqa": "anls"},
    "knowledge": {"ai2d": "choice", "scienceqa-img": "choice", "mathvista": "judge", "mmmu": "choice"},
    "refer_ground": {"flickr30k": "recall", "lvis-ferret": "contains", "refcoco": "iou", "refcoco-plus": "iou", "refcocog": "iou",
                     "ferret-bench": "judge"},
    "multi_image": {"qbench2": "choice", "mantis": "choice", "nlvr2": "choice", "blink": "choice", "mvbench": "choice",
                    "muirbench": "choice"},
}
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
