"""How fast training goes: samples, model FLOPs and their share of the device's peak, and how long it waits for its samples.

- FLOPs are those of the samples that a step trained on: padding and recomputation do not count, attention counts within a
  sample, the encoder counts on its own tokens, of experts only those that a token passes.
- The rate is that of the last steps, so that start-up and compilation are soon forgotten.
- A device that is not in the table has no utilisation: better none than a guess.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from model.config.stages import ModelConfig, TrainConfig
from model.cost.flops import Flops, at_tile, connector_flops, decoder_flops, vision_flops
from model.data.step import Seen

PEAK_BF16 = {
    "NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H200": 989e12, "NVIDIA H100 PCIe": 756e12,
    "NVIDIA A100-SXM4-40GB": 312e12, "NVIDIA A100-SXM4-80GB": 312e12, "NVIDIA A100-PCIE-40GB": 312e12, "NVIDIA A100 80GB PCIe": 312e12,
}
"""Dense bf16 FLOPs per second by the name that the driver gives, from the vendor's data sheets."""

WINDOW = 10
"""Steps that the rate is taken over."""


def step_flops(model: ModelConfig, config: TrainConfig, samples: Iterable[Seen]) -> float:
    """Count the model FLOPs of training on these samples, forward and backward; `config.images` is how they were cut."""
    model = at_tile(model, config.images.tile)
    tile = vision_flops(model.vision), connector_flops(model, tokens=config.images.tokens)
    tiles, decoder = 0, 0.0
    for each in samples:
        tiles += each.num_tiles
        decoder += decoder_flops(model.decoder, length=each.num_tokens, predicted=each.num_supervised)
    return Flops(vision=tiles * tile[0], connector=tiles * tile[1], decoder=decoder).training(config)


class _Mark(NamedTuple):
    """Totals at the end of a step."""

    clock: float
    samples: int
    flops: float
    waited: float


class Meter:
    """Rates over the last steps of one attempt."""

    def __init__(self, device: str, dtype: str, *, devices: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin.

        Args:
            device: name of the device, as its driver gives it.
            dtype: compute type; the peaks are those of bf16.
            devices: how many of them work together.
            clock: seconds, increasing.
        """
        self._clock = clock
        self._peak = PEAK_BF16.get(device, 0.0) * devices if dtype == "bf16" else 0.0
        self._marks = deque([_Mark(clock(), 0, 0.0, 0.0)], maxlen=WINDOW + 1)

    @property
    def waited_s(self) -> float:
        """Seconds that training waited for samples since the beginning."""
        return self._marks[-1].waited

    def step(self, samples: int, flops: float, *, waited: float) -> dict[str, float]:
        """Count a finished step, of which training waited so many seconds for its samples.

        Returns:
            `samples_per_s`, `tflops_per_s`, `data_wait` (share of the time, 0 to 1), and `mfu` (0 to 1) where the device's peak is known.
        """
        last = self._marks[-1]
        self._marks.append(_Mark(self._clock(), last.samples + samples, last.flops + flops, last.waited + waited))
        first, now = self._marks[0], self._marks[-1]
        seconds = max(now.clock - first.clock, 1e-9)
        rate = (now.flops - first.flops) / seconds
        known = {"mfu": rate / self._peak} if self._peak else {}
        return {"samples_per_s": (now.samples - first.samples) / seconds, "tflops_per_s": rate / 1e12,
                "data_wait": (now.waited - first.waited) / seconds, **known}
