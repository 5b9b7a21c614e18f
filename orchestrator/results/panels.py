"""What a figure of scores shows, for whoever draws it: the dashboard with Plotly, the report with matplotlib. Pure.

- The unit is the arm: seeds are points around its mean, and n is known for every mean.
- An arm without a score keeps its place and says why; trials that failed, diverged or were cancelled are counted.
- The paper enters as differences to its own baseline: its absolute scores, of another model, would crush ours.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.analysis.table import ArmResult, Cell
from orchestrator.results.outcome import in_words, states_of
from orchestrator.results.results import PublishedScores, Results, study_of
from orchestrator.results.titles import title

MOST_ROWS = 40
"""The most arms that a panel with one row per arm shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """An arm in a panel."""

    key: str
    label: str
    """The arm's level if one numeric factor is varied, else its name."""
    level: float | None
    """The level of the only factor; None if the arms are no levels of one numeric factor."""
    mean: float | None
    """The mean over seeds; None while the arm has no score."""
    half_width: float | None
    n: int
    seeds: dict[int, float]
    delta: float | None
    delta_half_width: float | None
    is_told_apart: bool
    is_chosen: bool
    is_baseline: bool
    published: float | None
    """The paper's score of this arm less that of its own baseline; None if the paper has not both."""
    note: str
    """Why the arm has no score, or which trials are missing; "" if nothing is missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """A panel: one metric over all arms."""

    metric: str
    title: str
    role: str
    """The role of the metric in the selection rule: `decides`, `must hold`, or ""."""
    factor: str
    """The label of the horizontal axis: the last part of the varied path, or `arm`."""
    is_ordered: bool
    """Whether the arms are levels of one numeric factor, so that a line joins them; they are sorted then."""
    points: tuple[Point, ...]
    num_arms: int
    """The number of arms of the study; unless they are levels of one factor, at most `MOST_ROWS` of them are points."""
    is_alpha: bool
    """Whether the factor is a mixture ratio, so that the axis names its unit."""
    limit: float | None
    """The bound that the study's constraint sets on the metric; None without one."""
    paper_choice: str | None
    """The label of the arm that the paper chose."""
    num_without: int
    """The number of arms that have no score in this metric."""

    @property
    def baseline(self) -> Point | None:
        """The point of the baseline arm; None if it has no score."""
        return next((point for point in self.points if point.is_baseline and point.mean is not None), None)

    @property
    def chosen(self) -> Point | None:
        """The point of the arm that the rule chose; None if there is none."""
        return next((point for point in self.points if point.is_chosen and point.mean is not None), None)

    @property
    def scored(self) -> list[tuple[int, Point]]:
        """Position and point of each arm with a score."""
        return [(i, point) for i, point in enumerate(self.points) if point.mean is not None]


def panel_metrics(results: Results) -> list[str]:
    """Return the metrics shown by default: the objective, MMBase, and constrained metrics, if they have scores."""
    measured = {name for arm in results.arms for name in arm.metrics}
    decisive = [metric.name for metric in results.metrics if metric.is_decisive and metric.kind != "loss"]
    order = dict.fromkeys([results.objective, "mmbase", *decisive])
    return [name for name in order if name in measured]


def offered_metrics(results: Results) -> list[str]:
    """Return all metrics with a score that can have a panel: those shown by default, averages, then benchmarks."""
    measured = {name for arm in results.arms for name in arm.metrics}
    kinds = ("aggregate", "category", "benchmark")
    others = [metric.name for kind in kinds for metric in results.metrics if metric.kind == kind]
    return list(dict.fromkeys([*panel_metrics(results), *(name for name in others if name in measured)]))


def panel(results: Results, metric: str) -> Panel:
    """Return the panel of a metric."""
    factor = numeric_factor(results)
    arms = sorted(results.arms, key=lambda arm: float(arm.levels[factor])) if factor else list(results.arms)
    notes = arm_notes(results, metric)
    paper = paper_differences(results.published, results.baseline, metric)
    points = tuple(_point(results, arm, metric, factor, notes[arm.key], paper.get(arm.key)) for arm in arms)
    decisive = {each.name for each in results.metrics if each.is_decisive}
    role = "decides" if metric == results.objective else "must hold" if metric in decisive else ""
    choice = results.published.chosen if results.published else None
    return Panel(
        metric=metric, title=title(metric), role=role, factor=factor.rsplit(".", 1)[-1] if factor else "arm",
        is_ordered=bool(factor), is_alpha=".alpha." in factor,
        points=points if factor else _worth_a_row(points), num_arms=len(points), limit=limit_of(results, metric),
        paper_choice=next((point.label for point in points if point.key == choice), None),
        num_without=sum(point.mean is None for point in points))


