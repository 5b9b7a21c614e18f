"""Make items of the workbench's benchmarks: plain ones, ones after worked examples, texts and samples. Torch-free."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from model.config.benchmark import Benchmark
from model.evaluation.held_out import sample_item
from model.samples import Item
from model.workbench import in_context, make_item, make_sample

OWN: dict[str, Callable[..., Item]] = {
    "bound-words": in_context.bound_words_item,
    "operators": in_context.operators_item,
}


def workbench_item(spec: Benchmark, index: int, *, seed: int) -> Item:
    """Make an item of a workbench benchmark's test split.

    Args:
        spec: the benchmark.
        index: the item's number, from 0.
        seed: the seed of the corpus.
    """
    if spec.metric == "likelihood":
        return in_context.plain_text_item(index, seed=seed, num_texts=spec.num_items, make_sample=make_sample)
    if spec.is_loss:
        sample = make_sample(spec.made_of[0], "test", index, seed=seed)
        return sample_item(sample, item_id=f"{spec.name}/{seed}/{index}", benchmark=spec.name)
    if spec.category != "in_context":
        return make_item(spec.name, index, seed=seed)
    if spec.shots_of:
        plain = make_item(spec.shots_of, index, seed=seed)
        item = in_context.with_examples(
            plain, index, seed=seed, shots=spec.shots, category=spec.examples, make_sample=make_sample
        )
    else:
        item = OWN[spec.made_of[0]](index, seed=seed, shots=spec.shots)
    return replace(item, item_id=f"{spec.name}/{seed}/{index}", benchmark=spec.name)
