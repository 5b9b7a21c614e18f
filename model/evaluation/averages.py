"""From benchmarks to category averages, MMBase and the overall mean, all 0 to 100. Torch-free.

- A category is the plain mean of its benchmarks that are `in_average`. MMBase is the mean of General, Text-rich and
  Knowledge. Overall is the mean of all categories of the suite (MM1.5, arXiv:2409.20566).
- If a benchmark is missing or incomplete, every average it belongs to is withheld: an average over fewer tasks would be
  another number.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from model.config.benchmark import Benchmark
from model.config.fields import did_you_mean
from model.evaluation.benchmarks.registry import specs

MMBASE = ("general", "text_rich", "knowledge")
OUTSIDE_OVERALL = frozenset({"text_only", "in_context"})
"""Categories that the deck's overall average does not contain."""
DAGGER = "dagger_in_average"
"""As an entry of a suite: benchmarks that are outside the averages by default are inside (`ScoringConfig`)."""


@dataclass(frozen=True, slots=True)
class Averages:
    """Averages by name (categories, `mmbase`, `overall`), and the reasons why others are withheld."""

    values: dict[str, float]
    withheld: dict[str, str]


def averages(scores: Mapping[str, float], suite: Sequence[str], own: Sequence[Benchmark] = ()) -> Averages:
    """Average benchmark scores over a suite.

    Args:
        scores: benchmark -> score, 0 to 100; only complete ones.
        suite: the benchmarks in the averages; with `DAGGER` among them, those marked with a dagger count too.
        own: what a catalogue declares of its own benchmarks among them, with the place of their categories in the averages.

    Raises:
        ValueError: a score is not finite, or a benchmark of the suite is unknown.
    """
    for name, score in scores.items():
        if not math.isfinite(score):
            raise ValueError(f"score of {name} is {score}; allowed: finite")
    members: dict[str, list[str]] = {}
    known = specs(own)
    for name in (name for name in suite if name != DAGGER):
        if name not in known:
            raise ValueError(f"no benchmark {name!r} to average; {did_you_mean(name, known)}")
        if known[name].in_average or (DAGGER in suite and not (known[name].reader or known[name].is_loss)):
            members.setdefault(known[name].category, []).append(name)
    values, withheld = {}, {}
    for category, names in members.items():
        missing = [name for name in names if name not in scores]
        if missing:
            withheld[category] = f"no complete score of {', '.join(missing)}"
        else:
            values[category] = math.fsum(scores[name] for name in names) / len(names)
    base = (*MMBASE, *dict.fromkeys(each.category for each in own if each.in_mmbase and each.in_average))
    outside = OUTSIDE_OVERALL | {each.category for each in own if not each.in_overall}
    for name, needed in (("mmbase", base), ("overall", tuple(c for c in members if c not in outside))):
        lacking = [category for category in needed if category not in values]
        if lacking or not needed:
            withheld[name] = f"no average of {', '.join(lacking) or 'any category'}"
        else:
            values[name] = math.fsum(values[category] for category in needed) / len(needed)
    return Averages(values, withheld)
