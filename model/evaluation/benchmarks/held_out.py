"""Held-out loss of the workbench: one benchmark for each category of training data, over its test split. Torch-free.

No training draws the test split, which holds out assets and wording. A loss enters no average; lower is better.
"""

from __future__ import annotations

from model.config.benchmark import HELD_OUT, Benchmark

NUM_SAMPLES = 100
_SFT = ("general", "text_rich", "refer_ground", "science", "math", "code", "multi_image", "text_only")
_EARLIER = ("caption", "interleaved", "text_mm1", "text_hq", "ocr", "recap", "sharegpt4v")

LOSSES: tuple[Benchmark, ...] = tuple(
    Benchmark(name=f"loss-{category.replace('_', '-')}", category=HELD_OUT, metric="loss", total="loss",
              num_items=NUM_SAMPLES, in_average=False, manner_of="held-out loss", made_of=(category,))
    for category in (*_SFT, *_EARLIER))

LOSS_SUITES: dict[str, tuple[str, ...]] = {
    "workbench-loss": tuple(each.name for each in LOSSES[:len(_SFT)]),
}
