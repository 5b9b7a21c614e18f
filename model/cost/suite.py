"""How long a suite of benchmarks takes on a GPU, by arithmetic. Torch-free.

- 200,000 items at mm1.5-3b on tiles of 672 px, dynamic 4 to 9 (6.5 tiles a picture over `TYPICAL_SIZES`): a picture costs
  24.8 TFLOP in encoder and connector, a prompt of 1,000 positions 5.3 in the decoder. At 0.45 of an H100's 989 TFLOP/s
  this is 3.8 hours if each item has a picture of its own, and 1.5 if four items share one, which is computed once
  (`EvaluateConfig.share_images`; POPE asks 18 questions a picture). Eight tokens an answer take 3 minutes: a step reads
  the weights (5.5 GB in bf16) and the cache of 64 items. `python -m model.cost mm1.5-3b` prints this.
- vLLM was considered and not taken. What it makes faster is the decoder: `without_decoder` bounds its gain at 1.2 times if
  pictures are not shared and at 1.9 times if four items share one (5.1 if 18 do), before its own cost. Its answers come from kernels and
  a batching of their own, so every score would depend on it; the encoder and connector would have to be written again
  within it; and it pins versions of torch. It pays when long answers or long shared prompts dominate, which they do not.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.config.stages import ImageConfig, ModelConfig
from model.cost.flops import parameters, sample_cost

PEAK_FLOPS, PEAK_BYTES = 989e12, 3.35e12
"""Dense bf16 FLOPs and bytes of memory per second of an H100 SXM, by its data sheet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteTime:
    """Seconds on one GPU, by part."""

    images: float
    """Encoder and connector."""
    prompts: float
    """The decoder on questions and image tokens."""
    answers: float
    """The decoder on new tokens, one after the other."""

    @property
    def hours(self) -> float:
        """Hours of all parts."""
        return (self.images + self.prompts + self.answers) / 3600

    @property
    def without_decoder(self) -> float:
        """How many times faster the suite would be if the decoder took no time: the bound of a faster decoder."""
        return self.hours * 3600 / self.images


def suite_time(config: ModelConfig, images: ImageConfig, *, items: int, items_per_picture: float = 1.0,
               text_tokens: int = 60, new_tokens: int = 8, batch: int = 64, utilisation: float = 0.45,
               bandwidth: float = 0.6) -> SuiteTime:
    """Estimate the time of a suite in bf16 on one H100.

    Args:
        config: the model.
        images: the image setting of inference.
        items: questions with one picture each.
        items_per_picture: how many of them share a picture, whose image tokens are computed once.
        text_tokens: tokens of a question.
        new_tokens: tokens of an answer.
        batch: items that are answered together.
        utilisation: share of the peak that products reach, above 0.
        bandwidth: share of the memory's peak that steps of generation reach, above 0.
    """
    cost = sample_cost(config, images, text_tokens=text_tokens, predicted=1)
    rate = PEAK_FLOPS * utilisation
    decoder = config.decoder
    cache = 2 * 2 * decoder.layers * decoder.kv_heads * decoder.head * (cost.length + new_tokens)
    step = 2 * parameters(config).decoder + batch * cache
    return SuiteTime(images=items / items_per_picture * (cost.flops.vision + cost.flops.connector) / rate,
                     prompts=items * cost.flops.decoder / rate,
                     answers=items / batch * new_tokens * step / (PEAK_BYTES * bandwidth))
