"""The definition of a benchmark. Torch-free, because plans read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Category = Literal["general", "text_rich", "knowledge", "refer_ground", "multi_image", "text_only", "in_context"]
Total = Literal["mean", "mme", "pope", "relative", "nlvr2", "bits"]
JUDGES = ("judge", "judge_temperature")


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark; its score is 0 to 100."""

    name: str
    category: Category
    metric: str
    """A key of `model.evaluation.metrics.METRICS` or of `grading.JUDGED`, or `likelihood`."""
    num_items: int
    """Items of the test split, where known; 0 means that the local copy decides."""
    max_new_tokens: int = 8
    in_average: bool = True
    version: int = 1
    """Raised by hand when a change of prompt, metric or decoding changes what is measured."""
    data_version: int = 1
    """Version of its generator in the workbench; raised by hand when its samples change."""
    source: Literal["workbench", "catalogue"] = "workbench"
    manner_of: str = ""
    """Public benchmarks that a workbench one resembles."""
    title: str = ""
    """The name as the paper writes it."""
    prompt: str = ""
    """Template of the question. `{question}`, `{options}` and `{hint}` are replaced by the item's own."""
    layout: str = ""
    """What a local copy contains: the columns of its rows, and files beside them."""
    places_images: bool = False
    """Whether markers in its questions give the places of the images; otherwise all images come before the question."""
    choices: tuple[str, ...] = ()
    """Fields of `ScoringConfig` that change this benchmark's score."""
    total: Total = "mean"
    """How the scores of items become the benchmark's score; see `benchmark_scores`."""
    group: str = ""
    """Key of `Item.meta` whose groups are scored separately and then averaged."""
    groups: tuple[str, ...] = ()
    """The groups of a complete copy."""
    average: str = ""
    """Field of `ScoringConfig` that says whether groups are averaged or pooled; empty: averaged where there is a
    `group`."""
    shots: int = 0
    """Worked examples before the question, from the train split, images interleaved."""
    shots_of: str = ""
    """The workbench benchmark whose questions an n-shot one asks; empty: it has its own."""
    examples: str = ""
    """Category of the training samples that are the examples of `shots_of`."""
    made_of: tuple[str, ...] = ()
    """Generators of the workbench that make the items, if not the one of the same name."""

    @property
    def data_names(self) -> tuple[str, ...]:
        """The names from which the fingerprint of its data is computed."""
        return self.made_of or (self.name,)

    @property
    def needs_judge(self) -> bool:
        """Whether a judge model reads or grades the answers."""
        return "judge" in self.choices

    @property
    def scale(self) -> str:
        """What a score of 100 means."""
        return {
            "relative": "judged as well as the reference answer, or better above 100",
            "mme": "all points",
            "bits": "no bits at all to write the text; 0 is 8 bits a byte",
        }.get(self.total, "all items right")
