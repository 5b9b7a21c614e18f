"""Pictures of items, remade by the generator that made them; a picture is never read from a path. No Streamlit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from model.config.stages import ImageConfig
from model.data.gallery import boxes_in
from model.evaluation.benchmarks.registry import BENCHMARKS
from model.evaluation.stored_answers import Answer
from model.evaluation.workbench_items import workbench_item
from model.images.drawing import Picture, annotated
from model.samples import Item

REFERENCE, MINE, OTHER = (0, 158, 115), (0, 114, 178), (213, 94, 0)
"""Colours of the boxes of reference, prediction, and the other arm's prediction."""


def remade(benchmark: str, item_id: str) -> Item | None:
    """Return an item of the workbench; None for other benchmarks.

    The item's name holds benchmark, seed and number, from which the generator makes it again.
    """
    spec = BENCHMARKS.get(benchmark)
    parts = item_id.split("/")
    if spec is None or spec.source != "workbench" or len(parts) != 3 or not (parts[1].isdigit() and parts[2].isdigit()):
        return None
    item = workbench_item(spec, int(parts[2]), seed=int(parts[1]))
    return item if item.item_id == item_id else None


def item_pictures(answer: Answer) -> list[Picture]:
    """Return the pictures of an item of the workbench; none for other benchmarks."""
    item = remade(answer.item.benchmark, answer.item.item_id)
    return list(item.images) if item else []


def drawn(images: Sequence[Picture], answer: Answer, other: Answer | None,
          config: ImageConfig | None) -> list[Picture]:
    """Return pictures with tile borders; of a single one also the boxes of reference and predictions."""
    boxes = []
    if len(images) == 1:  # a box is in the frame of one image; with several, no text says of which
        texts = [(answer.item.references, REFERENCE), ((answer.prediction,), MINE)]
        texts += [((other.prediction,), OTHER)] if other else []
        boxes = [(box, colour) for own, colour in texts for box in boxes_in(list(own))]
    return [annotated(image, config, boxes, num_images=len(images)) for image in images]


def image_config(spec: dict[str, Any]) -> ImageConfig | None:
    """Return the image setting of an evaluation; None if its record has none."""
    plain = spec.get("config", {}).get("images")
    return ImageConfig(**plain) if plain else None
