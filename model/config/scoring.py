"""What the papers leave open about scores: each choice is a field, its default is the reference sheet's. Torch-free.

- A default never changes: it is left out of a stage's identity.
- A stage of one benchmark is named by the choices that this benchmark takes (`Benchmark.choices`), so that a changed choice
  evaluates nothing else again; every result prints the choices it was made with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from model.config.fields import FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringConfig:
    """Open choices of the deck's benchmarks (MM1.5, arXiv:2409.20566)."""

    mcq_extraction: Literal["strict", "lenient"] = "strict"
    """Which reading of multiple choice is the score; the other one is always reported beside it."""
    mme_normaliser: Literal["sum", "perception"] = "sum"
    """`sum`: (perception + cognition) / 2800 x 100. `perception`: perception / 20."""
    pope_score: Literal["accuracy", "f1"] = "accuracy"
    """The mean over the three subsets of this; the other one is in the details."""
    tabfact_rule: Literal["contains", "exact"] = "contains"
    """`contains`: exactly one of true and false stands in the answer. `exact`: the answer is the label's word."""
    wtq_rule: Literal["denotation", "exact"] = "denotation"
    """WikiTableQuestions: equal sets of values, or equal strings."""
    anls_form: Literal["rrc", "due", "pix2struct"] = "rrc"
    """DocVQA and InfoVQA: whether case counts, and whether 0.5 itself does."""
    textvqa_form: Literal["open_flamingo", "m4c", "vlmevalkit"] = "open_flamingo"
    """The deck names OpenFlamingo's."""
    flickr_protocol: Literal["any", "merged"] = "any"
    """Whether a phrase's boxes are compared one by one, or their enclosing box is."""
    iou_threshold: Literal["at_least", "above"] = "at_least"
    """Overlap of exactly a half: the references count it, the papers write `> 0.5`."""
    box_scale: Literal["thousandths", "fractions", "pixels"] = "thousandths"
    """What the model's coordinates mean; ours writes thousandths of the image."""
    refcoco_average: Literal["splits", "pooled"] = "splits"
    """RefCOCO, RefCOCO+, RefCOCOg: the mean of the splits, or of all samples."""
    blink_average: Literal["tasks", "pooled"] = "tasks"
    """BLINK: the mean of its sub-tasks, or of all questions."""
    mvbench_average: Literal["tasks", "pooled"] = "tasks"
    """MVBench: the mean of its sub-tasks, or of all questions."""
    mmmu_average: Literal["pooled", "subjects"] = "pooled"
    """MMMU: the share of all questions, or the mean of its subjects."""
    dagger_in_average: bool = False
    """Whether Ferret-Bench and MuirBench, marked by a dagger in the deck, enter their categories. Changes averages alone."""
    judge: str = ""
    """Name and version of the judge's model; empty is no judge, and benchmarks that need one are not run."""
    judge_temperature: float = 0.0
    """Of the judge's sampling, 0 to 2; an unreadable reply is asked for again with 0.5 more."""

    def __post_init__(self) -> None:
        """Refuse a temperature that no endpoint takes."""
        if not 0 <= self.judge_temperature <= 2:
            raise FieldError("judge_temperature", f"{self.judge_temperature:g}; allowed: 0 to 2")

    def only(self, names: Iterable[str]) -> ScoringConfig:
        """Return the choices with all others at their defaults."""
        return ScoringConfig(**{name: getattr(self, name) for name in names})

    def printed(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the chosen values by name, in the order of the fields."""
        wanted = set(names)
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name in wanted}
