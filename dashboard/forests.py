"""Differences as rows of a forest: against the baseline, of a claim, and between arms of any studies. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dashboard.charts.forest import Effect
from orchestrator.analysis import power, statistics
from orchestrator.analysis.claims import ClaimResult, Finding
from orchestrator.analysis.statistics import Difference
from orchestrator.results.item_statistics import ItemResults
from orchestrator.results.results import Results
from orchestrator.results.titles import title


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """An arm of a study, to be compared with others."""

    label: str
    results: Results
    arm_key: str

    def scores(self, metric: str) -> dict[int, float]:
        """Return seed -> score of the arm's trials that have one and did not diverge."""
        return {trial.seed: trial.metrics[metric] for trial in self.results.trials
                if trial.arm_key == self.arm_key and not trial.is_diverged and metric in trial.metrics}

    @property
    def config(self) -> Mapping[str, Any]:
        """The resolved configuration of its first trial; {} without one."""
        return next((row.config for row in self.results.trial_rows if row.arm_key == self.arm_key), {})


def to_baseline(results: Results, metric: str, found: ItemResults | None = None) -> list[Effect]:
    """Return each arm's difference to the baseline, the largest first.

    Args:
        results: of the study.
        metric: of the differences.
        found: what the stored answers say; its intervals are shown if they are of this metric.
    """
    second = {each.arm_key: each.population for each in found.arms} if found and found.metric == metric else {}
    effects = []
    for arm in results.arms:
        cell = arm.metrics.get(metric)
        if cell and cell.delta:
            wide = second.get(arm.key)
            effects.append(Effect(
                label=arm.name, value=cell.delta.value, half_width=cell.delta.half_width, n=cell.delta.n,
                is_told_apart=cell.delta.is_told_apart, population=wide.half_width if wide else None,
                is_chosen=arm.key == results.verdict.chosen))
    return sorted(effects, key=lambda each: -each.value)


def between(sides: Sequence[Side], metrics: Sequence[str]) -> list[tuple[str, Difference]]:
    """Return the differences of each further side to the first, for each metric: paired by seed, with Holm over a metric."""
    found = []
    for metric in metrics:
        values = {side.label: own for side in sides if (own := side.scores(metric))}
        if sides[0].label in values and len(values) > 1:
            differences = statistics.to_baseline(statistics.fit(values), sides[0].label)
            found += [(title(metric) if len(sides) == 2 else f"{title(metric)}: {label}", each)
                      for label, each in differences.items()]
    return found


def effects_of(found: Sequence[tuple[str, Difference]], *, has_holm: bool = False) -> list[Effect]:
    """Return labelled differences as rows of a forest; with Holm's intervals as the second ones if they are asked for."""
    return [Effect(label=label, value=each.value, half_width=each.half_width, n=each.n, is_told_apart=each.is_told_apart,
                   population=each.half_width_holm if has_holm else None) for label, each in found]


# ---- claims --------------------------------------------------------------------------------------------------------


def of_claim(claim: ClaimResult) -> list[tuple[str, Difference]]:
    """Return the differences that a claim is tested on, as far as the study has them."""
    return [(f"{title(each.comparison.metric)}: {each.difference.a} minus {each.difference.b}", each.difference)
            for each in claim.findings if each.difference is not None]


def expected(finding: Finding) -> str:
    """Return what a comparison of a claim expects, in words."""
    comparison = finding.comparison
    relation = {">": "above", "<": "below", "~": f"within {comparison.tolerance:g} points of"}[comparison.expect]
    return f"{title(comparison.metric)} of {comparison.a} {relation} that of {comparison.b}"


def what_decides(claim: ClaimResult, results: Results) -> str:
    """Return what would decide a claim that is undecided; "" if it is decided."""
    if claim.outcome != "undecided":
        return ""
    open_ones = [each for each in claim.findings if each.outcome == "undecided"]
    unknown = [each for each in open_ones if each.difference is None]
    if unknown:
        return _lacking(unknown, results)
    differences = [each.difference for each in open_ones if each.difference is not None]
    if any(each.error is None for each in differences):
        return "At least two seeds that its arms have in common: with one seed there is no interval."
    seeds = [_seeds(each) for each in differences]
    if not seeds or any(each is None for each in seeds):
        return f"More than {power.MAX_SEEDS} seeds at the differences seen: in effect a tie."
    return f"About {max(each or 0 for each in seeds)} seeds, if the differences stay as they are."


def _lacking(findings: Sequence[Finding], results: Results) -> str:
    known, waiting = {arm.name for arm in results.arms}, {arm.name for arm in results.arms if not arm.metrics}
    arms = {arm for each in findings for arm in each.comparison.weights}
    lacking = sorted(arms - known)
    if lacking:
        return f"The study has no arm {', '.join(lacking[:4])}: a study with that arm."
    if arms & waiting:
        return f"The scores of {', '.join(sorted(arms & waiting)[:4])}, which are still to come."
    metrics = ", ".join(sorted({title(each.comparison.metric) for each in findings}))
    return f"Scores in {metrics}, which this study does not measure."


def _seeds(difference: Difference) -> int | None:
    """Return the seeds at which the difference would show with 80 % power, if it is as large as it was seen."""
    if not difference.error or abs(difference.value) < 1e-9:
        return None
    return power.seeds_to_settle(abs(difference.value), deviation=difference.error * math.sqrt(difference.n))


def sentence(claim: ClaimResult, results: Results) -> str:
    """Return the claim's sentence; while its scores are still to come, that is said instead of that arms are lacking."""
    needed = {arm for each in claim.findings for arm in each.comparison.weights}
    names = {arm.name: arm for arm in results.arms}
    is_waiting = needed <= names.keys() and any(not names[arm].metrics for arm in needed)
    if claim.outcome == "undecided" and is_waiting:
        return "Undecided: scores of its arms are missing."
    return claim.sentence
