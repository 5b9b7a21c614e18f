"""Seeds x items: how certain a difference is for these items, and for the population from which they were drawn.

- The stored answers of one benchmark are a table of arms x seeds x items. Items that share a picture are one cluster,
  because a picture that is easy is easy in all its questions.
- Model of a difference of arms, for seed s and picture c: D + seed[s] + picture[c] + rest[s, c], each part of mean 0.
  More training draws new seeds; only a larger benchmark draws new pictures. More seeds shrink the first and the last
  part, and leave the second as it is.
- *These items*: the paired t-interval over seeds. It covers the first and the last part, and says nothing about other
  items.
- *The population of items*: the variance of the picture part is added. It is the clustered variance of the pictures'
  parts of the difference, averaged over seeds, minus what the rest alone would leave there. The squares of the two
  half-widths are added, each with its own t quantile, so the interval is never narrower than the first one, and it
  covers for any ratio of the two parts.
- A picture's part is linear in the scores, so this holds for benchmarks whose score is a mean over items.

Source: Miller, Adding Error Bars to Evals, arXiv 2411.00640 (clustered errors, paired differences); the components are
those of the balanced analysis of variance, Searle, Casella and McCulloch, Variance Components (1992), chapter 4.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from orchestrator.analysis.design import Array
from orchestrator.analysis.power import MAX_SEEDS
from orchestrator.analysis.statistics import ERROR, Difference, Fit, holm, quantile

Scored = tuple[str, str, float]
"""An item, the picture it shows, and its score, 0 to 100."""
FEWEST_PICTURES = 30
"""Pictures from which on the population of items decides, unless the study's rule says otherwise."""
MAX_PICTURES = 1_000_000
"""The largest number of pictures that is tried."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """The scores of all trials on one benchmark, by picture."""

    arms: tuple[str, ...]
    parts: Array
    """Arms x seeds x pictures, in points: how much a picture contributes to the trial's score, minus its share of the
    score. The parts of a trial sum to 0. NaN where there is no trial.
    """
    scores: Array
    """Arms x seeds x pictures: mean score of the picture's items, 0 to 100."""

    @property
    def num_pictures(self) -> int:
        """Number of pictures (clusters of items)."""
        return int(self.parts.shape[2])


def answers_of(arms: Sequence[str], scores: Array, pictures: Sequence[Hashable]) -> Answers:
    """Aggregate stored answers by picture.

    Args:
        arms: names of the rows.
        scores: arms x seeds x items, 0 to 100; all NaN where there is no trial.
        pictures: what each item shows. An item without a picture is a cluster of its own if its value is unique.

    Raises:
        ValueError: sizes differ, or a trial lacks some of the items: a mean over the others would be another benchmark.
    """
    if scores.shape[:1] + scores.shape[2:] != (len(arms), len(pictures)):
        raise ValueError(f"scores are {scores.shape}; allowed: {len(arms)} arms x seeds x {len(pictures)} items")
    missing = np.isnan(scores)
    if (missing.any(axis=2) != missing.all(axis=2)).any():
        raise ValueError("a trial lacks some of the items; allowed: all or none")
    numbers = {picture: number for number, picture in enumerate(dict.fromkeys(pictures))}
    places = np.array([numbers[picture] for picture in pictures])
    order = np.argsort(places, kind="stable")
    starts = np.flatnonzero(np.diff(places[order], prepend=-1))
    centred = scores - scores.mean(axis=2, keepdims=True)
    sizes = np.diff(np.append(starts, len(pictures)))
    return Answers(arms=tuple(arms), parts=np.add.reduceat(centred[:, :, order], starts, axis=2) / len(pictures),
                   scores=np.add.reduceat(scores[:, :, order], starts, axis=2) / sizes)


