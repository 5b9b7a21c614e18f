"""The titles of metrics: one vocabulary for dashboard and report."""

from __future__ import annotations

from model.evaluation.benchmarks.registry import BENCHMARKS
from orchestrator.study.metric_names import TOKENS

_TITLES = {"mmbase": "MMBase", "overall": "Mean of all categories", "refer_ground": "Refer & ground",
           "text_rich": "Text-rich", "multi_image": "Multi-image", "text_only": "Text-only", "in_context": "In-context",
           "held_out": "Held-out loss", TOKENS: "Tokens per image"}


def title(metric: str) -> str:
    """Return the title of a metric, such as `MMBase` for mmbase; benchmarks keep the name that files use."""
    if metric in BENCHMARKS or "/" in metric:
        return metric
    return _TITLES.get(metric, metric.replace("_", " ").replace("-", " ").capitalize())
