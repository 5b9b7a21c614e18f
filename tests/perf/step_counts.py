"""What each lever does to a training step, counted without a GPU: `python -m tests.perf.step_counts [PRESET ...] [--out FILE.csv]`.

- A row is a step with some levers: its launches, the bytes that it moves, its FLOPs, its floor (the time in which an H100 could do it
  if each kernel ran at the rate of products or of memory), and the memory that it needs by formula. Nothing here was measured on a GPU.
- `tests/perf/counting.py` says how operations, and those that a compiler would fuse, are counted.
- The file of all presets lies under `tests/perf/results/`; `test_step_counts.py` counts the small presets again.
"""

import argparse
import csv
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils import _foreach_utils
from transformers.initialization import no_init_weights

from model.config.speed import SpeedConfig
from model.config.stages import PRESETS, ImageConfig, ModelConfig, SftConfig
from model.cost.flops import SampleCost, at_tile, forward_flops
from model.cost.memory import blocks_beyond, num_blocks, precision_of, training_bytes
from model.network.mm15 import MM15, Batch
from model.training import fused
from model.training.compilation import blocks, prepare
from model.training.dry_run import TEXT, TILES, rehearsal_config
from model.training.fused import FusedAdafactor
from model.training.gradients import _clip, _run
from model.training.low_weights import LowWeights
from model.training.optimizer import make_optimizer
from model.training.parallel import Workers
from tests.perf.counting import Count, Trace, as_on_gpu

PRODUCTS, MEMORY = 798e12, 3.35e12 * 0.9
"""FLOPs and bytes a second: an 8192 x 8192 product in bf16 as it was once measured on an H100, and nine tenths of its memory's peak."""
COLUMNS = ("preset", "levers", "passes", "launches", "gigabytes", "teraflops", "floor_ms", "memory_gib")
OUT = Path(__file__).with_name("results") / "step-counts.csv"
BATCH = {"mm1.5-3b": 4, "small": 64, "tiny": 16}


@dataclass(frozen=True)
class Levers:
    """A step with some levers."""

    name: str
    config: SftConfig


def levers(preset: str) -> Iterator[Levers]:
    """Yield the steps of a preset: as it is today, with each lever alone, and with all that fit together."""
    today = rehearsal_config(PRESETS[preset], steps=1, batch=BATCH[preset])
    if preset == "mm1.5-3b":
        yield from _large(replace(today, recompute=True))
        return
    today = replace(today, dtype="bf16")
    compiled = replace(today, compile=True)
    yield Levers("today", today)
    yield Levers("fused optimizer", _with(today, fused_optimizer=True))
    yield Levers("compiled blocks", compiled)
    yield Levers("compiled blocks and connector", _with(compiled, compile_connector=True))
    yield Levers("all", _with(compiled, compile_connector=True, fused_optimizer=True))


def _large(today: SftConfig) -> Iterator[Levers]:
    """Yield the steps of a large preset, which is bound by products and memory."""
    compiled, kept = replace(today, compile=True), replace(today, recompute=False)
    yield Levers("today: two samples a pass, all blocks recomputed", today)
    yield Levers("fused optimizer", _with(today, fused_optimizer=True))
    yield Levers("recomputed beyond 24 GiB of activations", _with(kept, activations_gib=24.0))
    yield Levers("weights cast once", _with(today, cast_once=True))
    yield Levers("bf16 stream in the encoder", _with(today, vision_stream="bf16"))
    yield Levers("compiled blocks and connector", _with(compiled, compile_connector=True))
    every = {"fused_optimizer": True, "cast_once": True, "vision_stream": "bf16", "compile_connector": True, "activations_gib": 24.0}
    yield Levers("all", _with(replace(kept, compile=True), **every))


def _with(config: SftConfig, **chosen: object) -> SftConfig:
    return replace(config, speed=SpeedConfig(**chosen))  # type: ignore[arg-type]


