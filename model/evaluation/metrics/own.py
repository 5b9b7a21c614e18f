"""Metrics of own benchmarks: ours with the options that a catalogue fixes, and those that a package brings. Torch-free."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from model.config.benchmark import Benchmark
from model.config.fields import build, to_plain
from model.config.scoring import ScoringConfig
from model.evaluation.metrics import ItemScore, score_item
from model.plugins import METRICS, planned
from model.samples import Item


def with_options(spec: Benchmark, scoring: ScoringConfig) -> ScoringConfig:
    """Return the choices of a study with those that the catalogue fixes for this benchmark."""
    if not spec.options or spec.metric_version:
        return scoring
    return build(ScoringConfig, to_plain(scoring) | _options(spec), "options")


def score_answer(spec: Benchmark, prediction: str, item: Item, scoring: ScoringConfig) -> ItemScore:
    """Judge an answer by the benchmark's metric.

    Raises:
        ValueError: the item cannot be judged, the metric's package is not installed in the planned version, or what it returns is no
            score.
    """
    if not spec.metric_version:
        return score_item(spec.metric, prediction, item, scoring)
    found = planned(METRICS, spec.metric, spec.metric_version).call(prediction, item, **_options(spec))
    if found is None:
        return ItemScore(0.0, 0.0, None)
    is_score = isinstance(found, int | float) and math.isfinite(found) and 0 <= found <= 1
    if not is_score:
        raise ValueError(f"{item.item_id}: the metric {spec.metric!r} returned {found!r}; allowed: a number from 0 to 1, or None")
    return ItemScore(float(found), float(found), prediction.strip())


def _options(spec: Benchmark) -> Mapping[str, Any]:
    return json.loads(spec.options or "{}")  # type: ignore[no-any-return]
