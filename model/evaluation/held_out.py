"""Training samples as items of a held-out loss, and back; every answer carries loss, as in training. Torch-free."""

from __future__ import annotations

from model.samples import Item, Sample, Turn


def sample_item(sample: Sample, *, item_id: str, benchmark: str) -> Item:
    """Return a sample as an item: its last turn is question and reference, those before it are examples."""
    *before, last = sample.turns
    return Item(item_id=item_id, benchmark=benchmark, question=last.question, images=sample.images,
                references=(last.answer,), shots=tuple(before))


def item_sample(item: Item) -> Sample:
    """Return the sample of such an item."""
    turns = (*item.shots, Turn(item.question, item.references[0]))
    return Sample(sample_id=item.item_id, category=item.benchmark, turns=turns, images=item.images)
