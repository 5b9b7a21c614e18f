"""The definition of a benchmark. Torch-free, because plans read it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeVar

Category = Literal["general", "text_rich", "knowledge", "refer_ground", "multi_image", "text_only",
                   "in_context", "held_out"]
Total = Literal["mean", "mme", "pope", "relative", "nlvr2", "bits", "loss"]
HELD_OUT = "held_out"
"""The category of held-out losses. It has no average: a loss is in nats, and lower is better."""
LOSS = "loss"
"""The metric and the total of held-out losses."""
JUDGES = ("judge", "judge_temperature")
ROWS = "rows"
"""The reader of benchmarks that a catalogue declares by the columns of their rows."""
FITTING: dict[str, tuple[str, ...]] = {
    "exact": (), "contains": (), "relaxed": (), "yes_no": (), "anls": ("anls_form",), "vqa": ("textvqa_form",),
    "denotation": ("wtq_rule",), "iou": ("iou_threshold",), "choice": ("mcq_extraction",)}
"""Metrics that need no more than an answer and its references -> fields of `ScoringConfig` that they read."""
T = TypeVar("T")


def _elsewhere(default: T) -> T:
    """Declare a field that changes no answer and no score of the benchmark, so that it is left out of identities."""
    return field(default=default, metadata={"identity": False})


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the columns of an own benchmark's rows are called; empty: there is no such column."""

    question: str = "question"
    """A text, without the benchmark's prompt."""
    answer: str = "answer"
    """A text, or a list of accepted ones; with options a letter, an index from 0, or the right option itself."""
    image: str = "image"
    """A picture, or a list of pictures; a row may have none."""
    options: str = ""
    """A list, for a multiple-choice question."""
    name: str = ""
    """What identifies the row; empty: its number."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark; its score is 0 to 100, or a held-out loss in nats."""

    name: str
    """What studies call it."""
    category: str = field(metadata={"identity": False})
    """One of `Category`, or a category that a catalogue declares."""
    metric: str
    """A key of `model.evaluation.metrics.METRICS` or of `grading.JUDGED`, `likelihood`, `loss`, or an entry point of
    `ablate.metrics`."""
    num_items: int
    """Items of the test split, where known; 0 means that the local copy decides."""
    max_new_tokens: int = 8
    """Longest answer, in tokens."""
    in_average: bool = _elsewhere(True)
    """Whether it counts in the average of its category."""
    version: int = 1
    """Raised by hand when a change of prompt, metric or decoding changes what is measured."""
    data_version: int = 1
    """Version of its generator in the workbench; raised by hand when its samples change."""
    source: Literal["workbench", "catalogue"] = "workbench"
    """Whether its items are generated, or read from a local copy that the catalogue names."""
    manner_of: str = _elsewhere("")
    """Public benchmarks that a workbench one resembles."""
    title: str = _elsewhere("")
    """The name as the paper writes it."""
    prompt: str = ""
    """Template of the question. `{question}`, `{options}` and `{hint}` are replaced by the item's own."""
    layout: str = _elsewhere("")
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
    reader: str = ""
    """What makes items of a copy's rows: empty, our own for the benchmark of this name; `rows`, by `columns`; else an entry point of
    `ablate.benchmarks`."""
    reader_version: int = 0
    """Version of that entry point, or of the layout's; 0 where there is none."""
    records: str = ""
    """Layout of the records of an own held-out loss, as of training data."""
    boxes: str = "none"
    """Form of the boxes in these records, as of training data."""
    columns: Columns = Columns()
    """Of the rows of a benchmark that a catalogue declares."""
    metric_version: int = 0
    """Version of the metric's entry point; 0 for our own metrics."""
    options: str = ""
    """Options of the metric, a JSON object with sorted keys: fields of `ScoringConfig`, or arguments of an entry
    point."""
    in_mmbase: bool = _elsewhere(False)
    """Whether an own category counts in MMBase."""
    in_overall: bool = _elsewhere(True)
    """Whether an own category counts in the overall mean."""

    @property
    def data_names(self) -> tuple[str, ...]:
        """The names from which the fingerprint of its data is computed."""
        return self.made_of or (self.name,)

    @property
    def is_loss(self) -> bool:
        """Whether its score is a held-out loss: nats for each supervised token, lower is better, in no average."""
        return self.total == LOSS

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
            "loss": "nothing: it is a loss in nats for each supervised token, and lower is better",
        }.get(self.total, "all items right")
