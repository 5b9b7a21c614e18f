"""A rehearsal: the real loop on made-up samples, from a preset's name."""

import json
import logging

import pytest

from model.config import PRESETS
from model.training.__main__ import main
from model.training.rehearsal import TEXT, TILES, rehearsal_config


def test_steps_of_a_preset_run_and_say_how_fast(caplog):
    with caplog.at_level(logging.INFO):
        main(["--preset", "tiny", "--steps", "2"])
    *steps, done = [record.getMessage() for record in caplog.records]
    assert steps[1].startswith("step 2/2 loss ")
    assert all(word in steps[1] for word in ("samples/s", "TFLOP/s", "MFU unknown for this device", "peak"))
    result = json.loads(done.removeprefix("done "))
    assert (result["samples"], result["tokens"]) == (8, 8 * (TILES * 16 + TEXT))


def test_a_large_preset_rehearses_the_step_that_figures_are_quoted_for():
    config = rehearsal_config(PRESETS["mm1.5-3b"], steps=20)
    assert (config.batch, config.images.tile, config.images.tokens, config.dtype, config.optimizer) == (4, 672, 144, "bf16", "adafactor")
    assert config.max_tokens == 5 * 144 + 304
    assert [rehearsal_config(PRESETS["mm1.5-3b"], steps=20, compile_blocks=each).compile for each in (False, True)] == [False, True]


@pytest.mark.parametrize("arguments", [["--preset", "tiny", "--out", "x"], ["stage.json"], []])
def test_a_command_that_says_too_little_or_too_much_is_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "usage" in capsys.readouterr().err
