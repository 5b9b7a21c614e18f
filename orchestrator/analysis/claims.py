"""Test published statements on our scores: supported, contradicted or undecided.

- A claim is a set of comparisons. Each says of one metric that a contrast of arms is above 0, below 0, or 0 within a
  tolerance. A contrast is mostly one arm minus another; for "gains more" it is a difference of differences.
- The published forms (sign, ordering, optimum, flat) are short ways to write such sets.
- Supported: every comparison holds by its own 95 % interval. Because all must hold, no correction is needed (an
  intersection-union test).
- Contradicted: some comparison is refuted by its Holm interval within the claim. Because one suffices, a correction is
  needed.
- Undecided: all other claims, and those whose arms or metric this study does not have.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.analysis import statistics
from orchestrator.analysis.statistics import Difference, Fit
from orchestrator.study.documents import PublishedClaim

Outcome = Literal["supported", "contradicted", "undecided"]
Expect = Literal[">", "<", "~"]
TOLERANCE = 1.0
"""Points within which "about equal" holds if the claim gives no tolerance. The paper never gives one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A weighted sum of arms' means is above 0, below 0 or about 0."""

    a: str
    """The side that is expected to be above, below or equal: an arm, or a description."""
    b: str
    """The side it is compared with."""
    metric: str
    expect: Expect
    weights: Mapping[str, float]
    """Arm -> factor."""
    tolerance: float = 0.0
    """Points within which `~` counts as equal; unused by > and <."""

    def __post_init__(self) -> None:
        if self.expect == "~" and self.tolerance <= 0:
            raise ValueError(f"tolerance of {self.a} ~ {self.b} on {self.metric} is {self.tolerance:g}; "
                             "allowed: above 0 points")


