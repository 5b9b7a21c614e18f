"""The workbench: a generated corpus and its benchmarks. Each sample is reproducible from its id.

- Train and test differ in assets and in wording; each module says what it holds out.
- A change to what a generator makes is a new version here: `data_version` of a benchmark, `VERSIONS` of a category.
- A benchmark is a row here and a function in one of the modules: `scene-qa` is made by `scene_qa_item`. The rows are in the
  manner of public benchmarks, and never named after them.
- Plans read rows and versions, so that importing this loads neither torch nor Pillow; makers are imported when one is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from model.config.benchmark import JUDGES, Benchmark, Category
from model.config.fields import did_you_mean

if TYPE_CHECKING:
    from model.samples import Item, Sample

OPEN: dict[str, Any] = {"choices": JUDGES, "max_new_tokens": 48}


def _benchmark(
    name: str, category: Category, metric: str, manner_of: str, *, num_items: int = 100, **fields: Any
) -> Benchmark:
    return Benchmark(name=name, category=category, metric=metric, manner_of=manner_of, num_items=num_items, **fields)


WORKBENCH: tuple[Benchmark, ...] = (
    _benchmark("scene-qa", "general", "exact", "GQA", num_items=200, data_version=2),
    _benchmark("scene-probe", "general", "yes_no", "POPE", num_items=200, data_version=2),
    _benchmark("scene-pairs", "general", "mme", "MME", version=2, total="mme", group="category", groups=("existence",), data_version=2),
    _benchmark("scene-choice", "general", "choice", "SEED-IMG", data_version=2),
    _benchmark("scene-layout", "general", "realworldqa", "RealWorldQA", version=2, data_version=2),
    _benchmark("form-fields", "text_rich", "anls", "DocVQA", num_items=200, data_version=2),
    _benchmark("small-print", "text_rich", "anls", "InfoVQA", data_version=2),
    _benchmark("chart-values", "text_rich", "relaxed", "ChartQA", num_items=200, data_version=3),
    _benchmark("line-values", "text_rich", "relaxed", "ChartQA", data_version=2),
    _benchmark("table-cells", "text_rich", "denotation", "WTQ", version=2),
    _benchmark("table-facts", "text_rich", "tabfact", "TabFact", version=2, data_version=2),
    _benchmark("screen-words", "text_rich", "vqa", "TextVQA", version=2, data_version=3),
    _benchmark("handwriting", "text_rich", "contains", "OCRBench", data_version=2),
    _benchmark("science-names", "knowledge", "exact", "ScienceQA", num_items=200, data_version=2),
    _benchmark("science-choice", "knowledge", "choice_scienceqa", "ScienceQA", num_items=200, version=3, data_version=3),
    _benchmark("science-diagram", "knowledge", "choice_ai2d", "AI2D", data_version=2),
    _benchmark("drawn-sums", "knowledge", "exact", "MathVista", num_items=200, data_version=3),
    _benchmark("geometry", "knowledge", "exact", "MathVista"),
    _benchmark("geometry-choice", "knowledge", "choice_mmmu", "MMMU"),
    _benchmark("markup-source", "knowledge", "anls", "MMMU", max_new_tokens=32),
    _benchmark("box-name", "refer_ground", "lvis", "LVIS-Ferret", version=2, data_version=2),
    _benchmark("name-box", "refer_ground", "iou", "RefCOCO", max_new_tokens=24, data_version=2),
    _benchmark("phrase-box", "refer_ground", "phrase", "Flickr30k", max_new_tokens=24, data_version=2),
    _benchmark("same-or-not", "multi_image", "choice_nlvr2", "NLVR2", version=2, data_version=3),
    _benchmark("which-image", "multi_image", "mantis", "Mantis", version=2, data_version=2),
    _benchmark("spot-difference", "multi_image", "exact", "BLINK", version=2, data_version=2),
    _benchmark("film-moves", "multi_image", "exact", "MVBench", version=2, data_version=2),
    _benchmark("spot-choice", "multi_image", "choice_blink", "BLINK", in_average=False),
    _benchmark("film-choice", "multi_image", "choice_mvbench", "MVBench", in_average=False),
    _benchmark("picture-quality", "multi_image", "choice_qbench2", "Q-Bench2", data_version=2),
    _benchmark("picture-choice", "multi_image", "choice_mmmu", "MuirBench", in_average=False, data_version=2),
    _benchmark("sums-text", "text_only", "exact", "GSM8K", num_items=200, data_version=2),
    _benchmark("words-text", "text_only", "exact", "IFEval"),
)

JUDGED: tuple[Benchmark, ...] = (
    _benchmark("scene-talk", "general", "judge_pair", "LLaVA-Bench", num_items=60, total="relative", group="category",
               groups=("conv", "detail", "complex"), data_version=2, **OPEN),
    _benchmark("scene-skills", "general", "judge_grade", "MM-Vet", num_items=60, data_version=2, **OPEN),
    _benchmark("region-talk", "refer_ground", "judge_pair", "Ferret-Bench", num_items=60, total="relative", group="category",
               groups=("refer_desc", "refer_reason", "ground_conv"), in_average=False, data_version=2, **OPEN),
    _benchmark("maths-read", "knowledge", "judge_extract", "MathVista", num_items=60, data_version=2, **OPEN),
)
"""Open answers, scored by a judge model; without a judge they are not run."""

UNTRAINED: tuple[Benchmark, ...] = (_benchmark("emoji-pictures", "general", "choice", "SEED-IMG", in_average=False),)
"""Tasks that no training data of the workbench shows. They form a suite of their own, so that a study runs them only
if it asks for them."""

WORKBENCH_SUITES: dict[str, tuple[str, ...]] = {
    "workbench": tuple(each.name for each in WORKBENCH),
    "workbench-judged": tuple(each.name for each in (*WORKBENCH, *JUDGED)),
    "workbench-untrained": tuple(each.name for each in UNTRAINED),
    "workbench-quick": ("scene-qa", "scene-probe", "scene-choice", "form-fields", "chart-values", "science-names", "science-choice"),
}

VERSIONS: dict[str, int] = {
    **{each.name: each.data_version for each in (*WORKBENCH, *JUDGED, *UNTRAINED)},
    "operators": 1,
    **dict.fromkeys(("refer_ground", "recap", "sharegpt4v", "bound-words", "code", "text_only"), 2),
    **dict.fromkeys(("general", "math", "ocr", "text_mm1", "text_hq"), 3),
    **dict.fromkeys(("text_rich", "multi_image", "interleaved"), 4),
    **dict.fromkeys(("caption", "science"), 5),
}
"""Version of each generator: of benchmarks, of what in-context ones are made of, and of categories."""


@cache
def sample_makers() -> dict[str, Callable[..., Sample]]:
    """Return the function that makes the training samples of each category."""
    from model.workbench import general, geometry, markup, multi, pretraining, science, text_rich, texts
    return {
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


@cache
def item_makers() -> dict[str, Callable[..., Item]]:
    """Return the function that makes the items of each benchmark: the one of its name, in whichever module."""
    from model.workbench import (
        charts,
        documents,
        emoji,
        general,
        geometry,
        handwriting,
        markup,
        multi,
        science,
        screens,
        spatial,
        sums,
        tables,
        talk,
        texts,
    )
    modules = (charts, documents, emoji, general, geometry, handwriting, markup, multi, science, screens, spatial, sums, tables,
               talk, texts)
    found = {name: value for module in modules for name, value in vars(module).items() if name.endswith("_item")}
    return {each.name: found[f"{each.name.replace('-', '_')}_item"] for each in (*WORKBENCH, *JUDGED, *UNTRAINED)}


def make_sample(category: str, split: str, index: int, *, seed: int = 0) -> Sample:
    """Make a training sample.

    Args:
        category: a key of `sample_makers`.
        split: `train` or `test`.
        index: the sample's number, from 0.
        seed: the seed of the corpus.

    Raises:
        ValueError: the category or the split is unknown.
    """
    makers = sample_makers()
    if category not in makers:
        raise ValueError(f"category {category!r} is not in the workbench; {did_you_mean(category, makers)}")
    if split not in ("train", "test"):
        raise ValueError(f"split is {split!r}; allowed: train, test")
    return makers[category](split, index, seed=seed)


def make_item(benchmark: str, index: int, *, seed: int = 0) -> Item:
    """Make an evaluation item of the test split.

    Raises:
        ValueError: the benchmark is unknown.
    """
    makers = item_makers()
    if benchmark not in makers:
        raise ValueError(f"benchmark {benchmark!r} is not in the workbench; {did_you_mean(benchmark, makers)}")
    return makers[benchmark](index, seed=seed)
