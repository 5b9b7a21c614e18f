"""A dry run: a few steps of a preset from random weights on random samples. Does it fit, does it run, how fast is it?

- The loop is that of a stage. Nothing is published, and neither data nor checkpoints are needed.
- Large presets run the fine-tuning step that published figures refer to: 4 samples of 5 tiles at 672 px, 144 tokens per
  tile and 304 tokens of text, Adafactor, bf16 with fp32 master weights. Small presets run at their own tile side, with
  AdamW, fp32 and one thread.
- A model that cannot fit is refused before it is built: otherwise the kernel would kill the process without a message.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from model.config.stages import ImageConfig, ModelConfig, SftConfig
from model.cost.flops import SampleCost, at_tile, forward_flops
from model.cost.memory import training_bytes
from model.data.encoding import IMAGE_TOKEN, Encoded, Encoder
from model.data.step import Step, to_batches
from model.data.tokenizer import load_tokenizer
from model.network.mm15 import IGNORED, MM15
from model.seeds import stream_seed
from model.training.compilation import prepare
from model.training.loop import Report, train
from model.training.tally import Tally

AHEAD = 4
"""Steps that are made before the first one, and taken in turn: 27 MB of random pixels a step would be made while a
GPU waits."""
SAMPLES, TILES, TEXT = 4, 5, 304
"""Samples of a step; tiles and text tokens of a sample."""
CONTAINER_LIMIT = Path("/sys/fs/cgroup/memory.max")
"""File in which Linux says how much memory a container may use."""
LARGE = 1024
"""Width of the encoder from which on a preset counts as large."""


def rehearsal_config(model: ModelConfig, *, steps: int, batch: int = SAMPLES) -> SftConfig:
    """Return the stage of a dry run of a model; the caller may change `compile`, `recompute` and `dtype`."""
    is_large = model.vision.width >= LARGE
    # At most a quarter of the patches, and a square number, as 144 is.
    side = model.vision.tile // model.vision.patch
    images = ImageConfig(mode="static", tile=672 if is_large else model.vision.tile, tokens=min(144, (side // 2) ** 2))
    large: dict[str, Any] = {"optimizer": "adafactor", "lr": 1e-5, "dtype": "bf16", "micro_batch": 2}
    small: dict[str, Any] = {"optimizer": "adamw", "lr": 5e-4, "dtype": "fp32"}
    # A checkpoint interval of all steps: the loop writes none after the last step, so a dry run writes none at all.
    return SftConfig(images=images, steps=steps, batch=batch, max_tokens=TILES * images.tokens + TEXT,
                     checkpoint_every=max(steps, 1), **(large if is_large else small))


def rehearse(model_config: ModelConfig, config: SftConfig, *, report: Report) -> dict[str, Any]:
    """Train a model for a few steps on random samples.

    Args:
        model_config: shapes of the model; the tile side is that of `config`.
        config: the stage, from `rehearsal_config`.
        report: called after every step, as by `train`.

    Returns:
        the result of `train`.

    Raises:
        ValueError: the device cannot hold weights, gradients, the optimizer's state and the activations of a pass.
    """
    torch.set_num_threads(config.threads)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    require_memory(training_bytes(model_config, config, _cost(model_config, config)), device_bytes(device), device)
    if device.type == "cuda":
        # Another dry run in this process (`--compare`) has left its own peak.
        torch.cuda.reset_peak_memory_stats(device)
    torch.manual_seed(stream_seed(0, "init"))
    # Weights are drawn on the device: billions of them would take minutes on a CPU, and as much memory again.
    with device:
        model = MM15(at_tile(model_config, config.images.tile))
    prepare(model, config)
    encoder = Encoder(load_tokenizer(), config.images, max_tokens=config.max_tokens)
    ready = [_on_the_way(to_batches(encoder, made_up(encoder, config, step), config), device)
             for step in range(min(config.steps, AHEAD))]
    with tempfile.TemporaryDirectory() as folder:
        return train(model, lambda step: ready[step % AHEAD], config, folder=Path(folder), report=report,
                     should_stop=lambda: False, tally=Tally())


def _on_the_way(step: Step, device: torch.device) -> Step:
    """Return a step as loaders hand it over: in pinned memory beside a GPU."""
    return replace(step, batches=tuple(each.pinned() for each in step.batches)) if device.type == "cuda" else step


def device_bytes(device: torch.device) -> int:
    """Return the bytes of memory of a device; for a CPU, of the machine or of this process's container."""
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory
    # The file says `max` where a container has no limit; what the machine has then counts.
    installed = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CONTAINER_LIMIT.read_text().strip() if CONTAINER_LIMIT.is_file() else "max"
    return min(installed, int(limit)) if limit.isdigit() else installed


def _cost(model: ModelConfig, config: SftConfig) -> SampleCost:
    """Return the cost of the made-up samples, which are all alike."""
    image_tokens = TILES * config.images.tokens
    length = image_tokens + TEXT
    flops = forward_flops(at_tile(model, config.images.tile), tiles=TILES, tokens=config.images.tokens, length=length,
                          predicted=TEXT)
    return SampleCost(tiles=TILES, image_tokens=image_tokens, length=length, longest=length, most_tiles=TILES,
                      flops=flops, predicted=TEXT)


def require_memory(needed: float, there: int, device: torch.device) -> None:
    """Refuse a training that cannot fit by formula.

    Args:
        needed: bytes of weights, gradients, optimizer state and activations.
        there: bytes that the device has.
        device: named in the message.

    Raises:
        ValueError: `needed` exceeds `there`; the message has both in GiB and says if no GPU was found.
    """
    if needed > there:
        why = "" if device.type == "cuda" else f"; no CUDA device was found (torch {torch.__version__})"
        raise ValueError(f"weights, gradients, optimizer state and activations take {needed / 2**30:.1f} GiB, "
                         f"and {device.type} has {there / 2**30:.1f} GiB{why}\n"
                         "hint: --recompute, a smaller --batch or preset, or several GPUs (a study at this scale)")


def made_up(encoder: Encoder, config: SftConfig, step: int) -> list[Encoded]:
    """Make the samples of a step: random pixels and random text, with the loss on the text."""
    # Text ids begin after the special tokens: a stray image token would ask for a tile that is not there.
    images, special = config.images, max(encoder.id.values())
    rng = np.random.default_rng(stream_seed(0, "rehearsal", step))
    samples = []
    for index in range(config.batch):
        text = rng.integers(special + 1, len(encoder.tokenizer), TEXT).tolist()
        ids = [encoder.id[IMAGE_TOKEN]] * (TILES * images.tokens) + text
        # Labels stand at the position that predicts them, one to the left of the token itself.
        labels = [IGNORED] * (TILES * images.tokens) + text[1:] + [IGNORED]
        tiles = rng.integers(0, 256, (TILES, 3, images.tile, images.tile), dtype=np.uint8)
        samples.append(Encoded(ids, labels, tiles, name=f"made-up/{step}/{index}", images=1, source="made-up"))
    return samples