def compare(a: str, b: str, metric: str, expect: Expect, *, tolerance: float = 0.0) -> Comparison:
    """Compare one arm with another."""
    return Comparison(a=a, b=b, metric=metric, expect=expect, weights={a: 1.0, b: -1.0}, tolerance=tolerance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A statement and its comparisons."""

    claim_id: str
    statement: str
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The result of one comparison."""

    comparison: Comparison
    outcome: Outcome
    difference: Difference | None
    """a minus b; None if this study has no such arm or metric."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimResult:
    """The result of a claim."""

    claim: Claim
    outcome: Outcome
    sentence: str
    findings: tuple[Finding, ...]


def ordering(best_first: Sequence[str], metric: str) -> tuple[Comparison, ...]:
    """State that each arm beats the next."""
    return tuple(compare(a, b, metric, ">") for a, b in itertools.pairwise(best_first))


def optimum(winner: str, arms: Iterable[str], metric: str) -> tuple[Comparison, ...]:
    """State that one arm beats all others."""
    return tuple(compare(winner, arm, metric, ">") for arm in arms if arm != winner)


def flat(arms: Sequence[str], metric: str, *, tolerance: float) -> tuple[Comparison, ...]:
    """State that all pairs of arms are equal within the tolerance."""
    return tuple(compare(a, b, metric, "~", tolerance=tolerance) for b, a in itertools.combinations(arms, 2))


def gain(metric: str, larger: tuple[str, str], smaller: tuple[str, str]) -> Comparison:
    """State that the difference of the first pair of arms is larger than that of the second."""
    weights: dict[str, float] = {}
    for arm, factor in zip((*larger, *smaller), (1.0, -1.0, -1.0, 1.0), strict=True):
        weights[arm] = weights.get(arm, 0.0) + factor
    return Comparison(a=" minus ".join(larger), b=" minus ".join(smaller), metric=metric, expect=">", weights=weights)


def published_claim(claim: PublishedClaim, arms: Sequence[str]) -> Claim:
    """Return the comparisons of a claim in `studies/published/`. Its arms have the same names as the study's.

    "About equal" without a tolerance means `TOLERANCE`.
    """
    comparisons = [compare(each.a, each.b, each.metric, each.expect, tolerance=each.tolerance or TOLERANCE)
                   for each in claim.compare]
    comparisons += [gain(each.metric, each.larger, each.smaller) for each in claim.gains]
    if claim.optimum is not None:
        comparisons += optimum(claim.optimum.arm, arms, claim.optimum.metric)
    return Claim(claim_id=claim.id, statement=claim.statement, comparisons=tuple(comparisons))


def renamed(claim: Claim, stand_ins: Mapping[str, str]) -> Claim:
    """Return the claim tested on other metrics: `stand_ins` maps a metric to the one that is measured in its place."""
    return replace(claim, comparisons=tuple(replace(each, metric=stand_ins.get(each.metric, each.metric))
                                            for each in claim.comparisons))


def judge(claim: Claim, fits: Mapping[str, Fit], *, titled: Callable[[str], str] = str) -> ClaimResult:
    """Test a claim on fitted scores.

    Args:
        claim: its arms have the same names as in the fits.
        fits: metric -> fitted model.
        titled: metric -> its title for people; by default its name.
    """
    found = _differences(claim, fits)
    findings = tuple(Finding(comparison=each, difference=found.get(i), outcome=_outcome(each, found.get(i)))
                     for i, each in enumerate(claim.comparisons))
    outcomes = [each.outcome for each in findings]
    outcome: Outcome = "undecided"
    if "contradicted" in outcomes:
        outcome = "contradicted"
    elif outcomes and all(each == "supported" for each in outcomes):
        outcome = "supported"
    return ClaimResult(claim=claim, outcome=outcome, sentence=_sentence(outcome, findings, titled), findings=findings)


def withdrawn(result: ClaimResult, reason: str) -> ClaimResult:
    """Return the result of a claim that the study cannot test, whatever its scores say; the findings stay."""
    return replace(result, outcome="undecided", sentence=f"Undecided: beyond what this study can test, since {reason}")


def _differences(claim: Claim, fits: Mapping[str, Fit]) -> dict[int, Difference]:
    """Return the differences by position of the comparison.

    The claim's comparisons on one metric are one Holm family.
    """
    found: dict[int, Difference] = {}
    for metric, fitted in fits.items():
        own = [i for i, each in enumerate(claim.comparisons)
               if each.metric == metric and each.weights.keys() <= fitted.means.keys()]
        sides = [(claim.comparisons[i].a, claim.comparisons[i].b, claim.comparisons[i].weights) for i in own]
        found.update(zip(own, statistics.contrasts(fitted, sides), strict=True))
    return found


def _outcome(comparison: Comparison, difference: Difference | None) -> Outcome:
    if difference is None or difference.half_width is None or difference.half_width_holm is None:
        return "undecided"
    value = -difference.value if comparison.expect == "<" else difference.value
    if comparison.expect == "~":
        if abs(value) + difference.half_width <= comparison.tolerance:
            return "supported"
        return "contradicted" if abs(value) - difference.half_width_holm > comparison.tolerance else "undecided"
    if value - difference.half_width > 0:
        return "supported"
    return "contradicted" if value + difference.half_width_holm < 0 else "undecided"


def _sentence(outcome: Outcome, findings: Sequence[Finding], titled: Callable[[str], str]) -> str:
    """Report the comparison that decided, or the one with the smallest difference."""
    deciding = [each for each in findings if each.outcome == outcome and each.difference is not None]
    if not deciding:
        return "Undecided: this study lacks the arms or the metric."
    shown = min(deciding, key=lambda each: abs(each.difference.value) if each.difference else 0.0)
    difference = shown.difference
    if difference is None or difference.half_width is None:
        return "Undecided: there is no interval (n=1)."
    width = difference.half_width if outcome == "supported" else difference.half_width_holm or difference.half_width
    low, high = difference.value - width, difference.value + width
    return (f"{outcome.capitalize()}: {titled(shown.comparison.metric)} of {difference.a} minus {difference.b} is "
            f"{difference.value:+.1f} [{low:.1f}, {high:.1f}], n={difference.n}.")
