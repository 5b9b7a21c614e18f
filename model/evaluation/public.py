"""The public benchmarks of the deck (MM1.5, arXiv:2409.20566). Torch-free.

Registered so that plans can name them; their data come from a catalogue of local copies.
"""

from __future__ import annotations

from model.evaluation.benchmark import Benchmark

_METRICS: dict[str, dict[str, str]] = {
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
OUTSIDE_AVERAGES = frozenset({"ferret-bench", "muirbench"})
"""Marked with a dagger in the deck; that they stay out of the ablation averages is probable, not verified."""

PUBLIC: tuple[Benchmark, ...] = tuple(
    Benchmark(name=name, category=category, metric=metric, num_items=0, in_average=name not in OUTSIDE_AVERAGES,  # type: ignore[arg-type]
              source="catalogue", max_new_tokens=64)
    for category, names in _METRICS.items() for name, metric in names.items())

PUBLIC_SUITES: dict[str, tuple[str, ...]] = {"mm15": tuple(each.name for each in PUBLIC)}
