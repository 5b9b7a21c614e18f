"""The loader: samples a second at the `small` scale by number of loaders, and rows of each container on one core in processor time."""

import os
import time

import pytest

from model.config import Alpha, DataConfig, ImageConfig, SftMixture
from model.data.conversation import Encoder
from model.data.loader import Batches, Loader
from model.data.order import shuffled
from model.data.sources.opened import open_source
from model.data.tokenizer import load_tokenizer
from tests import corpora

pytestmark = pytest.mark.perf

BATCH, STEPS, ROWS = 64, 16, 200
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
