"""The loader: samples a second at the `small` scale by number of loaders, and rows of each container on one core in processor time."""

import multiprocessing
import os
import time

import psutil
import pytest

from model.config import PRESETS, Alpha, DataConfig, ImageConfig, SftConfig, SftMixture
from model.counting import at_tile, forward_flops
from model.data.conversation import Encoder
from model.data.loader import Batches, Loader
from model.data.order import shuffled
from model.data.sources.opened import open_source
from model.data.tokenizer import load_tokenizer
from model.mm15 import IGNORED
from tests import corpora

pytestmark = pytest.mark.perf

BATCH, STEPS, ROWS = 64, 16, 200
TILES, CORES, H100_FLOPS = 5, 16, 989e12
"""Of an image at `small`; beside a GPU; bf16, dense."""
SMALL = ImageConfig(mode="static", tile=112, tokens=36)
MIXTURE = SftMixture(alpha=Alpha(general=1, text_rich=1, science=0.5))


def rate(loaders):
    """Samples a second of the wall clock, after the first batch: the processes are there by then."""
    encoder = Encoder(load_tokenizer(), SMALL, max_tokens=2048)
    batches = Batches(mixture=MIXTURE, batch=BATCH, data=DataConfig(), encoder=encoder, seed=0)
    batch_of = Loader(batches, steps=STEPS, loaders=loaders) if loaders else batches.opened()
    batch_of(0)
    began = time.perf_counter()
    for step in range(1, STEPS):
        batch_of(step)
    return BATCH * (STEPS - 1) / (time.perf_counter() - began)


def an_h100_takes(tokens, supervised, images_a_sample):
    """Samples a second that the formulas give an H100: an estimate, no GPU is asked. By share of its bf16 peak."""
    config = SftConfig(images=SMALL, mixture=MIXTURE, steps=STEPS, batch=BATCH, lr=1e-3)
    model = at_tile(PRESETS["small"], SMALL.tile)
    flops = forward_flops(model, tiles=TILES * images_a_sample, tokens=SMALL.tokens, length=tokens, predicted=supervised).training(config)
    return {f"estimate: an H100 takes, at {share:.0%} of its peak": share * H100_FLOPS / flops for share in (0.1, 0.48, 1)}


def test_a_core_prepares_samples_of_the_small_scale(measured):
    encoder = Encoder(load_tokenizer(), SMALL, max_tokens=2048)
    batch_of = Batches(mixture=MIXTURE, batch=BATCH, data=DataConfig(), encoder=encoder, seed=0).opened()
    batch_of(0)
    began = time.process_time()
    made = [each for step in range(1, STEPS) for each in batch_of(step)]
    seconds = time.process_time() - began
    tiles = sum(len(each.tiles) for each in made)
    tokens, supervised = (sum(each) / len(made) for each in zip(
        *((len(one.ids), sum(label != IGNORED for label in one.labels)) for one in made), strict=True))
    a_core = len(made) / seconds
    measured("loader, small, 5 tiles of 112 px, one core", a_core, "samples/s", "16 cores give more than an H100 takes",
             beside={"estimate: 16 cores": CORES * a_core, **an_h100_takes(tokens, supervised, tiles / TILES / len(made))})
    measured("loader, small, 5 tiles of 112 px, one core", tiles / TILES / seconds, "images/s", "-")
    assert tiles == TILES * len(made)  # every sample of these categories has one image


def test_what_loading_costs_a_core_and_the_training_process(measured):
    """In processor time, so that it holds on a machine that does other work: loaders with their hand-over, and the process they feed.

    Cores of loaders add up, the process that takes their batches is one: what it can take bounds any number of cores.
    """
    encoder = Encoder(load_tokenizer(), SMALL, max_tokens=2048)
    loader = Loader(Batches(mixture=MIXTURE, batch=BATCH, data=DataConfig(), encoder=encoder, seed=0), steps=4 * STEPS, loaders=2)
    for step in range(STEPS):  # imports, and assets that are read once
        loader(step)
    workers = [psutil.Process(each.pid) for each in multiprocessing.active_children()]
    before, began = busy(workers), time.process_time()
    made = [each for step in range(STEPS, 3 * STEPS) for each in loader(step)]
    taken, spent = time.process_time() - began, busy(workers) - before
    loader.close()
    tokens, supervised = (sum(each) / len(made) for each in zip(
        *((len(one.ids), one.num_supervised) for one in made), strict=True))
    needed = an_h100_takes(tokens, supervised, 1)
    measured("loader, small, a core of a loader with its hand-over", len(made) / spent, "samples/s",
             f"a {CORES}th of what an H100 takes at all of its peak", beside={name: each / CORES for name, each in needed.items()})
    measured("loader, small, what the training process can take", len(made) / taken, "samples/s",
             "more than an H100 takes at all of its peak", beside=needed)


def busy(processes):
    return sum(times.user + times.system for times in (each.cpu_times() for each in processes))


def test_loaders_use_the_cores(measured):
    most = os.cpu_count() or 1
    found = {f"{loaders} loaders": rate(loaders) for loaders in sorted({0, 1, most})}
    best = found.pop(f"{most} loaders")
    measured(f"loader, small, 5 tiles of 112 px, {most} cores", best, "samples/s", "more than the device takes", beside=found)


def test_rows_of_each_container(measured, tmp_path):
    for make in (corpora.llava, corpora.cauldron, corpora.webdataset):
        config = make(tmp_path / make.__name__, "general", ROWS)
        source = open_source(config, corpora.catalogue(tmp_path / make.__name__, config))
        began = time.process_time()
        for index in range(ROWS):
            source.sample(index)
        measured(f"source {make.__name__}, pictures of about 70 px", ROWS / (time.process_time() - began), "samples/s", ">= 500 a core")


def test_positions_of_a_shuffled_pass(measured):
    began = time.process_time()
    for k in range(20_000):
        shuffled(k, size=5_000_000, key="speed")
    measured("positions of a pass over 5 M samples", 20_000 / (time.process_time() - began), "positions/s", ">= 10,000 a core")
