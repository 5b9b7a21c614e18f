import math

import pytest

from orchestrator import formatting


@pytest.mark.parametrize(("seconds", "text"), [
    (-1e-12, "0 s"), (0.06, "0.1 s"), (9.96, "10.0 s"), (59.4, "59 s"), (60, "1 min 00 s"), (125, "2 min 05 s"), (12_000, "3 h 20 min"),
    (200_000, "2 d 7 h"), (None, "–"), (math.inf, "–"),
])
def test_duration(seconds: float | None, text: str) -> None:
    assert formatting.duration(seconds) == text


@pytest.mark.parametrize(("count", "text"), [(0, "–"), (500, "500 FLOP"), (3.2e12, "3.2 TFLOP"), (6.21e20, "621 EFLOP")])
def test_flops(count: float, text: str) -> None:
    assert formatting.flops(count) == text


@pytest.mark.parametrize(("mean", "half", "text"), [
    (71.23, 1.26, "71.2 ± 1.3"), (71.23, None, "71.2"), (None, None, "–"), (math.nan, 1, "–"),
])
def test_score(mean: float | None, half: float | None, text: str) -> None:
    assert formatting.score(mean, half) == text


def test_difference_has_its_sign() -> None:
    assert formatting.score(0.4, 0.2, sign=True) == "+0.4 ± 0.2"
