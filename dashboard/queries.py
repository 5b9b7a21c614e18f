"""Read the ledger and prepare the values that the pages show. This module does not import streamlit.

- The unit on the screen is the arm: seeds are points around its mean, and n is shown beside every mean.
- An arm without a score is shown with the reason: failed, diverged and pending trials are counted, never dropped.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock

from dashboard.text import title
from orchestrator.analysis.scores import TOKENS
from orchestrator.analysis.table import ArmResult, Cell
from orchestrator.ledger import read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.rows import DriverRow, StudyRow
from orchestrator.results.progress import Progress, progress
from orchestrator.results.results import Results, ResultsCache, study_of, study_results

MOST_ROWS = 40
"""The most arms that a panel with one row per arm shows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """An arm in a panel."""

    key: str
    label: str
    """The arm's level if one numeric factor is varied, else its name."""
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
    """Whether the arms are levels of one numeric factor, so that a line joins them."""
    points: tuple[Point, ...]
    num_arms: int
    """The number of arms of the study; unless they are levels of one factor, at most `MOST_ROWS` of them are points."""
    is_alpha: bool
    """Whether the factor is a mixture ratio, so that the axis names its unit."""
    limit: float | None
    """The bound that the study's constraint sets on the metric; None without one."""
    paper_choice: str | None
    """The label of the arm that the paper chose."""

    @property
    def baseline(self) -> Point | None:
        """The point of the baseline arm; None if it has no score."""
        return next((point for point in self.points if point.is_baseline and point.mean is not None), None)

    @property
    def chosen(self) -> Point | None:
        """The point of the arm that the rule chose; None if there is none."""
        return next((point for point in self.points if point.is_chosen and point.mean is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class TradeoffPoint:
    """An arm in the plane of a cost and a score."""

    key: str
    name: str
    x: float
    x_half_width: float | None
    y: float
    y_half_width: float | None
    n: int
    is_front: bool
    """Whether the arm is on the Pareto front: no other arm is at least as good in both numbers and better in one."""
    is_chosen: bool
    is_baseline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The state of the driver, the queue of studies, and tracking."""

    driver: DriverRow | None
    outbox: int
    """The number of events that were not sent to MLflow yet."""
    num_studies: int
    num_waiting: int
    """The number of studies that are queued or running."""

    @property
    def is_stale(self) -> bool:
        """Whether studies wait but no driver is running."""
        return self.num_waiting > 0 and not (self.driver and self.driver.is_live)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAction:
    """An action that a person can take on a study."""

    name: str
    """pause, resume or cancel."""
    label: str
    icon: str
    consequence: str


_ACTS = {
    "pause": OperatorAction(name="pause", label="Pause", icon=":material/pause:",
                            consequence="Running stages save a checkpoint and stop."),
    "resume": OperatorAction(name="resume", label="Resume", icon=":material/play_arrow:",
                             consequence="Failed and cancelled stages get another chance; a driver must be running."),
    "cancel": OperatorAction(name="cancel", label="Cancel", icon=":material/cancel:",
                             consequence="Open trials end; finished ones are kept, and the study can be resumed.")}
_POSSIBLE = {"QUEUED": ("pause", "cancel"), "RUNNING": ("pause", "cancel"), "PAUSED": ("resume", "cancel"),
             "FAILED": ("resume",), "COMPLETED_WITH_FAILURES": ("resume",), "CANCELLED": ("resume",)}


def allowed_actions(row: StudyRow) -> list[OperatorAction]:
    """Return the actions that the state of the study allows."""
    return [_ACTS[name] for name in _POSSIBLE.get(row.state, ())]


# ---- studies -------------------------------------------------------------------------------------------------------


def label_of(row: StudyRow, newest: Mapping[tuple[str, str], int]) -> str:
    """Return the label of a study in menus and links: `quickstart@tiny`, with ` v1` for an older version.

    Args:
        row: the study.
        newest: (name, scale) -> the newest version.
    """
    is_newest = newest.get((row.name, row.scale)) == row.version
    return f"{row.name}@{row.scale}" + ("" if is_newest else f" v{row.version}")


def labelled(rows: Sequence[StudyRow]) -> dict[str, StudyRow]:
    """Return label -> study, in the order of the rows."""
    newest: dict[tuple[str, str], int] = {}
    for row in rows:
        newest[row.name, row.scale] = max(row.version, newest.get((row.name, row.scale), 0))
    return {label_of(row, newest): row for row in rows}


def overview(engine: Engine, rows: Sequence[StudyRow], *, slots: int) -> list[Progress]:
    """Return the progress of each study.

    Args:
        engine: the ledger.
        rows: the studies.
        slots: the number of stages that run at the same time.
    """
    return [progress(engine, row, slots=slots) for row in rows]


class Watched:
    """The results of a study for any number of concurrent readers; a read gathers only what changed since the last."""

    def __init__(self, engine: Engine, study_id: str) -> None:
        self._engine, self._study_id = engine, study_id
        self._known, self._lock = ResultsCache(), Lock()
        self._newest = self._version = -1
        self._results: Results | None = None

    def results(self) -> Results:
        """Return the results of the study; they are gathered again only if the study has a new event."""
        with self._lock:
            newest = read.newest_event(self._engine)
            if self._results is None or newest != self._newest:
                present = version(self._engine, self._study_id)
                if self._results is None or present != self._version:
                    row = read.study(self._engine, self._study_id)
                    self._version, self._results = present, study_results(self._engine, row, known=self._known)
                self._newest = newest  # set last, so that a failed read is repeated
            return self._results


def version(engine: Engine, study_id: str) -> int:
    """Return the id of the study's newest event, which grows with every change; 0 if there is none."""
    newest = read.events(engine, study_id, 1)
    return newest[0].event_id if newest else 0


def health(engine: Engine, rows: Sequence[StudyRow], *, is_tracked: bool = True) -> Health:
    """Return the state of the driver, the queue of studies, and tracking.

    Args:
        engine: the ledger.
        rows: all studies.
        is_tracked: whether events are sent to MLflow; if not, none are waiting.
    """
    outbox = read.outbox_lag(engine) if is_tracked else 0
    return Health(driver=read.driver(engine), outbox=outbox, num_studies=len(rows),
                  num_waiting=sum(row.state in ("QUEUED", "RUNNING") for row in rows))


# ---- panels --------------------------------------------------------------------------------------------------------


def num_columns(panels: Sequence[Panel]) -> int:
    """Return the number of panels side by side: three if all have few levels, else two."""
    widest = max((len(each.points) for each in panels), default=0)
    return min(len(panels), 3 if widest <= 5 and all(each.is_ordered for each in panels) else 2) or 1


def panel_metrics(results: Results) -> list[str]:
    """Return the metrics shown by default: the objective, MMBase, and constrained metrics, if they have scores."""
    measured = {name for arm in results.arms for name in arm.metrics}
    decisive = [metric.name for metric in results.metrics if metric.is_decisive]
    order = dict.fromkeys([results.objective, "mmbase", *decisive])
    return [name for name in order if name in measured]


def offered_metrics(results: Results) -> list[str]:
    """Return all metrics with a score that can have a panel: those shown by default, then the other averages."""
    measured = {name for arm in results.arms for name in arm.metrics}
    others = [metric.name for kind in ("aggregate", "category") for metric in results.metrics if metric.kind == kind]
    return list(dict.fromkeys([*panel_metrics(results), *(name for name in others if name in measured)]))


def panel(results: Results, metric: str) -> Panel:
    """Return the panel of a metric."""
    factor = _factor(results)
    labels = {arm.key: _label(arm, factor) for arm in results.arms}
    published = results.published
    decisive = {each.name for each in results.metrics if each.is_decisive}
    role = "decides" if metric == results.objective else "must hold" if metric in decisive else ""
    points = tuple(_point(results, arm, metric, labels[arm.key]) for arm in results.arms)
    return Panel(
        metric=metric, title=title(metric), role=role, factor=factor.rsplit(".", 1)[-1] if factor else "arm",
        is_ordered=bool(factor), is_alpha=".alpha." in factor,
        points=points if factor else _worth_a_row(points), num_arms=len(points), limit=_limit(results, metric),
        paper_choice=labels.get(published.chosen or "") if published else None)


def _worth_a_row(points: Sequence[Point]) -> tuple[Point, ...]:
    """Return at most `MOST_ROWS` points, in their order: the chosen arm, the baseline, and the highest means."""
    def rank(each: Point) -> tuple[bool, bool, float]:
        return each.is_chosen or each.is_baseline, each.mean is not None, each.mean or 0.0

    first = {each.key for each in sorted(points, key=rank, reverse=True)[:MOST_ROWS]}
    return tuple(each for each in points if each.key in first)


def _factor(results: Results) -> str:
    """Return the varied path if there is only one and its levels are numbers, else ""."""
    paths = {path for arm in results.arms for path in arm.levels}
    values = [arm.levels.get(path) for arm in results.arms for path in paths]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return next(iter(paths)) if len(paths) == 1 and is_number else ""


def _limit(results: Results, metric: str) -> float | None:
    """Return the bound of the study's constraint on a metric; None without one, or while the baseline has no score."""
    means = {name: cell.mean for arm in results.arms if arm.is_baseline for name, cell in arm.metrics.items()}
    for constraint in study_of(results.study).select.constraints:
        if constraint.metric == metric and (constraint.reference is None or constraint.reference in means):
            return constraint.threshold(means)
    return None


def _label(arm: ArmResult, factor: str) -> str:
    return f"{arm.levels[factor]:g}" if factor else arm.name


def _point(results: Results, arm: ArmResult, metric: str, label: str) -> Point:
    cell = arm.metrics.get(metric)
    delta = cell.delta if cell else None
    published = results.published.scores.get(arm.key, {}) if results.published else {}
    return Point(
        key=arm.key, label=label, mean=cell.mean if cell else None, half_width=cell.half_width if cell else None,
        n=cell.n if cell else 0, seeds=dict(cell.by_seed) if cell else {}, delta=delta.value if delta else None,
        delta_half_width=delta.half_width if delta else None, is_told_apart=bool(delta and delta.is_told_apart),
        is_chosen=arm.key == results.verdict.chosen, is_baseline=arm.is_baseline, published=published.get(metric),
        note=arm_note(arm, cell))


def arm_note(arm: ArmResult, cell: Cell | None) -> str:
    """Return in words which trials of an arm are missing, or that it has no score; "" if nothing is missing."""
    lost = [f"{number} {word}" for number, word in ((arm.num_diverged, "diverged"), (arm.num_failed, "failed"))
            if number]
    waiting = arm.num_trials - arm.num_scored - arm.num_diverged - arm.num_failed
    if waiting > 0:
        lost.append(f"{waiting} to come")
    return ", ".join(lost) if lost else "" if cell else "no score"


# ---- trade-off -----------------------------------------------------------------------------------------------------


def costs(results: Results) -> list[str]:
    """Return the metrics for the horizontal axis: image tokens if arms differ in them, then the other averages."""
    differs = len({arm.tokens_per_image for arm in results.arms} - {None}) > 1
    averages = [metric.name for metric in results.metrics if metric.kind in ("aggregate", "category")]
    return ([TOKENS] if differs else []) + [name for name in averages if name != results.objective]


def trades(results: Results, x: str, y: str) -> list[TradeoffPoint]:
    """Return the arms that have both metrics, and mark the Pareto front.

    Fewer image tokens are better; of any other metric more is better.

    Args:
        results: the results of the study.
        x: the metric of the horizontal axis.
        y: the metric of the vertical axis.
    """
    measured = []
    for arm in results.arms:
        across, up = _value(arm, x), _value(arm, y)
        if across is not None and up is not None:
            measured.append((arm, across, up))
    sign = -1.0 if x == TOKENS else 1.0
    spots = [(sign * across[0], up[0]) for _, across, up in measured]
    return [TradeoffPoint(key=arm.key, name=arm.name, x=across[0], x_half_width=across[1], y=up[0], y_half_width=up[1],
                  n=arm.metrics[y].n if y in arm.metrics else arm.num_scored, is_front=_is_front(spot, spots),
                  is_chosen=arm.key == results.verdict.chosen, is_baseline=arm.is_baseline)
            for (arm, across, up), spot in zip(measured, spots, strict=True)]


def _value(arm: ArmResult, metric: str) -> tuple[float, float | None] | None:
    if metric == TOKENS:
        return None if arm.tokens_per_image is None else (arm.tokens_per_image, None)
    cell = arm.metrics.get(metric)
    return (cell.mean, cell.half_width) if cell and math.isfinite(cell.mean) else None


def _is_front(spot: tuple[float, float], spots: Sequence[tuple[float, float]]) -> bool:
    return not any(other[0] >= spot[0] and other[1] >= spot[1] and other != spot for other in spots)
