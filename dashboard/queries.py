"""From the orchestrator's read side to what a page shows. Pure but for reading the ledger; knows no streamlit.

- The unit on screen is the arm; seeds are points around its mean, and n stands beside every mean.
- An arm without a score is kept with the reason: failed, diverged and pending are counted, never dropped.
- Tables hold plain text and numbers; a cell that a spreadsheet would run is made harmless (`safe`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from orchestrator import wording
from orchestrator.analysis.table import ArmResult, Cell
from orchestrator.ledger import read
from orchestrator.ledger.reach import Engine
from orchestrator.ledger.read import EventRow, StudyRow
from orchestrator.progress import Progress, RunningStage, progress
from orchestrator.results import Results, study_of
from orchestrator.states import TERMINAL_STUDIES

TOKENS = "tokens_per_image"
MAX_PANELS = 4
_TITLES = {"mmbase": "MMBase", "overall": "Mean of all categories", "refer_ground": "Refer & ground", TOKENS: "Tokens per image"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One arm in one panel."""

    key: str
    label: str
    """Its level if one factor is varied, else its name."""
    mean: float | None
    """None while it has no score."""
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
    """Why there is no score, or what was lost; "" if all is there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One metric over all arms."""

    metric: str
    title: str
    role: str
    """`decides`, `must hold`, or ""."""
    factor: str
    """What the horizontal axis says: the last part of the varied path, or `arm`."""
    is_ordered: bool
    """Whether the arms are levels of one factor, to be joined by a line."""
    points: tuple[Point, ...]
    is_alpha: bool
    """Whether the factor is a mixture ratio, whose unit is worth saying."""
    limit: float | None
    """What the metric must not fall below (or rise above) for an arm to be chosen."""
    paper_choice: str | None
    """Label of the arm that the paper chose."""

    @property
    def baseline(self) -> Point | None:
        """The arm that differences are taken against, if it has a score."""
        return next((point for point in self.points if point.is_baseline and point.mean is not None), None)

    @property
    def chosen(self) -> Point | None:
        """The arm that the rule chose."""
        return next((point for point in self.points if point.is_chosen and point.mean is not None), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """One arm in the plane of a cost and a score."""

    key: str
    name: str
    x: float
    x_half_width: float | None
    y: float
    y_half_width: float | None
    n: int
    is_front: bool
    """No other arm is at least as good in both and better in one."""
    is_chosen: bool
    is_baseline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Whether the machinery works."""

    driver: read.DriverRow | None
    outbox: int
    """Events that MLflow has not got yet."""
    num_studies: int
    num_waiting: int
    """Studies that wait for a driver or are being driven."""

    @property
    def is_stale(self) -> bool:
        """Whether work waits and nobody does it."""
        return self.num_waiting > 0 and not (self.driver and self.driver.is_live)


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """What a person may do to a study now."""

    name: str
    """pause, resume or cancel."""
    label: str
    icon: str
    consequence: str


_ACTS = {
    "pause": Act(name="pause", label="Pause", icon=":material/pause:", consequence="Running stages save a checkpoint and stop."),
    "resume": Act(name="resume", label="Resume", icon=":material/play_arrow:",
                  consequence="Failed and cancelled stages get another chance; a driver must be running."),
    "cancel": Act(name="cancel", label="Cancel", icon=":material/cancel:",
                  consequence="Open trials end; what is finished stays, and it can be resumed.")}
_POSSIBLE = {"QUEUED": ("pause", "cancel"), "RUNNING": ("pause", "cancel"), "PAUSED": ("resume", "cancel"), "FAILED": ("resume",),
             "COMPLETED_WITH_FAILURES": ("resume",), "CANCELLED": ("resume",)}


def acts(row: StudyRow) -> list[Act]:
    """Return what the state allows."""
    return [_ACTS[name] for name in _POSSIBLE.get(row.state, ())]


# ---- studies -------------------------------------------------------------------------------------------------------


def label_of(row: StudyRow, newest: Mapping[tuple[str, str], int]) -> str:
    """Return the name under which a study is chosen and linked: `quickstart@tiny`, older versions with `v1`."""
    is_newest = newest.get((row.name, row.scale)) == row.version
    return f"{row.name}@{row.scale}" + ("" if is_newest else f" v{row.version}")


def labelled(rows: Sequence[StudyRow]) -> dict[str, StudyRow]:
    """Return label -> study, newest first."""
    newest: dict[tuple[str, str], int] = {}
    for row in rows:
        newest[row.name, row.scale] = max(row.version, newest.get((row.name, row.scale), 0))
    return {label_of(row, newest): row for row in rows}


def overview(engine: Engine, rows: Sequence[StudyRow], *, slots: int) -> list[Progress]:
    """Return how far each study is; the stages of finished ones are not read."""
    return [progress(row, [] if row.state in TERMINAL_STUDIES else read.stages(engine, row.study_id), slots=slots) for row in rows]


def study_progress(engine: Engine, study_id: str, *, slots: int) -> Progress:
    """Return how far one study is."""
    return progress(read.study(engine, study_id), read.stages(engine, study_id), slots=slots)


def version(engine: Engine, study_id: str) -> int:
    """Return a number that grows with every change of the study: its newest event."""
    newest = read.events(engine, study_id, 1)
    return newest[0].event_id if newest else 0


def health(engine: Engine, rows: Sequence[StudyRow]) -> Health:
    """Look at driver, outbox and queue."""
    return Health(driver=read.driver(engine), outbox=read.outbox_lag(engine), num_studies=len(rows),
                  num_waiting=sum(row.state in ("QUEUED", "RUNNING") for row in rows))


# ---- panels --------------------------------------------------------------------------------------------------------


def title(metric: str) -> str:
    """Return a metric's name as people write it."""
    return _TITLES.get(metric, metric.replace("_", " ").replace("-", " ").capitalize())


def num_columns(panels: Sequence[Panel]) -> int:
    """Return how many panels stand side by side: three if each has few arms, else two."""
    widest = max((len(each.points) for each in panels), default=0)
    return min(len(panels), 3 if widest <= 5 and all(each.is_ordered for each in panels) else 2) or 1


def panel_metrics(results: Results) -> list[str]:
    """Return the metrics worth a panel: what decides, MMBase, what must hold; those without scores are left out."""
    measured = {name for arm in results.arms for name in arm.metrics}
    decisive = [metric.name for metric in results.metrics if metric.is_decisive]
    order = dict.fromkeys([results.objective, "mmbase", *decisive])
    return [name for name in order if name in measured][:MAX_PANELS]


def panel(results: Results, metric: str) -> Panel:
    """Gather one metric over all arms."""
    factor = _factor(results)
    labels = {arm.key: _label(arm, factor) for arm in results.arms}
    published = results.published
    decisive = {each.name for each in results.metrics if each.is_decisive}
    role = "decides" if metric == results.objective else "must hold" if metric in decisive else ""
    return Panel(
        metric=metric, title=title(metric), role=role, factor=factor.rsplit(".", 1)[-1] if factor else "arm",
        is_ordered=bool(factor), is_alpha=".alpha." in factor,
        points=tuple(_point(results, arm, metric, labels[arm.key]) for arm in results.arms), limit=_limit(results, metric),
        paper_choice=labels.get(published.chosen or "") if published else None)


def _factor(results: Results) -> str:
    """Return the only varied path if its levels are numbers, else ""."""
    paths = {path for arm in results.arms for path in arm.levels}
    values = [arm.levels.get(path) for arm in results.arms for path in paths]
    is_number = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    return next(iter(paths)) if len(paths) == 1 and is_number else ""


def _limit(results: Results, metric: str) -> float | None:
    """Return the threshold that the study declares for a metric, if it can be computed."""
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
    """Say what is missing of an arm."""
    lost = [f"{number} {word}" for number, word in ((arm.num_diverged, "diverged"), (arm.num_failed, "failed")) if number]
    waiting = arm.num_trials - arm.num_scored - arm.num_diverged - arm.num_failed
    if waiting > 0:
        lost.append(f"{waiting} to come")
    return ", ".join(lost) if lost else "" if cell else "no score"


# ---- trade-off -----------------------------------------------------------------------------------------------------


def costs(results: Results) -> list[str]:
    """Return what may stand on the horizontal axis: image tokens if arms differ in them, then the other metrics."""
    differs = len({arm.tokens_per_image for arm in results.arms} - {None}) > 1
    others = [metric.name for metric in results.metrics if metric.kind in ("aggregate", "category") and metric.name != results.objective]
    return ([TOKENS] if differs else []) + others


def trades(results: Results, x: str, y: str) -> list[Trade]:
    """Place each arm with both numbers; fewer tokens are better, more of anything else is better."""
    found = []
    for arm in results.arms:
        across, up = _value(arm, x), _value(arm, y)
        if across is not None and up is not None:
            found.append((arm, across, up))
    sign = -1.0 if x == TOKENS else 1.0
    spots = [(sign * across[0], up[0]) for _, across, up in found]
    return [Trade(key=arm.key, name=arm.name, x=across[0], x_half_width=across[1], y=up[0], y_half_width=up[1],
                  n=arm.metrics[y].n if y in arm.metrics else arm.num_scored, is_front=_is_front(spot, spots),
                  is_chosen=arm.key == results.verdict.chosen, is_baseline=arm.is_baseline)
            for (arm, across, up), spot in zip(found, spots, strict=True)]


def _value(arm: ArmResult, metric: str) -> tuple[float, float | None] | None:
    if metric == TOKENS:
        return None if arm.tokens_per_image is None else (arm.tokens_per_image, None)
    cell = arm.metrics.get(metric)
    return (cell.mean, cell.half_width) if cell and math.isfinite(cell.mean) else None


def _is_front(spot: tuple[float, float], spots: Sequence[tuple[float, float]]) -> bool:
    return not any(other[0] >= spot[0] and other[1] >= spot[1] and other != spot for other in spots)


# ---- tables --------------------------------------------------------------------------------------------------------


def arm_rows(results: Results, metrics: Sequence[str]) -> list[dict[str, Any]]:
    """Return one row for each arm: mean, half width and n of each metric, and the difference to the baseline."""
    rows = []
    for arm in results.arms:
        row: dict[str, Any] = {"arm": safe(arm.name), "trials": f"{arm.num_scored} of {arm.num_trials}"}
        for metric in metrics:
            cell = arm.metrics.get(metric)
            row[title(metric)] = interval(cell.mean, cell.half_width) if cell else "–"
            row[f"Δ {title(metric)}"] = _delta(arm, cell)
        row["tokens per image"] = arm.tokens_per_image
        row["note"] = arm_note(arm, arm.metrics.get(metrics[0]) if metrics else None)
        rows.append(row)
    return rows


def _delta(arm: ArmResult, cell: Cell | None) -> str:
    if arm.is_baseline:
        return "baseline"
    if cell is None or cell.delta is None:
        return "–"
    return interval(cell.delta.value, cell.delta.half_width, sign=True) + (" ✓" if cell.delta.is_told_apart else "")


def trial_rows(results: Results) -> list[dict[str, Any]]:
    """Return one row for each trial, with its stages counted by state."""
    names = {arm.key: arm.name for arm in results.arms}
    stages = {stage.stage_id: stage for stage in results.stages if stage.kind != "import"}
    rows = []
    for trial, row in zip(results.trials, results.trial_rows, strict=True):
        mine = [stages[stage_id] for stage_id in row.stage_ids if stage_id in stages]
        rows.append({
            "arm": safe(names[trial.arm_key]), "seed": trial.seed, "state": state(trial.state),
            "stages": f"{sum(stage.state == 'SUCCEEDED' for stage in mine)} of {len(mine)}",
            "attempts": sum(stage.attempts_made for stage in mine),
            "seconds": round(sum(stage.seconds or 0.0 for stage in mine), 1),
            title(results.objective): _rounded(trial.metrics.get(results.objective)),
            "MMBase": _rounded(trial.metrics.get("mmbase"))})
    return rows


def stage_rows(results: Results, trial_number: int) -> list[dict[str, Any]]:
    """Return the stages of one trial in order, with attempts and failures."""
    stages = {stage.stage_id: stage for stage in results.stages}
    shared = _uses(results)
    return [{"stage": safe(stage.label), "kind": stage.kind, "state": state(stage.state), "attempts": stage.attempts_made,
             "seconds": _rounded(stage.seconds), "shared by": shared[stage.stage_id],
             "problem": safe(str((stage.failure or {}).get("message", ""))), "id": stage.stage_id[:12]}
            for stage in (stages[stage_id] for stage_id in results.trial_rows[trial_number].stage_ids)]


def _uses(results: Results) -> dict[str, int]:
    uses: dict[str, int] = {}
    for row in results.trial_rows:
        for stage_id in row.stage_ids:
            uses[stage_id] = uses.get(stage_id, 0) + 1
    return uses


def event_rows(events: Sequence[EventRow]) -> list[dict[str, Any]]:
    """Return events as a table: when, what, from, to, by whom."""
    return [{"at": clock(event.at), "what": event.entity, "which": safe(event.entity_id[:24]), "from": state(event.from_state),
             "to": state(event.to_state), "by": safe(event.actor)} for event in events]


def clock(seconds: float) -> str:
    """Return a moment in the server's time zone, which is named."""
    return f"{datetime.fromtimestamp(seconds, UTC).astimezone():%Y-%m-%d %H:%M:%S %Z}"


def state(name: str) -> str:
    """Return a state as an icon and a word, so that colour is never the only sign."""
    return f"{_ICONS.get(name, '·')} {name.replace('_', ' ').lower()}" if name else ""


_ICONS = {"SUCCEEDED": "✓", "COMPLETED": "✓", "RUNNING": "▶", "LEASED": "▶", "FAILED": "✗", "COMPLETED_WITH_FAILURES": "✗",
          "DIVERGED": "≋", "CANCELLED": "⊘", "PAUSED": "‖", "QUEUED": "…", "PLANNED": "…", "SKIPPED": "↷"}


def interval(value: float, half_width: float | None, *, sign: bool = False) -> str:
    """Return `71.2 ± 1.3`, or `71.2 (n=1)` where there is no interval."""
    text = f"{value:+.1f}" if sign else f"{value:.1f}"
    return f"{text} (n=1)" if half_width is None else f"{text} ± {half_width:.1f}"


def safe(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


def _rounded(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, 1)


# ---- words ---------------------------------------------------------------------------------------------------------

_COLOURS = {"SUCCEEDED": "green", "COMPLETED": "green", "RUNNING": "blue", "LEASED": "blue", "FAILED": "red",
            "COMPLETED_WITH_FAILURES": "orange", "DIVERGED": "violet", "CANCELLED": "gray", "PAUSED": "orange"}


def badge(name: str) -> str:
    """Return a state as a coloured badge in Streamlit's markdown, with icon and word."""
    return f":{_COLOURS.get(name, 'gray')}-badge[{state(name)}]"


def plain_markdown(text: str) -> str:
    """Return a person's text so that markdown shows it as it is."""
    return "".join(f"\\{char}" if char in "\\`*_{}[]<>()#+-!|~$:" else char for char in text.replace("\n", " "))


def fraction(shown: Progress) -> float:
    """Return how much is done; a study that is over is done, whatever failed."""
    return 1.0 if shown.is_terminal else shown.fraction


def progress_words(shown: Progress) -> str:
    """Return trials and stages done, failures, and the time left."""
    row = shown.study
    parts = [f"{row.trials_done} of {row.num_trials} trials", f"{row.stages_done} of {row.stages_total} stages"]
    if row.stages_failed:
        parts.append(f"{row.stages_failed} failed, diverged or skipped")
    if shown.is_terminal:
        parts.append(f"took {wording.duration(row.ended_at - row.created_at)}" if row.ended_at else "over")
    elif row.state != "PAUSED":
        parts.append(f"{'' if shown.left.is_measured else 'about '}{wording.duration(shown.left.seconds)} left")
    return " · ".join(parts)


def stage_words(stage: RunningStage) -> str:
    """Return label, step, loss and speed of a running stage."""
    parts = [plain_markdown(stage.label)]
    parts.append("starting" if stage.step is None else f"step {stage.step} of {stage.steps}")
    if stage.loss is not None:
        parts.append(f"loss {stage.loss:.3f}")
    if stage.samples_per_s is not None:
        parts.append(f"{stage.samples_per_s:.1f} samples/s")
    return " · ".join(parts)


def legend(results: Results) -> str:
    """Say what the marks mean, and which stages the seeds vary."""
    marks = ["○ one seed", "● mean with 95 % interval over seeds" if len(results.seeds) > 1 else "● mean, n=1",
             "ring: chosen by the rule, with its difference to the baseline"]
    if results.published and any(results.published.scores.values()):
        marks.append("◇ the paper, n=1, different setup")
    return f"{' · '.join(marks)}. {results.seed_note}"


def tiles(results: Results) -> list[tuple[str, str, str]]:
    """Return label, value and explanation of what the study took and saved."""
    counts, cost = results.counts, results.cost
    lost = counts.trials_failed + counts.trials_diverged
    return [
        ("Trials", f"{counts.trials_done} of {counts.trials}", f"{lost} failed or diverged" if lost else "none failed or diverged"),
        ("Stages", f"{counts.stages_unique} for {counts.stages_requested}", "distinct stages executed for the stages asked for"),
        ("Compute", wording.duration(cost.seconds), "time in accepted attempts, one after the other"),
        ("Saved by sharing", wording.duration(max(0.0, cost.seconds_saved)), f"{counts.stages_reused} stages came from earlier studies")]


def vital_signs(found: Health) -> list[tuple[str, str, str]]:
    """Return label, value and explanation of driver, queue and tracking."""
    driver = found.driver
    holder = ", ".join(f"{name} {driver.holder[name]}" for name in ("host", "pid") if name in driver.holder) if driver else ""
    lease = "–" if driver is None else wording.duration(abs(driver.expires_in_s))
    return [
        ("Driver", "running" if driver and driver.is_live else "none", holder or "no driver ever ran here"),
        ("Lease", lease, "left until another may take over" if driver and driver.is_live else "since the lease ran out"),
        ("Waiting studies", f"{found.num_waiting} of {found.num_studies}", "queued or being driven"),
        ("Tracking", f"{found.outbox} behind", "events that wait to be sent to MLflow")]


def trade_rows(found: Sequence[Trade], x: str, y: str) -> list[dict[str, Any]]:
    """Return the arms of the front first, with both numbers."""
    marks = {(True, True): "front, chosen", (True, False): "front", (False, True): "chosen", (False, False): ""}
    return [{"arm": safe(trade.name), title(x): round(trade.x, 1), title(y): interval(trade.y, trade.y_half_width),
             "": marks[trade.is_front, trade.is_chosen]} for trade in sorted(found, key=lambda each: (not each.is_front, each.x))]


def shown_of(number: int, limit: int) -> str:
    """Say when a list is cut: `the newest 200`, else how many there are."""
    return f"the newest {limit}" if number >= limit else str(number)
