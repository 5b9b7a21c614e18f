"""The selection rule that a study declares; never a bare argmax.

- Feasible: the arm's mean meets every constraint. Best: the feasible arm with the best mean of the objective.
- `selected`: the best arm's 95 % interval against every other feasible arm excludes 0. Because all of them must, none
  needs a correction: an arm that is not truly best must beat the truly best one, which happens by chance in at most 5 %
  of studies.
- `tied`: some feasible arm cannot be told apart from the best. The tie holds all arms that Holm's test against the best
  does not reject, so that it contains the truly best arm in 95 % of studies; `prefer` chooses among them.
- `underpowered`: tied, and an interval is wide enough to hide an effect of the size that the study declares, or there
  is no interval at all. `prefer` still chooses an arm.
- `open`: the arms whose own interval against the best includes 0. More seeds for these can settle the question.
- `infeasible`: no arm meets the constraints. `incomplete`: scores are missing; nothing is chosen from a part of them.
- Diverged trials are counted and left out. An arm whose trials all diverged cannot be chosen.

Source: Gutmann and Maymin, Is the selected population the best?, Annals of Statistics 15 (1987), for equal noise; for
unequal noise `ablate statistics check` shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.analysis import noise, power, statistics
from orchestrator.analysis.scores import TrialScores
from orchestrator.analysis.statistics import ERROR, Difference, Fit
from orchestrator.plan.arms import Arm
from orchestrator.study.constraint import Constraint

Kind = Literal["selected", "tied", "underpowered", "infeasible", "incomplete", "none"]
Prefer = Literal["first", "smallest", "largest"]
Widen = Callable[[Fit, tuple[Difference, ...]], tuple[Difference, ...]]
NAMED = 6
"""How many arms the verdict's sentence names; the verdict itself has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """The rule that the study declares before it runs."""

    objective: str
    """The metric that decides."""
    is_maximized: bool = True
    subject_to: tuple[Constraint, ...] = ()
    baseline: str | None = None
    """The arm to which constraints and differences are relative."""
    prefer: Prefer = "first"
    """Which of the tied arms to choose: the first in the study, or the one with the smallest or largest levels."""
    effect: float | None = None
    """Smallest difference of interest, in points."""
    looks: tuple[int, ...] = ()
    """Numbers of seeds at which the rule is applied while seeds are added; empty if their number is fixed."""
    title: Callable[[str], str] = str
    """What sentences call a metric."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """Every metric that the rule needs, the objective first."""
        names = [self.objective, *(name for each in self.subject_to for name in (each.metric, each.reference) if name)]
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The verdict and what it is based on."""

    kind: Kind
    sentence: str
    chosen: str | None = None
    best: str | None = None
    tied: tuple[str, ...] = ()
    """Arms that cannot be told apart from the best, with the best, in the study's order."""
    open: tuple[str, ...] = ()
    """Arms that more seeds may still separate from the best, with the best; empty if an arm is selected."""
    feasible: tuple[str, ...] = ()
    num_seeds: int | None = None
    """Seeds an arm needs to settle the question with 80 % power; None if unknown or above 1000."""
    num_diverged: int = 0
    num_missing: int = 0


def select(
    rule: Rule, arms: Sequence[Arm], trials: Sequence[TrialScores], *, widen: Widen | None = None
) -> Verdict:
    """Apply the rule.

    Args:
        rule: the study's rule.
        arms: all arms in the study's order.
        trials: all trials, finished or not.
        widen: turns intervals for these items into wider ones, for example for the population of items.

    Returns:
        The verdict. Missing scores give an `incomplete` verdict, not an error.
    """
    counted = [each for each in trials if not each.is_diverged]
    missing = [each for each in counted if any(metric not in each.metrics for metric in rule.metrics)]
    is_whole = bool(counted) and not missing
    verdict = _decide(rule, arms, counted, trials, widen) if is_whole else _incomplete(rule, missing, trials)
    return replace(verdict, num_diverged=len(trials) - len(counted), num_missing=len(missing))


