"""What is known of a benchmark before it runs. Torch-free; plans read it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Category = Literal["general", "text_rich", "knowledge", "refer_ground", "multi_image", "text_only"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Benchmark:
    """One benchmark; its score is the mean of its items' scores x 100."""

    name: str
    category: Category
    metric: str
    """A key of `model.evaluation.metrics.METRICS`, or one of `WITHOUT_METRIC`."""
    num_items: int
    """Items of the test split; 0 where the catalogue says."""
    max_new_tokens: int = 8
    in_average: bool = True
    version: int = 1
    """Bumped by hand when prompt, metric or decoding change what is measured."""
    source: Literal["workbench", "catalogue"] = "workbench"
    manner_of: str = ""
    """Public benchmarks that a workbench one resembles."""