def collect(trials: Sequence[tuple[str, int, Sequence[Scored]]]) -> Answers:
    """Combine the answers of all trials into one table.

    Args:
        trials: arm, seed, and the scored items in the order in which they were asked.

    Raises:
        ValueError: there are no trials, or they answered different items.
    """
    if not trials:
        raise ValueError("no trial has answers")
    arms, seeds = (list(dict.fromkeys(each[i] for each in trials)) for i in (0, 1))
    asked = [(item, picture) for item, picture, _ in trials[0][2]]
    scores = np.full((len(arms), len(seeds), len(asked)), math.nan)
    for arm, seed, own in trials:
        if [(item, picture) for item, picture, _ in own] != asked:
            raise ValueError("trials answered different items")
        scores[arms.index(arm), seeds.index(seed)] = [score for _, _, score in own]
    return answers_of([str(arm) for arm in arms], scores, [picture for _, picture in asked])


def item_variance(answers: Answers, weights: Mapping[str, float]) -> float | None:
    """Return the variance of a contrast of arms that comes from the draw of pictures, in squared points.

    Args:
        answers: the answers on one benchmark.
        weights: arm -> factor; they sum to 0.

    Returns:
        0 where the rest explains all variation between pictures. None with fewer than two common seeds, because the
        rest cannot be estimated, or with fewer than two pictures.
    """
    places = [answers.arms.index(arm) for arm in weights]
    by_seed = np.tensordot(np.array(list(weights.values())), answers.parts[places], axes=1)
    by_seed = by_seed[~np.isnan(by_seed[:, 0])]
    num_seeds, num_pictures = by_seed.shape
    if num_seeds < 2 or num_pictures < 2:
        return None
    mean = by_seed.mean(axis=0)
    rest = float(((by_seed - mean) ** 2).sum()) / (num_seeds * (num_seeds - 1))
    correction = num_pictures / (num_pictures - 1)
    return float(correction * max(0.0, float(mean @ mean) - rest))


def for_population(fitted: Fit, family: Sequence[Difference], variances: Sequence[float | None],
                   num_pictures: int) -> tuple[Difference, ...]:
    """Return differences with intervals and p-values for the population of items, corrected again as one family.

    Args:
        fitted: the fit of the metric.
        family: the differences for these items.
        variances: each difference's variance from the draw of pictures; None where unknown, which leaves no interval.
        num_pictures: pictures from which the variances were estimated; for an average, the fewest of its benchmarks.
    """
    widths = [None if each.error is None or variance is None
              else _Width(fitted, each.error, each.n, variance, num_pictures)
              for each, variance in zip(family, variances, strict=True)]
    known = [i for i, width in enumerate(widths) if width is not None]
    p = np.array([_p_value(abs(family[i].value), widths[i]) for i in known])  # type: ignore[arg-type]
    adjusted, shares = holm(p)
    found = [replace(each, half_width=None, half_width_holm=None, p=None, p_holm=None) for each in family]
    for k, i in enumerate(known):
        width = widths[i]
        assert width is not None  # `known` holds only these
        found[i] = replace(found[i], half_width=width.at(ERROR), half_width_holm=width.at(float(shares[k])),
                           p=float(p[k]), p_holm=float(adjusted[k]))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class _Width:
    """The half-width of a difference for the population of items, as a function of the allowed error."""

    fitted: Fit
    error: float
    """Standard error over seeds."""
    n: int
    """Number of seeds."""
    variance: float
    """Variance from the draw of pictures."""
    num_pictures: int

    def at(self, error: float) -> float:
        level = self.fitted.schedule.nominal(error, self.n)
        return half_width(self.error, self.n, self.variance, self.num_pictures, level=level)


def half_width(error: float, num_seeds: int, variance: float, num_pictures: int, *, level: float = ERROR) -> float:
    """Return the half-width of a difference for the population of items.

    Args:
        error: standard error over seeds, in points.
        num_seeds: 2 or more.
        variance: variance from the draw of pictures, in squared points.
        num_pictures: 2 or more.
        level: two-sided chance of error.
    """
    return math.hypot(quantile(num_seeds - 1, level) * error, quantile(num_pictures - 1, level) * math.sqrt(variance))


