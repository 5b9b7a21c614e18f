"""The categories of training data, and the data sets that MM1.5 has in each. Torch-free.

- Keys are the names that are used everywhere: in mixtures, in `workbench.sample_makers()`, in fingerprints.
- `SFT_DATASETS` has the public data sets of each category and their sizes; a catalogue gives their files.
- Sizes are thousands of samples, from the tables of MM1.5 (arXiv:2409.20566). The columns of those tables are
  interleaved, so the assignment of single sets is a reconstruction; the totals follow from the printed sizes. TextVQA
  is printed twice and is counted once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

SINGLE_IMAGE = ("general", "text_rich", "refer_ground", "science", "math", "code")
"""Single-image categories, which are mixed by alpha, relative to General."""
GROUPS = ("multi_image", "text_only")
"""The other groups of fine-tuning data, which are mixed by weight with all single-image samples together."""
KNOWLEDGE = ("science", "math", "code")
"""The three categories of data whose benchmarks form one category of scores."""
PRETRAINING = ("caption", "interleaved", "text_mm1", "text_hq")
"""Sources of the first stage; a mixture names one of the two texts."""
CONTINUAL = ("ocr", "recap", "sharegpt4v")
"""Sources of the second stage: 45 M documents, LLaVA-Recap-3M, ShareGPT4V-PT."""
CATEGORIES = (*SINGLE_IMAGE, *GROUPS, *PRETRAINING, *CONTINUAL)
"""All categories of data."""

SFT_DATASETS: dict[str, dict[str, float]] = {
    "general": {
        "LLaVA 1.5 conversation": 56.7, "LLaVA v1.5 VQAv2 OKVQA": 91.8, "LLaVA v1.5 GQA": 72.1,
        "LLaVA v1.5 A-OKVQA": 66.2, "Coco Captions": 82.8, "LLaVA Complex Reasoning": 76.6, "ShareGPT-4V": 96.1,
    },
    "text_rich": {
        "Synthdog-En": 500, "DVQA": 200, "DocVQA": 128.5, "ArxivQA": 100, "TabFact": 91.6, "ScreenQA": 80.8,
        "OCRVQA": 80, "WikiSQL": 75, "ChartQA": 66.7, "InfoVQA": 52.3, "WikiTQ": 38.2, "WikiTable": 35.8,
        "TextVQA": 34.6, "KleisterCharity": 27.7, "Chart2Text": 27, "VisualMRC": 24.5, "TabMWP": 22.7, "TextCaps": 22,
        "ST-VQA": 17.2, "VisText": 10, "RenderedText": 10, "DeepForm": 7, "FinQA": 5.3, "HiTab": 2.5, "TAT-QA": 2.2,
    },
    "refer_ground": {"GRIT-Flickr30k": 200.8, "GRIT-Spatial Negative Mining": 213.6, "GRIT-Region reasoning": 76.6},
    "science": {"ScienceQA": 5, "AI2D": 3.2},
    "math": {"CLEVR": 70, "RAVEN": 42, "IconQA": 27.3, "GeomVerse": 9.3, "Inter-GPS": 1.3},
    "code": {"DaTikZ": 48, "WebSight": 10, "Design2Code": 0.5},
    "multi_image": {
        "Coinstruct": 132.3, "NLVR2": 86.4, "IconQA": 64.5, "DreamSim": 15.9, "Spot-the-diff": 8, "MultiVQA": 5,
        "NExT-QA": 3.9, "Star": 3, "Birds-to-Words": 2.6, "Coco instruct interleaved": 2.1, "ICL-Instruct": 0.4,
    },
    "text_only": {
        "OpenOrca": 994, "MathInstruct": 262, "OrcaMath": 200, "OpenCodeInterpreter": 66, "WizardCoder": 43,
        "Dolly": 11,
    },
}
"""Category to its data sets for supervised fine-tuning, with thousands of samples of each."""
IN_HOUSE = frozenset({"Coco instruct interleaved", "ICL-Instruct"})
"""Data sets that were never published."""

CONTINUAL_DATASETS: dict[str, dict[str, float]] = {
    "ocr": {"PDFA": 0, "IDL": 0, "Rendered-text": 0, "DocStruct-4M": 0},
    "recap": {"LLaVA-Recap-3M": 3000},
    "sharegpt4v": {"ShareGPT4V-PT": 0},
}
"""Source of the second stage to its data sets, with thousands of samples of each; 0 if the size is not published. The
OCR sets have 45 M samples together."""
PRETRAINING_DATASETS: dict[str, dict[str, float]] = {
    "caption": {"Image-text pairs": 2_000_000}, "interleaved": {"Interleaved documents": 600_000},
    "text_mm1": {"Text of MM1": 0}, "text_hq": {"High-quality text": 0},
}
"""Source of the first stage to its data sets, with thousands of samples of each. They were never published, so a
catalogue names substitutes. The texts have 2 T tokens."""
EQUAL_SHARES = frozenset({"ocr"})
"""Categories whose data sets have equal shares of a batch; in all others, shares are proportional to sizes."""

Stage = Literal["sft", "continual", "pretrain"]
DATASETS: dict[Stage, dict[str, dict[str, float]]] = {
    "sft": SFT_DATASETS, "continual": CONTINUAL_DATASETS, "pretrain": PRETRAINING_DATASETS,
}
"""Stage, to category, to data set, to thousands of samples."""


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """One data set of the taxonomy."""

    stage: Stage
    """Training stage that uses the data set."""
    category: str
    """Category of the data set."""
    name: str
    """Name of the data set, as MM1.5 prints it."""
    thousands: float
    """Thousands of samples, as published; 0 if the size is not published."""

    @property
    def is_in_house(self) -> bool:
        """Whether the data set was never published."""
        return self.name in IN_HOUSE or self.stage == "pretrain"


def entries() -> Iterator[DatasetEntry]:
    """List every data set of every stage and category, in the order of this file."""
    for stage, categories in DATASETS.items():
        for category, sets in categories.items():
            yield from (DatasetEntry(stage, category, name, thousands) for name, thousands in sets.items())