def _decide(
    rule: Rule,
    arms: Sequence[Arm],
    counted: Sequence[TrialScores],
    trials: Sequence[TrialScores],
    widen: Widen | None,
) -> Verdict:
    fits = {metric: statistics.fit(values_of(counted, metric), looks=rule.looks) for metric in rule.metrics}
    known = [arm for arm in arms if arm.key in fits[rule.objective].means]
    num_diverged = len(trials) - len(counted)
    if rule.baseline not in fits[rule.objective].means and any(each.is_relative for each in rule.subject_to):
        return Verdict(kind="incomplete", sentence=f"No verdict: the baseline has no scores.{_aside(num_diverged)}")
    feasible = [arm for arm in known if _worst_violation(rule, fits, arm.key) <= 1e-9]
    if not feasible:
        nearest = min(known, key=lambda arm: _worst_violation(rule, fits, arm.key))
        return Verdict(kind="infeasible", sentence=_infeasible(rule, fits, nearest) + _aside(num_diverged))
    verdict = _choose(rule, fits[rule.objective], feasible, widen)
    return replace(verdict, sentence=verdict.sentence + _aside(num_diverged))


def values_of(trials: Sequence[TrialScores], metric: str) -> dict[str, dict[int, float]]:
    """Return arm -> seed -> score of the trials that have a score and did not diverge."""
    values: dict[str, dict[int, float]] = {}
    for each in trials:
        if metric in each.metrics and not each.is_diverged:
            values.setdefault(each.arm_key, {})[each.seed] = each.metrics[metric]
    return values


def _choose(rule: Rule, fitted: Fit, feasible: Sequence[Arm], widen: Widen | None) -> Verdict:
    sign = 1 if rule.is_maximized else -1
    best = max(feasible, key=lambda arm: sign * fitted.means[arm.key].value)
    against = statistics.against_all(fitted, best.key)
    if widen:
        against = {each.b: each for each in widen(fitted, tuple(against.values()))}
    others = [arm for arm in feasible if arm is not best]
    unbeaten = [arm for arm in others if not (against[arm.key].excludes_zero and sign * against[arm.key].value > 0)]
    if not unbeaten:
        rivals = [against[arm.key] for arm in others]
        sentence = _selected(rule, best, rivals, feasible) + _luck(fitted, rivals)
        return Verdict(kind="selected", sentence=sentence, chosen=best.key, best=best.key, tied=(best.key,),
                       feasible=tuple(arm.key for arm in feasible))
    tied = [arm for arm in feasible if arm is best or arm in unbeaten or not against[arm.key].is_told_apart]
    rivals = [against[arm.key] for arm in unbeaten]
    kind: Kind = "underpowered" if _is_blind(rule, rivals) else "tied"
    chosen, num_seeds = preferred(rule.prefer, tied), _num_seeds(rule, fitted, rivals)
    return Verdict(kind=kind, sentence=_undecided(rule, kind, tied, chosen, rivals, num_seeds), chosen=chosen.key,
                   best=best.key, num_seeds=num_seeds, tied=tuple(arm.key for arm in tied),
                   open=tuple(arm.key for arm in feasible if arm is best or arm in unbeaten),
                   feasible=tuple(arm.key for arm in feasible))


def preferred(prefer: Prefer, arms: Sequence[Arm]) -> Arm:
    """Choose an arm by the size of its levels, factor by factor; by position if some level is not a number."""
    numbers = [[value for value in arm.levels.values() if _is_number(value)] for arm in arms]
    is_numeric = all(own and len(own) == len(arm.levels) for arm, own in zip(arms, numbers, strict=True))
    if prefer != "first" and is_numeric:
        ranked = [arm for _, arm in sorted(zip(numbers, arms, strict=True), key=lambda pair: pair[0])]
    else:
        ranked = list(arms)
    return ranked[-1] if prefer == "largest" else ranked[0]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _worst_violation(rule: Rule, fits: Mapping[str, Fit], arm: str) -> float:
    scores = {metric: fitted.means[arm].value for metric, fitted in fits.items()}
    baseline = {metric: fitted.means[rule.baseline].value for metric, fitted in fits.items()
                if rule.baseline in fitted.means}
    gaps = [(each.threshold(baseline) - scores[each.metric]) * (1 if each.op == ">=" else -1)
            for each in rule.subject_to]
    return max(gaps, default=0.0)


def _is_blind(rule: Rule, rivals: Sequence[Difference]) -> bool:
    widths = [each.half_width for each in rivals]
    return any(width is None or (rule.effect is not None and width > rule.effect) for width in widths)