def _p_value(size: float, width: _Width) -> float:
    """Return the error at which the interval would just reach 0, by bisection on its logarithm."""
    low, high = math.log(1e-12), 0.0
    if width.at(1e-12) <= size:
        return 1e-12 if size > 0 else 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if width.at(math.exp(middle)) <= size else (middle, high)
    return math.exp(high)


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Variance components of the picture scores, in squared points."""

    seed: float
    """Between trials of an arm, common to all pictures."""
    item: float
    """Between pictures, common to all arms: it cancels in differences."""
    arm_item: float
    """Between pictures, in which arm is good at them: how other pictures would change a difference."""
    rest: float
    """What remains for one picture in one trial."""


def components(answers: Answers) -> Components | None:
    """Split the variance of picture scores by the balanced analysis of variance, over the seeds that all arms have.

    Returns:
        Variances, each 0 or more; None with fewer than two arms, two common seeds or two pictures.
    """
    has = ~np.isnan(answers.scores[:, :, 0]).any(axis=0)
    scores = answers.scores[:, has]
    num_arms, num_seeds, num_pictures = scores.shape
    if min(scores.shape) < 2:
        return None
    by_arm, by_picture, by_cell = scores.mean(axis=(1, 2)), scores.mean(axis=(0, 1)), scores.mean(axis=1)
    by_trial = scores.mean(axis=2)
    rest = scores - by_cell[:, None] - by_trial[:, :, None] + by_arm[:, None, None]
    mean_rest = float((rest ** 2).sum()) / (num_arms * (num_seeds - 1) * (num_pictures - 1))
    seed = float(((by_trial - by_arm[:, None]) ** 2).sum()) * num_pictures / (num_arms * (num_seeds - 1))
    crossed = by_cell - by_arm[:, None] - by_picture + scores.mean()
    arm_item = float((crossed ** 2).sum()) * num_seeds / ((num_arms - 1) * (num_pictures - 1))
    item = float(by_picture.var(ddof=1)) * num_arms * num_seeds
    return Components(seed=max(0.0, seed - mean_rest) / num_pictures, rest=mean_rest,
                      arm_item=max(0.0, arm_item - mean_rest) / num_seeds,
                      item=max(0.0, item - arm_item) / (num_arms * num_seeds))


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What would narrow a difference's interval for the population of items to the size of an effect."""

    add: Literal["nothing", "seeds", "pictures", "both"]
    """What to add first: of two ways the one that needs the smaller factor; `both` if neither suffices alone."""
    seeds: int | None
    """Seeds an arm needs with the present pictures; None if no number suffices."""
    pictures: int | None
    """Pictures the benchmark needs with the present seeds; None if no number suffices."""


def advise(effect: float, *, error: float, num_seeds: int, variance: float, num_pictures: int) -> Advice:
    """Return whether seeds or pictures are too few, and how many would give a half-width of `effect`.

    Args:
        effect: smallest difference of interest, in points; above 0.
        error: standard error of the difference over its seeds, in points.
        num_seeds: 2 or more.
        variance: variance of the difference from the draw of pictures, in squared points.
        num_pictures: 2 or more.
    """
    if effect <= 0:
        raise ValueError(f"effect is {effect}; allowed: above 0 points")
    deviation, spread = error * math.sqrt(num_seeds), variance * num_pictures
    seeds = _fewest(lambda n: half_width(deviation / math.sqrt(n), n, variance, num_pictures) <= effect,
                    num_seeds, MAX_SEEDS)
    pictures = _fewest(lambda n: half_width(error, num_seeds, spread / n, n) <= effect, num_pictures, MAX_PICTURES)
    if seeds == num_seeds:
        return Advice(add="nothing", seeds=seeds, pictures=pictures)
    if seeds is None or pictures is None:
        return Advice(add="seeds" if seeds else "pictures" if pictures else "both", seeds=seeds, pictures=pictures)
    add: Literal["seeds", "pictures"] = "seeds" if seeds / num_seeds <= pictures / num_pictures else "pictures"
    return Advice(add=add, seeds=seeds, pictures=pictures)


def _fewest(suffices: Callable[[int], bool], low: int, high: int) -> int | None:
    """Return the smallest number from `low` to `high` that suffices, None if none does.

    A larger one always suffices too.
    """
    if not suffices(high):
        return None
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle + 1, high)
    return low
