"""One row of `tests.perf.gpu`, as one line of JSON: `python -m tests.perf.gpu_row KIND PRESET CHANGES`, with changes as JSON by path."""

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from PIL import Image

from model.config.stages import PRESETS, EvaluateConfig, ImageConfig, SftConfig
from model.cost.flops import at_tile
from model.cost.suite import suite_time
from model.data.encoding import IMAGE_TOKEN, Encoded, Encoder
from model.data.step import to_batches
from model.data.tokenizer import load_tokenizer
from model.evaluation.generation import Generator
from model.network.attention import use_packed_attention
from model.network.mm15 import IGNORED, MM15
from model.samples import IMAGE, Item
from model.training.compilation import prepare
from model.training.dry_run import TEXT, rehearsal_config, rehearse
from model.training.fused import FusedAdafactor
from model.training.gradients import gradients
from model.training.loop import freeze
from model.training.low_weights import LowWeights
from model.training.optimizer import make_optimizer
from model.training.parallel import Workers

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
WARM, TIMED = (4, 10) if DEVICE.type == "cuda" else (1, 2)
SIDE = 8192 if DEVICE.type == "cuda" else 512


def changed(config: Any, changes: dict[str, Any]) -> Any:
    """Return a configuration with values by dotted path."""
    for path, value in changes.items():
        first, _, rest = path.partition(".")
        config = replace(config, **{first: changed(getattr(config, first), {rest: value}) if rest else value})
    return config


def product() -> dict[str, float]:
    """Return the rate of a product of square matrices, in TFLOP/s."""
    left = torch.randn(SIDE, SIDE, device=DEVICE, dtype=torch.bfloat16)
    for number in range(13):
        if number == 3:
            wait()
            began = time.perf_counter()
        left @ left
    wait()
    return {"value": 10 * 2 * SIDE**3 / (time.perf_counter() - began) / 1e12}


def step(preset: str, changes: dict[str, Any]) -> dict[str, float]:
    """Return the figures of a dry run."""
    reports: list[dict[str, Any]] = []
    model = PRESETS[preset]
    config = rehearsal_config(model, steps=WARM + TIMED, batch=changes.pop("batch", 4))
    # bf16 everywhere: some levers are defined with it alone.
    rehearse(model, changed(config, {"dtype": "bf16", **changes}), report=reports.append)
    last = reports[-1]
    return {name: last[name] for name in ("samples_per_s", "tflops_per_s", "peak_memory_gib", "loss", "mfu") if name in last}


def lengths(preset: str, changes: dict[str, Any]) -> dict[str, float]:
    """Return samples a second of samples whose text is 16 to 304 tokens long, in rows of their own or packed."""
    model_config, batch = PRESETS[preset], changes["batch"]
    config = replace(rehearsal_config(model_config, steps=WARM + TIMED, batch=batch), dtype="bf16", pack=changes["pack"], max_tokens=512,
                     round_length=128, compile=changes["compile"])
    torch.manual_seed(0)
    with DEVICE:
        model = MM15(at_tile(model_config, config.images.tile)).train()
    freeze(model, config)
    prepare(model, config)
    if config.pack:
        use_packed_attention(model.decoder, DEVICE)
    return {"samples_per_s": timed(model, config, steps_of_mixed_length(config)) * batch}


def steps_of_mixed_length(config: SftConfig) -> list[Any]:
    """Return four steps of one image of one tile each and some text."""
    encoder, rng = Encoder(load_tokenizer(), config.images, max_tokens=512), np.random.default_rng(0)
    special, tokens, found = max(encoder.id.values()), config.images.tokens, []
    for _ in range(4):
        samples = []
        for index in range(config.batch):
            text = rng.integers(special + 1, len(encoder.tokenizer), rng.integers(16, TEXT)).tolist()
            ids = [encoder.id[IMAGE_TOKEN]] * tokens + text
            tiles = rng.integers(0, 256, (1, 3, config.images.tile, config.images.tile), dtype=np.uint8)
            samples.append(Encoded(ids, [IGNORED] * tokens + text[1:] + [IGNORED], tiles, name=str(index), images=1, source="made-up"))
        found.append(to_batches(encoder, samples, config))
    return found


def timed(model: MM15, config: SftConfig, steps: list[Any]) -> float:
    """Return optimizer steps a second, the first ones left out."""
    optimizer, workers = make_optimizer(model, config), Workers(DEVICE)
    low = LowWeights(model) if config.speed.cast_once else None
    began = 0.0
    for number in range(WARM + TIMED):
        if number == WARM:
            wait()
            began = time.perf_counter()
        found = gradients(model, steps[number % len(steps)].batches, config, workers, low=low)
        if isinstance(optimizer, FusedAdafactor):
            optimizer.clip(found.norm, config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    wait()
    return TIMED / (time.perf_counter() - began)


def answers(preset: str, changes: dict[str, Any]) -> dict[str, float]:
    """Return answers a second to made-up questions, 18 on each picture of random pixels."""
    model_config, items = PRESETS[preset], changes.pop("items")
    images = ImageConfig(mode="static", tile=model_config.vision.tile, tokens=16)
    config = EvaluateConfig(images=images, benchmarks=("made-up",), dtype="bf16", batch=128 if DEVICE.type == "cuda" else 8, **changes)
    torch.manual_seed(0)
    with DEVICE:
        model = MM15(model_config).eval()
    generator = Generator(model, Encoder(load_tokenizer(), images, max_tokens=1024), config, 8)
    generator.answer(questions(min(items, 2 * config.batch)), min(items, 2 * config.batch))  # compiles, and chooses kernels
    wait()
    began = time.perf_counter()
    generator.answer(questions(items), items)
    wait()
    return {"value": items / (time.perf_counter() - began)}


def questions(number: int) -> Iterator[Item]:
    """Yield items, of which 18 one after the other show the same picture."""
    for index in range(number):
        if index % 18 == 0:
            pixels = np.random.default_rng(index).integers(0, 256, (224, 224, 3), dtype=np.uint8)
            picture = Image.fromarray(pixels)
        yield Item(item_id=str(index), benchmark="made-up", question=f"{IMAGE}\nIs there a thing of kind {index}?", images=(picture,),
                   references=("yes",))


def suite(preset: str) -> dict[str, float]:
    """Return the H100-hours of 200,000 items by arithmetic."""
    images = ImageConfig(mode="dynamic", tile=672, tokens=144)
    return {name: suite_time(PRESETS[preset], images, items=200_000, items_per_picture=share).hours
            for name, share in (("alone", 1.0), ("four_share", 4.0))}


def wait() -> None:
    """Wait for the GPU, if there is one."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def main(kind: str, preset: str, changes: str) -> None:
    given = json.loads(changes)
    found = {"product": product, "suite": lambda: suite(preset), "step": lambda: step(preset, given),
             "lengths": lambda: lengths(preset, given), "answers": lambda: answers(preset, given)}[kind]()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
