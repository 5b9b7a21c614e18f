"""The loader: samples a second at the `small` scale by number of loaders, and rows of each container on one core in processor time."""

import multiprocessing
import os
import time
from dataclasses import replace

import psutil
import pytest
import torch

from model.config.stages import PRESETS, Alpha, DataConfig, ImageConfig, SftConfig, SftMixture
from model.cost.flops import at_tile
from model.data.encoding import Encoder
from model.data.loader import Loader, Steps
from model.data.shuffle import shuffled
from model.data.sources.dataset import open_dataset
from model.data.tokenizer import load_tokenizer
from model.training.stage import train_stage
from model.training.throughput import step_flops
from tests.support import corpora

pytestmark = pytest.mark.perf

BATCH, STEPS, ROWS = 64, 16, 200
TILES, CORES, H100_FLOPS = 5, 16, 989e12
"""Of an image at `small`; beside a GPU; bf16, dense."""
SMALL = ImageConfig(mode="static", tile=112, tokens=36)
MIXTURE = SftMixture(alpha=Alpha(general=1, text_rich=1, science=0.5))


def steps(count):
    config = SftConfig(images=SMALL, mixture=MIXTURE, steps=count, batch=BATCH, lr=1e-3, max_tokens=2048)
    return Steps(config=config, data=DataConfig(), encoder=Encoder(load_tokenizer(), SMALL, max_tokens=2048), seed=0)


def rate(loaders):
    """Samples a second of the wall clock, after the first steps: the processes are there by then."""
    source = steps(2 * STEPS)
    step_of = Loader(source, loaders=loaders) if loaders else source.opened()
    for number in range(2 * STEPS):
        if number == STEPS:
            began = time.perf_counter()
        step_of(number)
    return BATCH * STEPS / (time.perf_counter() - began)


def an_h100_takes(seen):
    """Samples a second that the formulas give an H100: an estimate, no GPU is asked. By share of its bf16 peak."""
    config, model = steps(1).config, at_tile(PRESETS["small"], SMALL.tile)
    flops = step_flops(model, config, seen) / len(seen)
    return {f"estimate: an H100 takes, at {share:.0%} of its peak": share * H100_FLOPS / flops for share in (0.1, 0.48, 1)}


def test_a_core_prepares_samples_of_the_small_scale(measured):
    step_of = steps(STEPS).opened()
    step_of(0)
    began = time.process_time()
    made = [step_of(number) for number in range(1, STEPS)]
    seconds = time.process_time() - began
    seen = [each for step in made for each in step.seen]
    assert {each.num_tiles for each in seen} == {TILES}  # every sample of these categories has one image
    measured("loader, small, 5 tiles of 112 px, one core", len(seen) / seconds, "samples/s", "16 cores give more than an H100 takes",
             beside={"estimate: 16 cores": CORES * len(seen) / seconds, **an_h100_takes(seen)})


def test_what_loading_costs_a_core_and_the_training_process(measured):
    """In processor time, so that it holds on a machine that does other work: loaders with their hand-over, and the process they feed.

    Cores of loaders add up, the process that takes their steps is one: what it can take bounds any number of cores.
    """
    loader = Loader(steps(4 * STEPS), loaders=2)
    for number in range(STEPS):  # imports, and assets that are read once
        loader(number)
    workers = [psutil.Process(each.pid) for each in multiprocessing.active_children()]
    before, began = busy(workers), time.process_time()
    seen = [each for number in range(STEPS, 3 * STEPS) for each in loader(number).seen]
    taken, spent = time.process_time() - began, busy(workers) - before
    loader.close()
    needed = an_h100_takes(seen)
    measured("loader, small, a core of a loader with its hand-over", len(seen) / spent, "samples/s",
             f"a {CORES}th of what an H100 takes at all of its peak", beside={name: each / CORES for name, each in needed.items()})
    measured("loader, small, what the training process can take", len(seen) / taken, "samples/s",
             "more than an H100 takes at all of its peak", beside=needed)


def busy(processes):
    return sum(times.user + times.system for times in (each.cpu_times() for each in processes))


def test_loaders_use_the_cores(measured):
    most = os.cpu_count() or 1
    found = {f"{loaders} loaders": rate(loaders) for loaders in sorted({0, 1, most})}
    best = found.pop(f"{most} loaders")
    measured(f"loader, small, 5 tiles of 112 px, {most} cores", best, "samples/s", "more than the device takes", beside=found)


def test_a_device_at_the_pace_of_an_h100_does_not_wait(measured):
    """A stand-in is busy with a step as long as this machine's share of an H100 would be by the formulas, then takes the next.

    Each core counts as a sixteenth of one; on 16 cores the stand-in has the pace of a whole one.
    """
    cores = min(CORES, os.cpu_count() or 1)
    (share,) = [pace for name, pace in an_h100_takes(steps(1).opened()(0).seen).items() if "48%" in name]
    seconds = BATCH / (share * cores / CORES)
    loader, waits = Loader(steps(10 * STEPS), loaders=cores), []
    for number in range(10 * STEPS):
        began = time.perf_counter()
        taken = loader(number)
        waits.append(time.perf_counter() - began)
        time.sleep(seconds)  # the device: it takes no processor time
        del taken  # its pages: beside a GPU the loader's thread gives them back as soon as they are pinned
    loader.close()
    waits = sorted(waits[STEPS:])
    measured(f"loader, small, {cores}/{CORES} of an H100 at 48% of its peak: wait", 1000 * sum(waits) / len(waits), "ms/step", "< 1",
             beside={"longest": 1000 * waits[-1], "a step of the stand-in": 1000 * seconds})


def test_what_training_waits_for(measured, tmp_path):
    """Real training with a loader for each core, over its last ten steps: at `small` on a GPU, at `tiny` where there is none."""
    has_gpu = torch.cuda.is_available()
    preset, device, count = ("small", torch.cuda.get_device_name(), 10 * STEPS) if has_gpu else ("tiny", "one CPU core", STEPS)
    config = replace(steps(count).config, dtype="bf16", optimizer="adamw", loaders=os.cpu_count() or 1, compile=has_gpu,
                     batch=BATCH if has_gpu else 8)
    reports = []
    train_stage(config=config, model_config=PRESETS[preset], data=DataConfig(), seed=0, start=None, checkpoints=tmp_path / "checkpoints",
                out=tmp_path / "out", report=reports.append, should_stop=lambda: False)
    measured(f"training, {preset}, {device}: waits for its samples", 100 * reports[-1]["data_wait"], "% of time", "0")
    measured(f"training, {preset}, {device}, {config.loaders} loaders", reports[-1]["samples_per_s"], "samples/s", "-")


def test_rows_of_each_container(measured, tmp_path):
    for make in (corpora.llava, corpora.cauldron, corpora.webdataset):
        config = make(tmp_path / make.__name__, "general", ROWS)
        source = open_dataset(config, corpora.catalogue(tmp_path / make.__name__, config))
        began = time.process_time()
        for index in range(ROWS):
            source.sample(index)
        measured(f"source {make.__name__}, pictures of about 70 px", ROWS / (time.process_time() - began), "samples/s", ">= 500 a core")


def test_positions_of_a_shuffled_pass(measured):
    began = time.process_time()
    for k in range(20_000):
        shuffled(k, size=5_000_000, key="speed")
    measured("positions of a pass over 5 M samples", 20_000 / (time.process_time() - began), "positions/s", ">= 10,000 a core")
