"""One row of `tests.perf.gpu`, as one line of JSON: `python -m tests.perf.gpu_row KIND PRESET CHANGES`, with changes as JSON by path."""

import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch._dynamo.backends.debugging import aot_eager
from torch._inductor import compile_fx

from model.config.stages import PRESETS, EvaluateConfig, ImageConfig, ModelConfig, SftConfig
from model.cost.flops import at_tile
from model.cost.suite import suite_time
from model.data.encoding import IMAGE_TOKEN, Encoded, Encoder
from model.data.step import Step, to_batches
from model.data.tokenizer import load_tokenizer
from model.evaluation.generation import Generator
from model.network.attention import use_packed_attention
from model.network.mm15 import IGNORED, MM15
from model.samples import IMAGE, Item
from model.training import checkpoints
from model.training.compilation import prepare
from model.training.dry_run import TEXT, made_up, rehearsal_config, rehearse
from model.training.fused import FusedAdafactor
from model.training.gradients import gradients
from model.training.loop import freeze
from model.training.low_weights import LowWeights, lower
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
                     round_length=changes["round_length"], compile=changes["compile"])
    model = built(model_config, config)
    if config.pack:
        use_packed_attention(model.decoder, DEVICE)
    return {"samples_per_s": timed(model, config, steps_of_mixed_length(config)) * batch}


def built(model_config: ModelConfig, config: SftConfig) -> MM15:
    """Return a model on the device, with random weights and its blocks set up."""
    torch.manual_seed(0)
    with DEVICE:
        model = MM15(at_tile(model_config, config.images.tile)).train()
    freeze(model, config)
    prepare(model, config)
    return model


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
    run, began = stepping(model, config), 0.0
    for number in range(WARM + TIMED):
        if number == WARM:
            wait()
            began = time.perf_counter()
        run(steps[number % len(steps)])
    wait()
    return TIMED / (time.perf_counter() - began)


def stepping(model: MM15, config: SftConfig) -> Callable[[Step], None]:
    """Return a function that takes an optimizer step, as the training loop does."""
    optimizer, workers = make_optimizer(model, config), Workers(DEVICE)
    low = LowWeights(model) if config.speed.cast_once else None
    is_fused = isinstance(optimizer, FusedAdafactor)
    shown = replace(config, clip=0.0 if is_fused else config.clip)

    def run(step: Step) -> None:
        found = gradients(model, step.batches, shown, workers, low=low)
        if isinstance(optimizer, FusedAdafactor):
            optimizer.clip(found.norm, config.clip)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return run


def waits(preset: str, changes: dict[str, Any]) -> dict[str, Any]:
    """Return how often the host waits for the GPU in a step after the first ones."""
    model_config = PRESETS[preset]
    config = changed(rehearsal_config(model_config, steps=WARM + 1), {"dtype": "bf16", **changes})
    run = stepping(built(model_config, config), config)
    encoder = Encoder(load_tokenizer(), config.images, max_tokens=config.max_tokens)
    made = to_batches(encoder, made_up(encoder, config, 0), config)
    ready = replace(made, batches=tuple(each.pinned() if DEVICE.type == "cuda" else each for each in made.batches))
    for _ in range(WARM):
        run(ready)
    if DEVICE.type != "cuda":
        run(ready)
        return {"why": "not run: a CPU waits for nothing; the step itself ran"}
    wait()
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        run(ready)
        torch.cuda.set_sync_debug_mode("default")
    return {"value": sum("synchronizing CUDA operation" in str(each.message) for each in seen)}


def state(preset: str) -> dict[str, float]:
    """Return the seconds in which the state at a branching point is written and read again."""
    model_config = PRESETS[preset]
    config = rehearsal_config(model_config, steps=1)
    model, workers = built(model_config, config), Workers(DEVICE)
    optimizer = make_optimizer(model, config)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    optimizer.step()
    wait()
    began = time.perf_counter()
    with TemporaryDirectory() as folder:
        checkpoints.save(Path(folder), model, optimizer, step=1, extra={}, workers=workers)
        written = time.perf_counter() - began
        checkpoints.resume(Path(folder), model, optimizer, workers=workers, on_corrupt=print)
    wait()
    return {"value": time.perf_counter() - began, "written_s": written}


def answers(preset: str, changes: dict[str, Any]) -> dict[str, float]:
    """Return answers a second to made-up questions, 18 on each picture of random pixels."""
    model_config, items = PRESETS[preset], changes.pop("items")
    images = ImageConfig(mode="static", tile=model_config.vision.tile, tokens=16)
    config = EvaluateConfig(images=images, benchmarks=("made-up",), dtype="bf16", batch=128 if DEVICE.type == "cuda" else 8, **changes)
    torch.manual_seed(0)
    with DEVICE:
        model = MM15(model_config).eval()
    lower(model)  # as a worker that opens a checkpoint does
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


def suite(preset: str, share: float) -> dict[str, float]:
    """Return the H100-hours of 200,000 items by arithmetic, of which `share` show the same picture."""
    images = ImageConfig(mode="dynamic", tile=672, tokens=144)
    found = suite_time(PRESETS[preset], images, items=200_000, items_per_picture=share)
    return {"value": found.hours, "images_h": found.images / 3600, "prompts_h": found.prompts / 3600, "answers_h": found.answers / 3600,
            "times_without_decoder": found.without_decoder}


def wait() -> None:
    """Wait for the GPU, if there is one."""
    if DEVICE.type == "cuda":
        torch.cuda.synchronize()


def leave_kernels_out() -> None:
    """Trace and differentiate what is compiled, without kernels: on a CPU its compiler takes a minute for each row."""
    compile_fx.compile_fx = lambda graph, inputs, **_: aot_eager(graph, inputs)


def main(kind: str, preset: str, changes: str) -> None:
    if DEVICE.type == "cpu":
        leave_kernels_out()
    given = json.loads(changes)
    found = {"product": product, "suite": lambda: suite(preset, **given), "step": lambda: step(preset, given),
             "waits": lambda: waits(preset, given), "state": lambda: state(preset),
             "lengths": lambda: lengths(preset, given), "answers": lambda: answers(preset, given)}[kind]()
    print(json.dumps(found))


if __name__ == "__main__":
    main(*sys.argv[1:])
