"""What is known of a benchmark before it runs. Torch-free; plans read it."""

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
    """A key of `model.evaluation.metrics.METRICS`, of `judging.JUDGED`, or `likelihood`."""
    num_items: int
    """Items of the test split, where they are known; 0 where the local copy says."""
    max_new_tokens: int = 8
    in_average: bool = True
    version: int = 1
    """Bumped by hand when prompt, metric or decoding change what is measured."""
    source: Literal["workbench", "catalogue"] = "workbench"
    manner_of: str = ""
    """Public benchmarks that a workbench one resembles."""
    title: str = ""
    """As the paper writes it."""
    prompt: str = ""
    """Template of the question; `{question}`, `{options}` and `{hint}` stand for the item's own."""
    layout: str = ""
    """What a local copy holds: columns of its rows, and files beside them."""
    places_images: bool = False
    """Whether its questions say by markers where their images stand; else all stand before the question."""
    choices: tuple[str, ...] = ()
    """Fields of `ScoringConfig` that change this benchmark's score."""
    total: Total = "mean"
    """How items become the score; see `totals`."""
    group: str = ""
    """Key of `Item.meta` whose groups are scored apart and then averaged."""
    groups: tuple[str, ...] = ()
    """The groups that a whole copy has."""
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
    """Generators of the workbench behind the items, where that is not the one of the same name."""

    @property
    def data_names(self) -> tuple[str, ...]:
        """What the fingerprint of its data is made of."""
        return self.made_of or (self.name,)

    @property
    def needs_judge(self) -> bool:
        """Whether answers are read or graded by a judge's model."""
        return "judge" in self.choices

    @property
    def scale(self) -> str:
        """What 100 means."""
        return {
            "relative": "judged as well as the reference answer, or better above 100",
            "mme": "all points",
            "bits": "no bits at all to write the text; 0 is 8 bits a byte",
        }.get(self.total, "all items right")