def count(model_config: ModelConfig, config: SftConfig) -> Count:
    """Count one optimizer step on samples of five tiles and 304 tokens of text.

    Blocks of a kind are alike, so passes are traced for one and for two blocks of each kind; norm, scaling and movement are traced
    for all weights.
    """
    per_pass = config.micro_batch or config.batch
    number = num_blocks(model_config) if config.recompute else 0
    if config.speed.activations_gib:
        number = blocks_beyond(at_tile(model_config, config.images.tile), config.speed.activations_gib * 2**30, tiles=per_pass * TILES,
                               tokens=config.images.tokens, length=per_pass * (TILES * config.images.tokens + TEXT),
                               predicted=per_pass * TEXT, precision=precision_of(config))
    # Of a stage without the optimizer: steps that differ in it alone are traced once.
    bare = replace(config, speed=replace(config.speed, fused_optimizer=False, activations_gib=0.0))
    base, block, layer = _passes(model_config, replace(bare, recompute=False))
    _, again, layer_again = _passes(model_config, replace(bare, recompute=True)) if number else (base, block, layer)
    vision, decoder = model_config.vision.layers, model_config.decoder.layers
    blocks_again, layers_again = min(number, vision), max(0, number - vision)
    total = base + block * (vision - blocks_again) + again * blocks_again
    total += layer * (decoder - layers_again) + layer_again * layers_again
    return total + _movement(model_config, config.optimizer, config.clip, is_fused=config.speed.fused_optimizer)


@lru_cache
def _passes(model_config: ModelConfig, config: SftConfig) -> tuple[Count, Count, Count]:
    """Count the passes of a step: what they take beside blocks, and for a block of the encoder and a layer of the decoder."""
    one, more, deeper = (_traced_passes(_with_layers(model_config, vision, decoder), config)
                         for vision, decoder in ((1, 1), (2, 1), (1, 2)))
    block, layer = more + one * -1, deeper + one * -1
    return one + block * -1 + layer * -1, block, layer


def _with_layers(model_config: ModelConfig, vision: int, decoder: int) -> ModelConfig:
    return replace(model_config, vision=replace(model_config.vision, layers=vision), decoder=replace(model_config.decoder, layers=decoder))


def _traced_passes(model_config: ModelConfig, config: SftConfig) -> Count:
    plain = replace(config, compile=False, speed=replace(config.speed, compile_connector=False, cuda_graphs=False))
    with _fake() as stack:
        model = _built(model_config, config)
        prepare(model, plain)
        low = LowWeights(model) if config.speed.cast_once else None
        batches, trace = list(_batches(model, config)), Trace()
        _mark(model, config, trace)
        stack.enter_context(as_on_gpu())
        stack.enter_context(trace)
        with low.in_place() if low else nullcontext():
            _run(model, batches, plain, Workers(torch.device("cpu")), supervised=1, tokens=1)
    return trace.count(flops_per_s=PRODUCTS, bytes_per_s=MEMORY)


@lru_cache
def _movement(model_config: ModelConfig, optimizer_name: str, clip: float, *, is_fused: bool) -> Count:
    """Count the norm of all gradients, their scaling and the step of the optimizer, without the state that the first step makes."""
    config = replace(rehearsal_config(model_config, steps=1), optimizer=optimizer_name, speed=SpeedConfig(fused_optimizer=is_fused))
    with _fake() as stack:
        model = _built(model_config, config)
        optimizer, trace = make_optimizer(model, config), Trace()
        for weight in model.parameters():
            weight.grad = torch.zeros_like(weight)
        optimizer.step()
        if isinstance(optimizer, FusedAdafactor):
            _mark_passes(trace, stack)
        stack.enter_context(trace)
        _clip(model, 0.0 if isinstance(optimizer, FusedAdafactor) else clip)
        optimizer.step()
    return trace.count(flops_per_s=PRODUCTS, bytes_per_s=MEMORY)