def _num_seeds(rule: Rule, fitted: Fit, rivals: Sequence[Difference]) -> int | None:
    """Return the seeds that would show the declared effect, or without one the smallest observed difference."""
    seen = [abs(each.value) for each in rivals if abs(each.value) > 1e-9]
    effect = rule.effect if rule.effect is not None else min(seen, default=None)
    if fitted.sigma is None or effect is None:
        return None
    error = fitted.schedule.nominal(ERROR, fitted.schedule.seeds[-1])
    return power.seeds_to_settle(effect, deviation=math.sqrt(2) * fitted.sigma, error=error)


# ---- the sentence --------------------------------------------------------------------------------------------------


def _selected(rule: Rule, best: Arm, others: Sequence[Difference], feasible: Sequence[Arm]) -> str:
    if not others:
        return f"{best.name} is selected: it is the only feasible arm."
    nearest = min(others, key=lambda each: abs(each.value))
    value, rival = nearest.value, {arm.key: arm.name for arm in feasible}[nearest.b]
    side = "highest" if rule.is_maximized else "lowest"
    return (f"{best.name} is selected: {side} {rule.title(rule.objective)} of {len(feasible)} feasible arms, "
            f"{value:+.1f} {_bounds(value, nearest.half_width)} against the next, {rival} "
            f"(95 %{f' over {len(rule.looks)} looks' if rule.looks else ''}, n={nearest.n}).")


def _luck(fitted: Fit, others: Sequence[Difference]) -> str:
    """Return a sentence about the expected lead over the next arm, because the best of several was partly lucky."""
    if len(fitted.arms) < 3 or fitted.sigma is None or not others:
        return ""
    nearest, shrunk = min(others, key=lambda each: abs(each.value)), noise.shrunk_means(fitted)
    lead = shrunk[nearest.a] - shrunk[nearest.b]
    return f" Shrunk, since the best of {len(fitted.arms)} was partly lucky: {lead:+.1f}."


def _undecided(rule: Rule, kind: Kind, tied: Sequence[Arm], chosen: Arm, rivals: Sequence[Difference],
               num_seeds: int | None) -> str:
    names = ", ".join(arm.name for arm in tied[:NAMED])
    names += f" and {len(tied) - NAMED} other arms" if len(tied) > NAMED else ""
    rank = "first in the study" if rule.prefer == "first" else rule.prefer
    opening = f"{names} cannot be told apart on {rule.title(rule.objective)}; {chosen.name} is chosen as the {rank}."
    if any(each.half_width is None for each in rivals):
        return f"{opening} There is no interval (n=1): run at least 2 seeds that these arms have in common."
    width = max(each.half_width or 0.0 for each in rivals)
    seeds = f"about {num_seeds} seeds" if num_seeds else f"more than {power.MAX_SEEDS} seeds"
    if kind == "underpowered":
        return (f"{opening} The interval is ± {width:.1f}, wider than the effect of {rule.effect:g} that matters; "
                f"{seeds} would settle it.")
    if rule.effect is not None:
        return f"{opening} An effect of {rule.effect:g} would have shown (interval ± {width:.1f})."
    seen = min((abs(each.value) for each in rivals if abs(each.value) > 1e-9), default=None)
    return opening if seen is None else f"{opening} To settle a difference of {seen:.1f}, {seeds} would be needed."


def _infeasible(rule: Rule, fits: Mapping[str, Fit], nearest: Arm) -> str:
    rules = " and ".join(each.text for each in rule.subject_to)
    missed = _worst_violation(rule, fits, nearest.key)
    amount = f"{missed:.1f} points" if missed >= 0.05 else f"{missed:.2g}"  # a loss is bounded by hundredths of a nat
    return f"No arm meets {rules}; the nearest, {nearest.name}, misses it by {amount}."


def _incomplete(rule: Rule, missing: Sequence[TrialScores], trials: Sequence[TrialScores]) -> Verdict:
    lacking = [metric for metric in rule.metrics if any(metric not in each.metrics for each in missing)]
    sentence = f"No verdict yet: {len(missing)} of {len(trials)} trials lack {', '.join(map(rule.title, lacking))}."
    if not trials:
        sentence = "No verdict: there are no trials yet."
    elif not missing:
        sentence = f"No verdict: all {len(trials)} trials diverged."
    return Verdict(kind="incomplete", sentence=sentence)


def _bounds(value: float, half_width: float | None) -> str:
    return "[n=1]" if half_width is None else f"[{value - half_width:.1f}, {value + half_width:.1f}]"


def _aside(num_diverged: int) -> str:
    return f" {num_diverged} diverged trial{'s are' if num_diverged > 1 else ' is'} left out." if num_diverged else ""