def words(shown: Panel) -> str:
    """Describe a panel in words, for readers who cannot see it."""
    scored = [point for _, point in shown.scored]
    if not scored:
        return f"{shown.title}: no scores yet."
    best = max(scored, key=lambda point: point.mean or 0.0)
    text = [f"{shown.title} for {len(scored)} of {shown.num_arms} arms; "
            f"highest {best.label}: {best.mean:.1f}, n={best.n}."]
    if shown.chosen:
        delta = delta_text(shown.chosen)
        text.append(f"Chosen: {shown.chosen.label} with {shown.chosen.mean:.1f}"
                    f"{f', {delta} against the baseline' if delta else ''}.")
    return " ".join(text)


def delta_text(point: Point) -> str:
    """Return a point's difference to the baseline, such as `+4.2 ± 1.1`; "" if there is none."""
    if point.delta is None:
        return ""
    half = "" if point.delta_half_width is None else f" ± {point.delta_half_width:.1f}"
    return f"{point.delta:+.1f}{half}"


def numeric_factor(results: Results) -> str:
    """Return the varied path if there is only one and its levels are numbers, else ""."""
    paths = {path for arm in results.arms for path in arm.levels}
    values = [arm.levels.get(path) for arm in results.arms for path in paths]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return next(iter(paths)) if len(paths) == 1 and is_number else ""


def limit_of(results: Results, metric: str) -> float | None:
    """Return the bound of the study's constraint on a metric; None without one, or while the baseline has no score."""
    means = baseline_means(results)
    for constraint in study_of(results.study).select.constraints:
        if constraint.metric == metric and (constraint.reference is None or constraint.reference in means):
            return constraint.threshold(means)
    return None


def baseline_means(results: Results) -> dict[str, float]:
    """Return metric -> mean of the baseline arm; {} while it has none."""
    return {name: cell.mean for arm in results.arms if arm.is_baseline for name, cell in arm.metrics.items()}


def paper_differences(published: PublishedScores | None, baseline: str | None, metric: str) -> dict[str, float]:
    """Return arm key -> the paper's score less that of its own baseline, which is the same arm as ours."""
    scores = published.scores if published else {}
    own = scores.get(baseline or "", {}).get(metric)
    return {} if own is None else {key: row[metric] - own for key, row in scores.items() if metric in row}


def arm_notes(results: Results, metric: str | None) -> dict[str, str]:
    """Return for each arm which trials are missing, or that it has no score; "" if nothing is missing."""
    return {arm.key: in_words(states) or ("" if metric is None or metric in arm.metrics else _withheld(arm, metric))
            for arm, states in zip(results.arms, states_of(results).values(), strict=True)}


def _withheld(arm: ArmResult, metric: str) -> str:
    reason = arm.withheld.get(metric)
    return f"withheld: {reason}" if reason else "no score"


def _worth_a_row(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return at most `MOST_ROWS` points, in their order: the chosen arm, the baseline, and the highest means."""
    def rank(each: Point) -> tuple[bool, bool, float]:
        return each.is_chosen or each.is_baseline, each.mean is not None, each.mean or 0.0

    first = {each.key for each in sorted(points, key=rank, reverse=True)[:MOST_ROWS]}
    return tuple(each for each in points if each.key in first)


def _point(results: Results, arm: ArmResult, metric: str, factor: str, note: str, paper: float | None) -> Point:
    cell: Cell | None = arm.metrics.get(metric)
    delta = cell.delta if cell else None
    return Point(
        key=arm.key, label=f"{arm.levels[factor]:g}" if factor else arm.name,
        level=float(arm.levels[factor]) if factor else None,
        mean=cell.mean if cell else None, half_width=cell.half_width if cell else None,
        n=cell.n if cell else 0, seeds=dict(cell.by_seed) if cell else {}, delta=delta.value if delta else None,
        delta_half_width=delta.half_width if delta else None, is_told_apart=bool(delta and delta.is_told_apart),
        is_chosen=arm.key == results.verdict.chosen, is_baseline=arm.is_baseline, published=paper, note=note)
