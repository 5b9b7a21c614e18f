"""The workbench on one core: samples of each category a second, drawn, cut into one tile and encoded, in processor time."""

import time

import pytest

from model.config.stages import ImageConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.workbench import make_sample, sample_makers

pytestmark = pytest.mark.perf

SAMPLES = 400
ROUNDS = 3


def rate(category: str, encoder: Encoder) -> float:
    """Samples a second of processor time."""
    start = time.process_time()
    for index in range(SAMPLES):
        encoder.sample(make_sample(category, "train", index))
    return SAMPLES / (time.process_time() - start)


def test_single_tile_samples_per_second_per_core(measured):
    encoder = Encoder(load_tokenizer(), ImageConfig(mode="single", tile=64, tokens=16), max_tokens=2048)
    best = {category: max(rate(category, encoder) for _ in range(ROUNDS)) for category in sample_makers()}
    slowest = min(best, key=best.__getitem__)
    measured(f"workbench, one tile, slowest category ({slowest})", best.pop(slowest), "samples/s", ">= 500 a core", beside=best)
