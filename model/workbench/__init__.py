"""The workbench: a generated corpus and its benchmarks. Each sample is reproducible from its id.

Train and test differ in assets and in wording; each module says what it holds out. A change to the output of a
generator needs a new number in `model.data.fingerprint.VERSIONS`.
"""

from __future__ import annotations

from collections.abc import Callable

from model.config.fields import did_you_mean
from model.samples import Item, Sample
from model.workbench import (
    charts,
    documents,
    emoji,
    general,
    geometry,
    handwriting,
    markup,
    multi,
    pretraining,
    science,
    screens,
    spatial,
    sums,
    tables,
    talk,
    text_rich,
    texts,
)

SAMPLE_MAKERS: dict[str, Callable[..., Sample]] = {
    "general": general.general_sample,
    "text_rich": text_rich.text_rich_sample,
    "refer_ground": general.refer_ground_sample,
    "science": science.science_sample,
    "math": geometry.math_sample,
    "code": markup.code_sample,
    "multi_image": multi.multi_image_sample,
    "text_only": texts.text_only_sample,
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
    "scene-pairs": general.scene_pairs_item,
    "scene-choice": general.scene_choice_item,
    "scene-layout": spatial.scene_layout_item,
    "emoji-pictures": emoji.emoji_pictures_item,
    "form-fields": documents.form_fields_item,
    "small-print": documents.small_print_item,
    "chart-values": charts.chart_values_item,
    "line-values": charts.line_values_item,
    "table-cells": tables.table_cells_item,
    "table-facts": tables.table_facts_item,
    "screen-words": screens.screen_words_item,
    "handwriting": handwriting.handwriting_item,
    "science-names": science.science_names_item,
    "science-choice": science.science_choice_item,
    "science-diagram": science.science_diagram_item,
    "drawn-sums": sums.drawn_sums_item,
    "geometry": geometry.geometry_item,
    "geometry-choice": geometry.geometry_choice_item,
    "markup-source": markup.markup_source_item,
    "box-name": general.box_name_item,
    "name-box": general.name_box_item,
    "phrase-box": general.phrase_box_item,
    "same-or-not": multi.same_or_not_item,
    "which-image": multi.which_image_item,
    "spot-difference": multi.spot_difference_item,
    "film-moves": multi.film_moves_item,
    "spot-choice": multi.spot_choice_item,
    "film-choice": multi.film_choice_item,
    "picture-choice": multi.picture_choice_item,
    "picture-quality": multi.picture_quality_item,
    "sums-text": sums.sums_text_item,
    "words-text": texts.words_text_item,
    "scene-talk": talk.scene_talk_item,
    "scene-skills": talk.scene_skills_item,
    "region-talk": talk.region_talk_item,
    "maths-read": talk.maths_read_item,
}


def make_sample(category: str, split: str, index: int, *, seed: int = 0) -> Sample:
    """Make a training sample.

    Args:
        category: a key of `SAMPLE_MAKERS`.
        split: `train` or `test`.
        index: the sample's number, from 0.
        seed: the seed of the corpus.

    Raises:
        ValueError: the category or the split is unknown.
    """
    if category not in SAMPLE_MAKERS:
        raise ValueError(f"category {category!r} is not in the workbench; {did_you_mean(category, SAMPLE_MAKERS)}")
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; allowed: train, test")
    return SAMPLE_MAKERS[category](split, index, seed=seed)


def make_item(benchmark: str, index: int, *, seed: int = 0) -> Item:
    """Make an evaluation item of the test split.

    Raises:
        ValueError: the benchmark is unknown.
    """
    if benchmark not in ITEM_MAKERS:
        raise ValueError(f"benchmark {benchmark!r} is not in the workbench; {did_you_mean(benchmark, ITEM_MAKERS)}")
    return ITEM_MAKERS[benchmark](index, seed=seed)
