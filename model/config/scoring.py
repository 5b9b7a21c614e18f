"""Choices of scoring that the papers leave open, one field each. Torch-free.

- The default of a field is the choice of the reference sheet. It never changes, since it is left out of a stage's
  identity.
- The identity of an evaluation contains only the choices that its benchmark uses (`Benchmark.choices`), so a changed
  choice evaluates no other benchmark again. Every result states the choices that it was made with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from model.config.fields import FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringConfig:
    """Open choices in the scoring of the deck's benchmarks (MM1.5, arXiv:2409.20566)."""

    mcq_extraction: Literal["strict", "lenient"] = "strict"
    """How an answer to a multiple-choice question is read; the other way's score is always reported as well."""
    mme_normaliser: Literal["sum", "perception"] = "sum"
    """MME's score, 0 to 100. `sum`: (perception + cognition) / 2800 x 100. `perception`: perception / 20."""
    pope_score: Literal["accuracy", "f1"] = "accuracy"
    """POPE's score is the mean of this metric over the three subsets; the other metric is in the details."""
    tabfact_rule: Literal["contains", "exact"] = "contains"
    """When a TabFact answer counts. `contains`: of true and false it has only the label. `exact`: it is the label."""
    wtq_rule: Literal["denotation", "exact"] = "denotation"
    """When a WikiTableQuestions answer counts. `denotation`: sets of values are equal. `exact`: strings are equal."""
    anls_form: Literal["rrc", "due", "pix2struct"] = "rrc"
    """Form of ANLS in DocVQA and InfoVQA: whether case counts, and whether a similarity of exactly 0.5 counts."""
    textvqa_form: Literal["open_flamingo", "m4c", "vlmevalkit"] = "open_flamingo"
    """Form of TextVQA's accuracy; the deck names that of OpenFlamingo."""
    flickr_protocol: Literal["any", "merged"] = "any"
    """Boxes of a phrase in Flickr30k Entities: `any` compares them one by one, `merged` their enclosing box."""
    iou_threshold: Literal["at_least", "above"] = "at_least"
    """Whether an overlap (IoU) of exactly 0.5 counts: the reference codes count it, the papers write `> 0.5`."""
    box_scale: Literal["thousandths", "fractions", "pixels"] = "thousandths"
    """Unit of the coordinates that the model writes; our models write thousandths of the image."""
    refcoco_average: Literal["splits", "pooled"] = "splits"
    """Score of RefCOCO, RefCOCO+ and RefCOCOg: the mean of the splits, or of all samples."""
    blink_average: Literal["tasks", "pooled"] = "tasks"
    """Score of BLINK: the mean of its sub-tasks, or of all questions."""
    mvbench_average: Literal["tasks", "pooled"] = "tasks"
    """Score of MVBench: the mean of its sub-tasks, or of all questions."""
    mmmu_average: Literal["pooled", "subjects"] = "pooled"
    """Score of MMMU: the share of all questions, or the mean of its subjects."""
    dagger_in_average: bool = False
    """Whether Ferret-Bench and MuirBench, marked with a dagger in the deck, count in the averages of their category."""
    judge: str = ""
    """Name and version of the judge model; empty means no judge, and benchmarks that need one are not run."""
    judge_temperature: float = 0.0
    """Sampling temperature of the judge, 0 to 2; after an unreadable reply it is asked again with 0.5 more."""

    def __post_init__(self) -> None:
        if not 0 <= self.judge_temperature <= 2:
            raise FieldError("judge_temperature", f"{self.judge_temperature:g}; allowed: 0 to 2")

    def only(self, names: Iterable[str]) -> ScoringConfig:
        """Return a copy in which all fields but the named ones have their defaults."""
        return ScoringConfig(**{name: getattr(self, name) for name in names})

    def printed(self, names: Iterable[str]) -> dict[str, Any]:
        """Return the values of the named fields, in the order of the fields."""
        wanted = set(names)
        return {each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.name in wanted}
