"""From a mixture to shares, and from shares to samples. Torch-free.

- `alpha` is relative to General within the single-image share (General : target = 1 : alpha, by samples; MM1.5,
  arXiv:2409.20566); weights divide single-image, multi-image and text-only.
- The draw is stratified, not random: after any number of samples each category is within one of its share. Small alphas
  would otherwise differ between seeds by chance alone.
- The k-th sample of a category depends on (seed, category, k): two arms of one seed see the same k-th general sample, which
  is what makes differences pairable.
"""

from __future__ import annotations

import dataclasses
import hashlib
import random
from dataclasses import dataclass

from model.config import ContinualMixture, PretrainMixture, SftMixture

Mixture = SftMixture | PretrainMixture | ContinualMixture


@dataclass(frozen=True, slots=True)
class Draw:
    """One drawn sample: the `k`-th of its category, counted from 0."""

    category: str
    k: int


def shares(mixture: Mixture) -> dict[str, float]:
    """Return the share of each category in all samples; they sum to 1, and those of 0 are left out."""
    if isinstance(mixture, PretrainMixture):
        found = {"caption": mixture.caption, "interleaved": mixture.interleaved, f"text_{mixture.text_data}": mixture.text}
    elif isinstance(mixture, ContinualMixture):
        found = {"ocr": mixture.ocr, "recap": mixture.recap, "sharegpt4v": mixture.sharegpt4v}
    else:
        alphas = dataclasses.asdict(mixture.alpha)
        total = sum(alphas.values())
        found = {name: mixture.weights.single_share * alpha / total for name, alpha in alphas.items()}
        found |= {"multi_image": mixture.weights.multi, "text_only": mixture.weights.text}
    return {name: share for name, share in found.items() if share > 0}


def alphas_from_shares(found: dict[str, float]) -> dict[str, float]:
    """Return the alpha of each category from shares that hold General.

    Raises:
        ValueError: General has no share, so nothing can be relative to it.
    """
    if found.get("general", 0) <= 0:
        raise ValueError(f"shares {found} hold no general samples; alpha is relative to them")
    return {name: share / found["general"] for name, share in found.items()}


def sample_index(seed: int, category: str, k: int) -> int:
    """Return which sample of the corpus the k-th draw of a category is, 0 to 2**31 - 1."""
    digest = hashlib.sha256(f"{seed}/{category}/{k}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


class MixtureDraw:
    """The sequence of draws of one stage, batch by batch.

    Source: quota apportionment as in R. Tijdeman's chairman assignment problem (1980): counts stay within one of their quota.
    """

    def __init__(self, mixture: Mixture, *, batch: int, seed: int) -> None:
        self.shares, self.batch_size, self.seed = shares(mixture), batch, seed
        self._restart()

    def batch(self, step: int) -> list[Draw]:
        """Return the draws of optimiser step `step`; counts do not depend on the seed, the order within a batch does."""
        if step < self._step:
            self._restart()
        while self._step <= step:
            draws = [self._next() for _ in range(self.batch_size)]
            self._step += 1
        order = hashlib.sha256(f"{self.seed}/order/{step}".encode()).digest()
        random.Random(order).shuffle(draws)
        return draws

    def _restart(self) -> None:
        self._step, self._position, self._counts = 0, 0, dict.fromkeys(self.shares, 0)

    def _next(self) -> Draw:
        self._position += 1
        slack = 1 / (2 * len(self.shares) - 2) if len(self.shares) > 1 else 0.0
        owed = {name: share * self._position - self._counts[name] for name, share in self.shares.items()}
        due = [name for name in owed if owed[name] >= slack - 1e-9]
        category = min(due, key=lambda name: (1 - slack - owed[name]) / self.shares[name])
        self._counts[category] += 1
        return Draw(category, self._counts[category] - 1)
