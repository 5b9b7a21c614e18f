"""A rehearsal: the real loop on made-up samples, from a preset's name."""

import json
import logging
import re

import pytest
import torch

from model.config.stages import PRESETS
from model.training import __main__ as command
from model.training import dry_run
from model.training.__main__ import main
from model.training.dry_run import TEXT, TILES, device_bytes, rehearsal_config, require_memory


def test_steps_of_a_preset_run_and_say_how_fast(caplog):
    with caplog.at_level(logging.INFO):
        assert main(["--preset", "tiny", "--steps", "2"]) == 0
    _, *steps, done = [record.getMessage() for record in caplog.records]
    assert steps[1].startswith("step 2/2 loss ")
    assert all(word in steps[1] for word in ("samples/s", "TFLOP/s", "MFU unknown for this device", "peak"))
    result = json.loads(done.removeprefix("done "))
    assert (result["samples"], result["tokens"]) == (8, 8 * (TILES * 16 + TEXT))


def test_a_large_preset_rehearses_the_step_that_figures_are_quoted_for():
    config = rehearsal_config(PRESETS["mm1.5-3b"], steps=20)
    assert (config.batch, config.images.tile, config.images.tokens, config.dtype, config.optimizer) == (4, 672, 144, "bf16", "adafactor")
    assert config.max_tokens == 5 * 144 + 304


def test_a_rehearsal_says_samples_per_second_before_and_after_compilation(caplog, monkeypatch):
    asked = []

    def rehearse(model, config, *, report):
        asked.append(config)
        report({"step": 1, "steps": 1, "loss": 7.0, "samples_per_s": 20.0 if config.compile else 10.0, "tflops_per_s": 1.0,
                "peak_memory_gib": 1.0})
        return {"samples": 4}

    monkeypatch.setattr(command, "rehearse", rehearse)
    with caplog.at_level(logging.INFO):
        assert main(["--preset", "small", "--batch", "64", "--dtype", "bf16", "--recompute", "--compare"]) == 0
    assert [each.compile for each in asked] == [False, True]
    assert {(each.batch, each.dtype, each.recompute) for each in asked} == {(64, "bf16", True)}
    assert "samples/s: 10.00 without compilation, 20.00 with" in caplog.text


def test_what_no_device_can_hold_is_refused_with_both_numbers(caplog):
    assert main(["--preset", "mm1.5-3b-moe"]) == command.BAD_INPUT
    assert re.search(r"optimizer state and activations take \d{3}\.\d GiB, and \w+ has \d+\.\d GiB", caplog.text)


def test_a_cpu_is_named_where_no_gpu_was_found():
    with pytest.raises(ValueError, match=r"take 2\.0 GiB, and cpu has 1\.0 GiB; no CUDA device was found"):
        require_memory(2 * 2**30, 2**30, torch.device("cpu"))


def test_memory_of_a_container_counts_where_it_is_less_than_the_machine(monkeypatch, tmp_path):
    monkeypatch.setattr(dry_run, "CONTAINER_LIMIT", tmp_path / "memory.max")
    installed = device_bytes(torch.device("cpu"))
    for said, there in (("max", installed), (str(2**20), 2**20), (str(2**60), installed)):
        (tmp_path / "memory.max").write_text(f"{said}\n")
        assert device_bytes(torch.device("cpu")) == there


@pytest.mark.parametrize(("stage", "says"), [
    ({"kind": "sft"}, "the stage file has no data, model, start"),
    ({"kind": "stf", "model": "tiny", "config": {}, "data": {}, "seed": 0, "start": None}, "kind is 'stf'"),
    ({"kind": "sft", "model": "tony", "config": {}, "data": {}, "seed": 0, "start": None}, "model is 'tony'"),
])
def test_a_stage_file_that_cannot_be_used_is_refused_in_one_line(tmp_path, caplog, stage, says):
    (tmp_path / "stage.json").write_text(json.dumps(stage))
    assert main([str(tmp_path / "stage.json"), "--out", str(tmp_path / "out")]) == command.BAD_INPUT
    assert says in caplog.text


@pytest.mark.parametrize("arguments", [["--preset", "tiny", "--out", "x"], ["stage.json"], [],
                                       ["--preset", "tiny", "--steps", "0"], ["--preset", "tiny", "--compile", "--compare"]])
def test_a_command_that_says_too_little_or_too_much_is_refused(arguments, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert "usage" in capsys.readouterr().err
