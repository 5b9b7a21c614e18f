"""Stages of a file: the next starts from the one before, an interrupted call goes on, the README says how it was made."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from safetensors.torch import load_file

from model.config.stages import PRESETS
from model.manifest import identity, verify
from model.training import recipe
from model.training.recipe import make, read
from model.training.stage import train_stage

SINGLE, STATIC = {"mode": "single", "tile": 24, "tokens": 4}, {"mode": "static", "tile": 32, "tokens": 9}
CONFIG = {"images": STATIC, "image_settings": [SINGLE, STATIC], "mixture": {"caption": 0.5, "interleaved": 0.25, "text": 0.25}, "steps": 3,
          "batch": 2, "lr": 1e-3, "max_tokens": 1024, "optimizer": "adamw", "checkpoint_every": 1}
STAGES = [{"kind": "pretrain", "seed": 0, "config": CONFIG},
          {"kind": "continual", "seed": 1, "config": CONFIG | {"mixture": {"ocr": 1}}}]
FILE = {"model": "tiny", "data": {"source": "workbench", "seed": 0}, "start": None, "stages": STAGES}
SHALLOW = replace(PRESETS["tiny"], vision=replace(PRESETS["tiny"].vision, layers=1), decoder=replace(PRESETS["tiny"].decoder, layers=1))


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def _one_layer(monkeypatch):
    monkeypatch.setitem(recipe.PRESETS, "tiny", SHALLOW)


def made(folder, plain=FILE, *, killed_after=None):
    steps = []

    def report(progress):
        steps.append(progress)
        if len(steps) == killed_after:
            raise Killed

    make(plain, folder / "out", report=report)
    return folder / "out"


@pytest.mark.parametrize("after", [2, 4])
def test_a_killed_call_goes_on_and_makes_the_same_bytes(tmp_path, after):
    whole = made(tmp_path / "whole")
    with pytest.raises(Killed):
        made(tmp_path / "again", killed_after=after)
    again = made(tmp_path / "again")
    verify(again)
    assert identity(again) == identity(whole)
    assert [path.name for path in (tmp_path / "again").iterdir()] == ["out"]


def test_the_stages_of_a_file_are_those_trained_one_by_one(tmp_path):
    start = None
    for number, stage in enumerate(read(FILE).stages):
        end = tmp_path / str(number)
        train_stage(config=stage.config, model_config=SHALLOW, data=read(FILE).data, seed=stage.seed, start=start, report=lambda _: None,
                    checkpoints=tmp_path / "checkpoints" / str(number), out=end, should_stop=lambda: False)
        start = end
    assert identity(start) == identity(made(tmp_path))


def test_the_readme_says_file_samples_and_identity(tmp_path):
    out = made(tmp_path)
    text = (out / "README.md").read_text()
    assert json.loads(text.split("```json\n")[1].split("```")[0]) == FILE
    assert "| 2 | continual | 3 x 2 |" in text
    assert identity(out) in text


def test_a_changed_file_begins_anew(tmp_path):
    with pytest.raises(Killed):
        made(tmp_path / "a", killed_after=2)
    changed = FILE | {"data": {"source": "workbench", "seed": 1}}
    assert identity(made(tmp_path / "a", changed)) == identity(made(tmp_path / "b", changed))


def test_a_finished_checkpoint_is_not_overwritten(tmp_path):
    made(tmp_path)
    with pytest.raises(ValueError, match="out: exists already; allowed: a directory that is not there"):
        made(tmp_path)


def test_a_file_of_one_stage_says_it_at_the_top(tmp_path):
    plain = {name: FILE[name] for name in ("model", "data", "start")} | STAGES[0]
    assert read(plain).stages[0].config == read(FILE).stages[0].config
    assert "vision.positions" in load_file(made(tmp_path, plain) / "model.safetensors")


@pytest.mark.parametrize(("plain", "message"), [
    ({"model": "tiny"}, "the stage file has no data, start"),
    (FILE | {"stages": [STAGES[0], {"kind": "sft"}]}, "stage 2 of the file has no config, seed"),
    (FILE | {"stages": [STAGES[0] | {"kind": "sfd"}]}, "kind is 'sfd'; did you mean 'sft'"),
    (FILE | {"model": "tiny-wid"}, "model is 'tiny-wid'; did you mean 'tiny-wide'"),
])
def test_a_file_that_cannot_work_is_refused(plain, message):
    with pytest.raises(ValueError, match=message):
        read(plain)


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[3] / "studies" / "checkpoints").glob("*.json")), ids=lambda path: path.stem)
def test_every_shipped_file_can_be_read_and_names_its_preset(path):
    plain = json.loads(path.read_text())
    assert plain["model"] == path.stem
    assert {each.mode for stage in read(plain).stages for each in stage.config.image_settings} == {"single", "static", "dynamic"}
