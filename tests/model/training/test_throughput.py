"""Rates: FLOPs of the samples themselves, over a window, against a known peak or none."""

import pytest

from model.config.stages import PRESETS, ImageConfig, SftConfig
from model.cost.flops import forward_flops
from model.data.step import TokensSeen
from model.training.throughput import WINDOW, Meter, step_flops

TINY = PRESETS["tiny"]
CONFIG = SftConfig(images=ImageConfig(mode="single", tile=64, tokens=16), steps=1, batch=2, lr=1e-3, dtype="bf16")
SAMPLES = [TokensSeen("a", "general", (), num_tokens=100, num_supervised=30, num_tiles=5),
           TokensSeen("b", "text_only", (), num_tokens=40, num_supervised=20, num_tiles=0)]


def meter(device, times, **more):
    return Meter(device, "bf16", clock=iter(times).__next__, **more)


def test_a_step_costs_what_its_samples_cost_by_themselves():
    expected = sum(forward_flops(TINY, tiles=each.num_tiles, tokens=16, length=each.num_tokens, predicted=each.num_supervised).total
                   for each in SAMPLES)
    assert step_flops(TINY, CONFIG, SAMPLES) == pytest.approx(3 * expected)


def test_the_rate_is_samples_and_flops_over_time_and_the_peak():
    found = meter("NVIDIA H200", [0.0, 0.5], devices=2).step(2, 3e12, waited=0.1)
    assert found["samples_per_s"] == 4
    assert found["data_wait"] == pytest.approx(0.1 / 0.5)
    assert found["tflops_per_s"] == pytest.approx(6)
    assert found["mfu"] == pytest.approx(6e12 / (2 * 989e12))


def test_what_was_waited_for_is_counted_from_the_beginning():
    timed = meter("cpu", range(2 * WINDOW))
    shares = [timed.step(2, 1e9, waited=float(step < WINDOW))["data_wait"] for step in range(2 * WINDOW - 1)]
    assert (shares[0], shares[-1], timed.waited_s) == (1, pytest.approx(1 / WINDOW), WINDOW)


def test_an_unknown_device_has_no_utilisation():
    assert "mfu" not in meter("cpu", [0.0, 1.0]).step(2, 1e9, waited=0.0)


def test_a_slow_start_is_forgotten():
    timed = meter("cpu", [0.0, *(100.0 + step for step in range(WINDOW + 2))])
    assert [timed.step(2, 1e9, waited=0.0)["samples_per_s"] for _ in range(WINDOW + 2)][-1] == pytest.approx(2)
