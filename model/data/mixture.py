"""From a mixture to shares, and from shares to draws. Torch-free.

- `alpha` is relative to General within the single-image share (General : target = 1 : alpha, by samples; MM1.5,
  arXiv:2409.20566). Weights divide the whole into single-image, multi-image and text-only.
- The draw is stratified, not random: after any number of samples, the count of each category is within one of its
  share. With a random draw, the counts of small alphas would differ between seeds by chance alone.
- The k-th sample of a category depends on (seed, category, k). Two arms with the same seed see the same k-th general
  sample, so their difference can be paired.
- Draws are a function of (mixture, batch, seed, step). So the step is all that a checkpoint has to store, and the
  number of workers does not matter.
- A late mixture goes on where the one before it ended: the next sample of a category is the one after the last drawn.
- Shares are exact fractions of the decimals written in the study (0.1 is a tenth), so the sequence repeats after their
  common denominator. A resumed stage skips whole periods instead of replaying them.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from model.config.stages import Alpha, ContinualMixture, GroupWeights, PretrainMixture, SftMixture, StageConfig
from model.config.taxonomy import GROUPS, SINGLE_IMAGE

LONGEST_TABLE = 100_000
"""Period up to which a sequence is kept whole, for positions in any order."""
Mixture = SftMixture | PretrainMixture | ContinualMixture


@dataclass(frozen=True, slots=True)
class Draw:
    """One drawn sample: the `k`-th of its category, counted from 0."""

    category: str
    k: int


def shares(mixture: Mixture) -> dict[str, float]:
    """Return the share of each category in all samples. They sum to 1; categories with share 0 are left out."""
    return {name: float(share) for name, share in _exact_shares(mixture).items()}


def stage_shares(config: StageConfig) -> dict[str, float]:
    """Return the share of each category in all samples of a training stage, with its late mixture if it has one.

    A part of a stage draws from the mixture that holds there.
    """
    if config.late_mixture is None:
        return shares(config.mixture)
    if config.is_late:
        return shares(config.late_mixture)
    late = (config.steps - config.late_from) / (config.steps - config.begin)
    found = {name: share * (1 - late) for name, share in shares(config.mixture).items()}
    for name, share in shares(config.late_mixture).items():
        found[name] = found.get(name, 0.0) + share * late
    return found


def alphas_from_shares(found: Mapping[str, float]) -> dict[str, float]:
    """Return the alpha of each category, given shares that include General.

    Raises:
        ValueError: General has no share, so nothing can be relative to it.
    """
    if found.get("general", 0) <= 0:
        raise ValueError(f"shares {dict(found)} hold no general samples; alpha is relative to them")
    return {name: share / found["general"] for name, share in found.items()}


def mixture_of(found: Mapping[str, float], *, digits: int = 6) -> SftMixture:
    """Return the fine-tuning mixture with these shares: the inverse of `shares`, up to rounding.

    Args:
        found: share of each category, summing to 1. Those of single-image categories become alphas relative to General.
        digits: significant digits of the alphas; few, so that the sequence of draws has a short period.

    Raises:
        ValueError: a category is unknown, a share is negative, they do not sum to 1, or General has no share although
            another single-image category has.
    """
    unknown = found.keys() - {*SINGLE_IMAGE, *GROUPS}
    if unknown or min(found.values()) < 0 or not math.isclose(sum(found.values()), 1, abs_tol=1e-6):
        raise ValueError(
            f"shares {dict(found)}; allowed: of {', '.join((*SINGLE_IMAGE, *GROUPS))}, none negative, summing to 1"
        )
    single = {name: share for name, share in found.items() if name in SINGLE_IMAGE and share > 0}
    alphas = alphas_from_shares(single) if single else {"general": 1.0}
    multi, text = (float(f"{found.get(name, 0.0):.{digits}g}") for name in GROUPS)
    rounded: dict[str, Any] = {name: float(f"{alpha:.{digits}g}") for name, alpha in alphas.items()}
    return SftMixture(alpha=Alpha(**rounded),
                      weights=GroupWeights(single=None if single else 0.0, multi=multi, text=text))


def sample_index(seed: int, category: str, k: int) -> int:
    """Return the index in the corpus of the k-th draw of a category, 0 to 2**31 - 1."""
    digest = hashlib.sha256(f"{seed}/{category}/{k}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


class Apportionment:
    """An endless sequence of names in which each has its share; any position may be asked for, one after the other is cheap.

    Source: quota apportionment as in R. Tijdeman's chairman assignment problem (1980): counts stay within one of their quota.
    Each sample of a name has a first position that it may take and a latest one; of those that may, the most urgent goes.
    """

    def __init__(self, exact: Mapping[str, Fraction]) -> None:
        """Take the share of each name; all are above 0 and sum to 1."""
        self._names = list(exact)
        self._period = math.lcm(*(share.denominator for share in exact.values()))
        self._quota = [int(share * self._period) for share in exact.values()]
        self._bound = max(1, 2 * len(exact) - 2)
        urgency = math.lcm(*self._quota)
        self._spacing = [urgency // quota for quota in self._quota]
        self._table: list[Draw] = []
        self._jump(0)

    def at(self, position: int) -> Draw:
        """Return the name at a position, and how many of it came before; positions may be asked for in any order."""
        if self._period > LONGEST_TABLE:
            self.move_to(position)
            return self.next()
        if not self._table:
            self._jump(0)
            self._table = [self.next() for _ in range(self._period)]
        rounds, offset = divmod(position, self._period)
        found = self._table[offset]
        return Draw(found.category, found.k + rounds * self._quota[self._names.index(found.category)])

    def counts(self, position: int) -> dict[str, int]:
        """Return how often each name comes before a position."""
        self.move_to(position)
        return dict(zip(self._names, self._counts, strict=True))

    def move_to(self, position: int) -> None:
        """Go to a position; the next draw is the one there."""
        start = position - position % self._period
        if not start <= self._position <= position:
            self._jump(start)
        while self._position < position:
            self.next()

    def next(self) -> Draw:
        """Return the draw at the present position, and go on."""
        self._position += 1
        position, urgency = self._position, self._urgency
        chosen = min([i for i, first in enumerate(self._first) if first <= position], key=urgency.__getitem__)
        k = self._counts[chosen]
        self._counts[chosen] = k + 1
        self._first[chosen], urgency[chosen] = self._first_position(chosen), self._latest_position(chosen)
        return Draw(self._names[chosen], k)

    def _jump(self, position: int) -> None:
        """Go to a multiple of the period, where every name has exactly its quota."""
        self._position = position
        self._counts = [position // self._period * quota for quota in self._quota]
        self._first = [self._first_position(i) for i in range(len(self._names))]
        self._urgency = [self._latest_position(i) for i in range(len(self._names))]

    def _first_position(self, i: int) -> int:
        return -(-(1 + self._bound * self._counts[i]) * self._period // (self._bound * self._quota[i]))

    def _latest_position(self, i: int) -> int:
        """Return the exact latest position in a unit that all names share."""
        return (self._bound - 1 + self._bound * self._counts[i]) * self._spacing[i]


class MixtureDraw:
    """The sequence of draws of one stage, batch by batch; steps may be asked for in any order."""

    def __init__(
        self, mixture: Mixture, *, batch: int, seed: int, late: Mixture | None = None, late_from: int = 0
    ) -> None:
        """Begin a sequence.

        Args:
            mixture: that the stage begins with.
            batch: samples of a step.
            seed: of the order within a batch.
            late: the mixture from step `late_from` on; None keeps the first one.
            late_from: the first step of `late`.
        """
        self.batch_size, self.seed = batch, seed
        self._sequence, self._late, self._late_from = Apportionment(_exact_shares(mixture)), None, late_from
        self._before: dict[str, int] = {}
        if late is not None:
            self._late = Apportionment(_exact_shares(late))
            self._before = self._sequence.counts(late_from * batch)

    @classmethod
    def of(cls, config: StageConfig, *, seed: int) -> MixtureDraw:
        """Return the draws of a training stage."""
        return cls(config.mixture, batch=config.batch, seed=seed, late=config.late_mixture, late_from=config.late_from)

    def batch(self, step: int) -> list[Draw]:
        """Return the draws of optimizer step `step`; counts do not depend on the seed, the order within a batch does."""
        draws = self._drawn(step)
        order = hashlib.sha256(f"{self.seed}/order/{step}".encode()).digest()
        random.Random(order).shuffle(draws)
        return draws

    def counts(self, steps: int) -> dict[str, int]:
        """Return how many samples of each category the first `steps` steps take."""
        if self._late is None or steps <= self._late_from:
            return self._sequence.counts(steps * self.batch_size)
        found = dict(self._before)
        for name, count in self._late.counts((steps - self._late_from) * self.batch_size).items():
            found[name] = found.get(name, 0) + count
        return found

    def _drawn(self, step: int) -> list[Draw]:
        is_late = self._late is not None and step >= self._late_from
        sequence, first = (self._late, self._late_from) if self._late and is_late else (self._sequence, 0)
        before = self._before if is_late else {}
        sequence.move_to((step - first) * self.batch_size)
        draws = [sequence.next() for _ in range(self.batch_size)]
        return [Draw(each.category, each.k + before.get(each.category, 0)) for each in draws] if before else draws


def apportioned(weights: Mapping[str, float]) -> Apportionment:
    """Return the sequence of names by weights, of which at least one is above 0; those of 0 are left out.

    Raises:
        ValueError: every weight is 0.
    """
    exact = {name: _decimal(weight) for name, weight in weights.items() if weight > 0}
    if not exact:
        raise ValueError(f"the weights of {', '.join(weights)} are all 0; allowed: at least one above 0")
    total = sum(exact.values())
    return Apportionment({name: weight / total for name, weight in exact.items()})


@lru_cache(maxsize=4096)
def _exact_shares(mixture: Mixture) -> dict[str, Fraction]:
    if isinstance(mixture, PretrainMixture):
        found = {
            "caption": mixture.caption,
            "interleaved": mixture.interleaved,
            f"text_{mixture.text_data}": mixture.text,
        }
        parts = {name: _decimal(value) for name, value in found.items()}
    elif isinstance(mixture, ContinualMixture):
        parts = {name: _decimal(value) for name, value in dataclasses.asdict(mixture).items()}
    else:
        parts = _sft_parts(mixture)
    total = sum(parts.values())
    return {name: part / total for name, part in parts.items() if part > 0}


def _sft_parts(mixture: SftMixture) -> dict[str, Fraction]:
    weights = mixture.weights
    multi, text = _decimal(weights.multi), _decimal(weights.text)
    single = max(Fraction(0), 1 - multi - text) if weights.single is None else _decimal(weights.single)
    alphas = {name: _decimal(alpha) for name, alpha in mixture.alpha.by_category.items()}
    total = sum(alphas.values())
    return {**{name: single * alpha / total for name, alpha in alphas.items()}, "multi_image": multi, "text_only": text}


def _decimal(value: float) -> Fraction:
    """Return the shortest decimal that represents a float, as an exact fraction."""
    return Fraction(repr(float(value)))
