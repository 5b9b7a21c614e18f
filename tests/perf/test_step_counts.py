"""The kept counts of a step are those of the code: a small preset is counted again, and levers do what they are for."""

import csv

import pytest

from model.config.stages import PRESETS
from tests.perf.step_counts import BATCH, OUT, levers, row

ROWS = {(each["preset"], each["levers"]): each for each in csv.DictReader(OUT.open(encoding="utf-8"))}
"""Preset and levers to the kept row."""


@pytest.mark.parametrize("name", ["today", "all"])
def test_a_step_of_tiny_is_counted_as_it_is_kept(name):
    step, = (each for each in levers("tiny") if each.name == name)
    found = {key: str(value) for key, value in row("tiny", step).items()}
    kept = ROWS["tiny", name]
    assert found.keys() == kept.keys()
    assert int(found["launches"]) == pytest.approx(int(kept["launches"]), rel=0.05)  # releases of torch differ a little
    assert float(found["gigabytes"]) == pytest.approx(float(kept["gigabytes"]), rel=0.05)
    assert float(found["teraflops"]) == pytest.approx(float(kept["teraflops"]), rel=0.01)


@pytest.mark.parametrize("preset", [preset for preset, name in ROWS if name == "all"])
def test_levers_together_save_launches_and_bytes(preset):
    today, together = (next(each for key, each in ROWS.items() if key[0] == preset and key[1].startswith(name))
                       for name in ("today", "all"))
    assert preset in PRESETS
    assert int(together["launches"]) < int(today["launches"])
    assert float(together["gigabytes"]) < float(today["gigabytes"])


def test_every_lever_of_every_preset_is_kept():
    assert list(ROWS) == [(preset, each.name) for preset in BATCH for each in levers(preset)]
