"""The workbench: a generated corpus and its benchmarks, each sample reproducible from what it is called.

Train and test differ in assets and in wording; each module says what it holds out. A change to what a generator makes is a
new number in `model.data.fingerprint.VERSIONS`.
"""

from __future__ import annotations

from collections.abc import Callable

from model.data.samples import Item, Sample
from model.data.workbench import documents, general, pretraining, science, symbols
from model.plain import did_you_mean

SAMPLE_MAKERS: dict[str, Callable[..., Sample]] = {
    "general": general.general_sample,
    "text_rich": documents.text_rich_sample,
    "refer_ground": general.refer_ground_sample,
    "science": science.science_sample,
    "math": symbols.math_sample,
    "code": symbols.code_sample,
    "multi_image": pretraining.multi_image_sample,
    "text_only": symbols.text_only_sample,
    "caption": pretraining.caption_sample,
    "interleaved": pretraining.interleaved_sample,
    "text_mm1": pretraining.text_sample("text_mm1"),
    "text_hq": pretraining.text_sample("text_hq"),
    "ocr": pretraining.ocr_sample,
    "recap": pretraining.described_sample("recap"),
    "sharegpt4v": pretraining.described_sample("sharegpt4v"),
}

ITEM_MAKERS: dict[str, Callable[..., Item]] = {
    "scene-qa": general.scene_qa_item,
    "scene-probe": general.scene_probe_item,
    "form-fields": documents.form_fields_item,
    "chart-values": documents.chart_values_item,
    "science-names": science.science_names_item,
    "science-choice": science.science_choice_item,
    "drawn-sums": symbols.drawn_sums_item,
    "box-name": general.box_name_item,
    "name-box": general.name_box_item,
    "sums-text": symbols.sums_text_item,
}


def make_sample(category: str, split: str, index: int, *, seed: int = 0) -> Sample:
    """Make a training sample.

    Args:
        category: a key of `SAMPLE_MAKERS`.
        split: `train` or `test`.
        index: any number from 0.
        seed: of the corpus.

    Raises:
        ValueError: unknown category or split.
    """
    if category not in SAMPLE_MAKERS:
        raise ValueError(f"category {category!r} is not in the workbench; {did_you_mean(category, SAMPLE_MAKERS)}")
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; allowed: train, test")
    return SAMPLE_MAKERS[category](split, index, seed=seed)


def make_item(benchmark: str, index: int, *, seed: int = 0) -> Item:
    """Make an evaluation item of the test split.

    Raises:
        ValueError: unknown benchmark.
    """
    if benchmark not in ITEM_MAKERS:
        raise ValueError(f"benchmark {benchmark!r} is not in the workbench; {did_you_mean(benchmark, ITEM_MAKERS)}")
    return ITEM_MAKERS[benchmark](index, seed=seed)
