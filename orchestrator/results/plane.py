"""Arms in the plane of two numbers, such as tokens and a score, and which of them no other beats. Pure.

- Costs: image tokens and megapixels of an image, FLOPs of a trial. Fewer are better; of a score more is better.
- Only arms that meet the study's constraints can be on the front, which `analysis.pareto` finds.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.analysis.pareto import pareto_set
from orchestrator.analysis.table import ArmResult
from orchestrator.results.panels import baseline_means, limit_of
from orchestrator.results.results import Results, study_of
from orchestrator.results.titles import title
from orchestrator.study.metric_names import TOKENS

MEGAPIXELS, FLOPS = "megapixels_per_image", "flops"
COSTS = {TOKENS: "Tokens per image", MEGAPIXELS: "Megapixels per image", FLOPS: "TFLOPs of a trial"}
"""Cost -> its title."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanePoint:
    """An arm in the plane of two numbers."""

    key: str
    name: str
    x: float
    x_half_width: float | None
    y: float
    y_half_width: float | None
    n: int
    is_front: bool
    """Whether it is feasible and no other feasible arm is at least as good in both numbers and better in one."""
    is_feasible: bool
    """Whether its means meet every constraint of the study."""
    is_chosen: bool
    is_baseline: bool

    @property
    def is_marked(self) -> bool:
        """Whether a figure names it; the names of all arms would lie on each other."""
        return self.is_front or self.is_chosen or self.is_baseline


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """All arms of a study in a plane."""

    x: str
    y: str
    x_title: str
    y_title: str
    is_x_cost: bool
    points: tuple[PlanePoint, ...]
    without: tuple[str, ...]
    """The names of the arms that lack one of the numbers."""
    limit: float | None = None
    """The bound of the study's constraint on `y`; None without one."""


def axes(results: Results) -> list[str]:
    """Return what can be the horizontal axis: costs in which arms differ, then the averages other than the objective."""
    known = costs(results)
    differing = [name for name in COSTS if len({round(value, 9) for value in known[name].values()}) > 1]
    averages = [metric.name for metric in results.metrics if metric.kind in ("aggregate", "category")]
    return differing + [name for name in averages if name != results.objective]


def plane(results: Results, x: str, y: str) -> Plane:
    """Place the arms that have both numbers, and mark the front.

    Args:
        results: the results of the study.
        x: a cost of `COSTS` or a metric.
        y: a metric.
    """
    known = costs(results)
    across, up = _values(results, known, x), _values(results, known, y)
    met = feasible(results)
    goals = ((x, "minimize" if x in COSTS else "maximize"), (y, "minimize" if y in COSTS else "maximize"))
    both = {arm.key: arm for arm in results.arms if arm.key in across and arm.key in up}
    front = pareto_set({key: {x: across[key][0], y: up[key][0]} for key in both if key in met}, goals)
    points = tuple(PlanePoint(
        key=arm.key, name=arm.name, x=across[arm.key][0], x_half_width=across[arm.key][1], y=up[arm.key][0],
        y_half_width=up[arm.key][1], n=arm.metrics[y].n if y in arm.metrics else arm.num_scored,
        is_front=arm.key in front, is_feasible=arm.key in met, is_chosen=arm.key == results.verdict.chosen,
        is_baseline=arm.is_baseline) for arm in both.values())
    return Plane(x=x, y=y, x_title=COSTS.get(x, title(x)), y_title=COSTS.get(y, title(y)), is_x_cost=x in COSTS,
                 points=points, without=tuple(arm.name for arm in results.arms if arm.key not in both),
                 limit=limit_of(results, y))


def feasible(results: Results) -> set[str]:
    """Return the keys of the arms whose means meet every constraint; an arm without the needed scores meets none."""
    constraints, baseline = study_of(results.study).select.constraints, baseline_means(results)
    return {arm.key for arm in results.arms
            if all(each.is_known(arm.metrics, baseline) and each.missed_by(arm.metrics[each.metric].mean, baseline)
                   <= 1e-9 for each in constraints)}


def costs(results: Results) -> dict[str, dict[str, float]]:
    """Return cost -> arm key -> its value, as means over the arm's trials."""
    tokens = {arm.key: arm.tokens_per_image for arm in results.arms if arm.tokens_per_image is not None}
    areas = {key: value * area for key, value in tokens.items() if (area := _megapixels_a_token(results, key))}
    return {TOKENS: tokens, MEGAPIXELS: areas, FLOPS: _flops(results)}


def words(shown: Plane) -> str:
    """Describe a plane in words, for readers who cannot see it."""
    if not shown.points:
        return "No arm has both numbers yet."
    front = ", ".join(point.name for point in shown.points if point.is_front) or "none"
    return f"{shown.y_title} against {shown.x_title} for {len(shown.points)} arms; on the front: {front}."


def _megapixels_a_token(results: Results, arm: str) -> float | None:
    config = next((row.config for row in results.trial_rows if row.arm_key == arm), {})
    images = config.get("evaluate", {}).get("images", {})
    return images["tile"] ** 2 / images["tokens"] / 1e6 if images.get("tokens") else None


def _flops(results: Results) -> dict[str, float]:
    """Return arm key -> TFLOPs of all stages of one of its trials, shared ones included."""
    of_stage = {stage.stage_id: stage.flops for stage in results.stages}
    sums: dict[str, list[float]] = defaultdict(list)
    for row in results.trial_rows:
        sums[row.arm_key].append(math.fsum(of_stage.get(stage_id, 0.0) for stage_id in row.stage_ids))
    return {arm: math.fsum(own) / len(own) / 1e12 for arm, own in sums.items()}


def _values(results: Results, known: Mapping[str, Mapping[str, float]],
            name: str) -> dict[str, tuple[float, float | None]]:
    """Return arm key -> value and half-width of a cost or a metric."""
    if name in known:
        return {key: (value, None) for key, value in known[name].items()}
    return {arm.key: cell for arm in results.arms if (cell := _score(arm, name))}


def _score(arm: ArmResult, metric: str) -> tuple[float, float | None] | None:
    cell = arm.metrics.get(metric)
    return (cell.mean, cell.half_width) if cell and math.isfinite(cell.mean) else None
