"""The speed of training: samples and model FLOPs per second, share of the device's peak, time waited for samples.

- FLOPs are those of the samples that a step trained on. Padding and recomputation do not count; attention counts within
  a sample only; the encoder counts on its patches; of the experts, those that a token passes through count.
- Rates are means over the last steps, so that start-up and compilation soon leave them.
- Utilisation is reported only for devices in the table of peaks; for others it is left out rather than guessed.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import NamedTuple

from model.config.stages import ModelConfig, TrainConfig
from model.cost.flops import Flops, at_tile, connector_flops, decoder_flops, vision_flops
from model.data.step import TokensSeen

PEAK_BF16 = {
    "NVIDIA H100 80GB HBM3": 989e12, "NVIDIA H200": 989e12, "NVIDIA H100 PCIe": 756e12,
    "NVIDIA A100-SXM4-40GB": 312e12, "NVIDIA A100-SXM4-80GB": 312e12,
    "NVIDIA A100-PCIE-40GB": 312e12, "NVIDIA A100 80GB PCIe": 312e12,
}
"""Device name, as the driver gives it, to peak dense bf16 FLOPs per second, from the vendor's data sheets."""

WINDOW = 10
"""Number of latest steps that rates are averaged over."""


def step_flops(model: ModelConfig, config: TrainConfig, samples: Iterable[TokensSeen]) -> float:
    """Count the model FLOPs of training on samples that were cut by `config.images`, forward and backward."""
    model = at_tile(model, config.images.tile)
    tile = vision_flops(model.vision), connector_flops(model, tokens=config.images.tokens)
    tiles, decoder = 0, 0.0
    for each in samples:
        tiles += each.num_tiles
        decoder += decoder_flops(model.decoder, length=each.num_tokens, predicted=each.num_supervised)
    return Flops(vision=tiles * tile[0], connector=tiles * tile[1], decoder=decoder).training(config)


class _Mark(NamedTuple):
    """Totals since the start, at the end of a step; times in seconds."""

    clock: float
    samples: int
    flops: float
    waited: float


class Meter:
    """A meter of the rates over the last steps of one attempt.

    Args:
        device: name of the device, as its driver gives it.
        dtype: compute type, `fp32` or `bf16`; peaks are known for bf16 only.
        devices: number of devices that work together.
        clock: returns seconds that never decrease.
    """

    def __init__(self, device: str, dtype: str, *, devices: int = 1,
                 clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._peak = PEAK_BF16.get(device, 0.0) * devices if dtype == "bf16" else 0.0
        # WINDOW steps lie between WINDOW + 1 marks.
        self._marks = deque([_Mark(clock(), 0, 0.0, 0.0)], maxlen=WINDOW + 1)

    @property
    def waited_s(self) -> float:
        """Seconds that training has waited for samples since the start of the attempt."""
        return self._marks[-1].waited

    def step(self, samples: int, flops: float, *, waited: float) -> dict[str, float]:
        """Count a finished step and return the current rates.

        Args:
            samples: number of samples of the step, over all workers.
            flops: model FLOPs of the step, over all workers.
            waited: seconds that the step waited for its samples.

        Returns:
            `samples_per_s`, `tflops_per_s`, `data_wait` (share of the time spent waiting for samples, 0 to 1), and
            `mfu` (model-FLOP utilisation, 0 to 1) if the device's peak is known.
        """
        last = self._marks[-1]
        self._marks.append(_Mark(self._clock(), last.samples + samples, last.flops + flops, last.waited + waited))
        # The oldest mark is WINDOW steps old (fewer at the start). A clock may not have moved between two fast steps.
        first, now = self._marks[0], self._marks[-1]
        seconds = max(now.clock - first.clock, 1e-9)
        rate = (now.flops - first.flops) / seconds
        utilisation = {"mfu": rate / self._peak} if self._peak else {}
        return {"samples_per_s": (now.samples - first.samples) / seconds, "tflops_per_s": rate / 1e12,
                "data_wait": (now.waited - first.waited) / seconds, **utilisation}
