"""Levers of a training step on a GPU. Torch-free.

- Each is off by default: none has run on a GPU yet, and `python -m tests.perf.gpu` measures which pay there.
- A lever that rounds in another order is part of a stage's identity, as `compile` is; one that gives the same numbers is
  not. `python -m tests.perf.step_counts` counts what each does to launches, bytes and memory of a step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from model.config.fields import not_in_identity, require_least

HEAD = 128
"""Channels to which `padded` fills heads of the encoder up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpeedConfig:
    """What a step does faster on a GPU, beside `compile`, `recompute` and the sizes of passes."""

    fused_optimizer: bool = False
    """Whether the passes of Adafactor over the weights are compiled, eight weights of a shape at a time; AdamW
    becomes one kernel. Of several workers Adafactor stays as it is."""
    cast_once: bool = not_in_identity(False)
    """Whether weights are cast to bf16 once a step instead of in each pass: the same numbers, for two bytes a weight.
    Several workers cast while they gather weights, with or without it."""
    compile_connector: bool = False
    """Whether the connector is compiled too, where `compile` compiles blocks."""
    cuda_graphs: bool = False
    """Whether compiled blocks are replayed as CUDA graphs, for models so small that launches take longer than the
    work. Each shape of a pass is recorded anew (see `round_length`), and a step must be one pass."""
    vision_stream: Literal["fp32", "bf16"] = "fp32"
    """Type of the encoder's residual stream and of what its norms read and write, with `dtype: bf16`. Sums within a
    norm stay fp32."""
    vision_attention: Literal["auto", "flash", "cudnn", "padded"] = "auto"
    """Kernel of the encoder's attention on a GPU: what PyTorch chooses, FlashAttention 2, cuDNN's, or heads filled up
    to 128 channels with zeros (ViT-H has 80, for which no kernel is made)."""
    activations_gib: float = not_in_identity(0.0)
    """Activations that a pass may keep, in GiB: as many blocks are recomputed in the backward pass as exceed it by
    formula, pass by pass, with the same numbers. 0: `recompute` decides, for all blocks."""

    def __post_init__(self) -> None:
        require_least(self, 0, "activations_gib")