@contextmanager
def _fake() -> Iterator[ExitStack]:
    """Give tensors shapes and no memory; what is compiled runs as it is written."""
    # The functions for lists of tensors, which a GPU uses, are chosen by the type of the tensors.
    kinds = patch.object(_foreach_utils, "_foreach_supported_types", [torch.Tensor, torch.nn.Parameter, FakeTensor])
    with FakeTensorMode(), torch.compiler.set_stance("force_eager"), kinds, ExitStack() as stack:
        yield stack


def _built(model_config: ModelConfig, config: SftConfig) -> MM15:
    with no_init_weights():  # drawing numbers reads them
        model = MM15(at_tile(model_config, config.images.tile)).train()
    model.decoder.tie_weights()  # that context skips it
    return model


def _batches(model: MM15, config: SftConfig) -> Iterator[Batch]:
    """Yield the batches of a step; where images and labels stand is known, as it is of batches from a CPU."""
    size, images = config.micro_batch or config.batch, config.images
    length, tiles = TILES * images.tokens + TEXT, TILES * size
    for _ in range(config.batch // size):
        ids = torch.zeros(size, length, dtype=torch.long)
        pixels = torch.zeros(tiles, 3, images.tile, images.tile, dtype=torch.uint8)
        yield Batch(ids, ids, ids.bool(), pixels, 0, image_at=torch.zeros(tiles * images.tokens, dtype=torch.long),
                    loss_at=torch.zeros(size * (TEXT - 1), dtype=torch.long))


def _mark(model: MM15, config: SftConfig, trace: Trace) -> None:
    """Make compiled regions of what the stage compiles, forward and backward."""
    parts = blocks(model) if config.compile else []
    for part in [*parts, *([model.connector] if config.speed.compile_connector else [])]:
        part.register_forward_pre_hook(lambda *_: trace.enter())
        part.register_forward_hook(lambda *_: trace.leave())
        part.register_full_backward_pre_hook(lambda *_: trace.enter())
        part.register_full_backward_hook(lambda *_: trace.leave())


def _mark_passes(trace: Trace, stack: ExitStack) -> None:
    """Make a compiled region of each pass of the fused optimizer over its weights."""
    for name in ("_observe", "_rms", "_move", "_observe_vector", "_move_vector"):
        whole = getattr(fused, name)

        def marked(*given: object, whole: Callable[..., Any] = whole) -> Any:
            with trace.compiled():
                return whole(*given)

        setattr(fused, name, marked)
        stack.callback(setattr, fused, name, whole)


def row(preset: str, step: Levers) -> dict[str, object]:
    """Return the row of a step."""
    config = step.config
    found = count(PRESETS[preset], config)
    return {"preset": preset, "levers": step.name, "passes": config.batch // (config.micro_batch or config.batch),
            "launches": found.launches, "gigabytes": f"{found.bytes / 1e9:.4g}", "teraflops": f"{found.flops / 1e12:.4g}",
            "floor_ms": f"{found.floor_s * 1e3:.4g}",
            "memory_gib": f"{training_bytes(PRESETS[preset], config, _cost(PRESETS[preset], config.images)) / 2**30:.3g}"}


def _cost(model: ModelConfig, images: ImageConfig) -> SampleCost:
    length = TILES * images.tokens + TEXT
    flops = forward_flops(at_tile(model, images.tile), tiles=TILES, tokens=images.tokens, length=length, predicted=TEXT)
    return SampleCost(tiles=TILES, image_tokens=TILES * images.tokens, length=length, longest=length, most_tiles=TILES, flops=flops,
                      predicted=TEXT)


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("presets", nargs="*", default=list(BATCH), metavar="PRESET", help=", ".join(BATCH))
    parser.add_argument("--out", type=Path, help=f"write the rows to this file; the kept one is {OUT.name}")
    given = parser.parse_args(arguments)
    rows = []
    for preset in given.presets:
        for step in levers(preset):
            rows.append(row(preset, step))
            print(*(f"{name} {value}" for name, value in rows[-1].items()), sep=", ", flush=True)
    if given.out:
        with given.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main(sys.argv[1:])
