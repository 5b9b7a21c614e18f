"""The likelihood of given answers, for multiple choice without generation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice

import torch
from torch.nn import functional

from model.config.stages import EvaluateConfig
from model.data.encoding import Encoded, Encoder
from model.network.mm15 import IGNORED, MM15
from model.samples import Item, Sample, Turn


@torch.inference_mode()
def losses(
    model: MM15, encoder: Encoder, config: EvaluateConfig, items: Iterator[Item]
) -> Iterator[tuple[float, bool]]:
    """Compute the loss of each item's reference as the answer to its question, without the end token.

    Yields:
        Its mean loss in nats a token, and whether greedy decoding would produce it.

    Raises:
        ValueError: an answer is empty, or question and answer together are longer than the context.
    """
    device = next(model.parameters()).device
    while window := [_answered(encoder, item) for item in islice(items, config.batch)]:
        batch = encoder.collate(window).to(device)
        with torch.autocast(device.type, torch.bfloat16, enabled=config.dtype == "bf16"):
            logits_BTV = model.decoder(inputs_embeds=model.embed(batch, tokens=config.images.tokens),
                                       attention_mask=batch.mask_BT.long()).logits
        wanted_BT = batch.labels_BT != IGNORED
        nats_BT = functional.cross_entropy(
            logits_BTV.float().transpose(1, 2), batch.labels_BT, ignore_index=IGNORED, reduction="none"
        )
        mean_B = nats_BT.double().sum(1) / wanted_BT.sum(1)
        greedy_B = ((logits_BTV.argmax(-1) == batch.labels_BT) | ~wanted_BT).all(1)
        yield from zip(mean_B.tolist(), greedy_B.tolist(), strict=True)


def _answered(encoder: Encoder, item: Item) -> Encoded:
    answer = item.references[0]
    if not answer:
        raise ValueError(f"{item.item_id}: an empty continuation; allowed: at least one character besides blanks")
    sample = Sample(
        sample_id=item.item_id, category="general", turns=(Turn(item.question, answer),), images=item.images
    )
    encoded = encoder.sample(sample)
    return replace(encoded, ids=encoded.ids[:-1], labels=[*encoded.labels[:-2], IGNORED])
