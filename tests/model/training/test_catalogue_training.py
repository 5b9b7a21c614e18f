"""Real training on data sets on disk: parquet, JSON and tar; stopped or killed and resumed equals undisturbed; reports by source."""

import multiprocessing
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from model.config.stages import PRESETS, Alpha, DataConfig, GroupWeights, ImageConfig, SftConfig, SftMixture
from model.training.loop import Stopped
from model.training.stage import train_stage
from tests.support import corpora

CONFIG = SftConfig(images=ImageConfig(mode="single", tile=64, tokens=4), steps=6, batch=8, lr=1e-3, optimizer="adamw", checkpoint_every=2,
                   max_tokens=512, mixture=SftMixture(alpha=Alpha(general=1, science=0.5), weights=GroupWeights(text=0.1)))
MODEL = replace(PRESETS["tiny"], vision=replace(PRESETS["tiny"].vision, layers=1), decoder=replace(PRESETS["tiny"].decoder, layers=1))
SIZES = {"general/general-llava": 7, "general/general-cauldron": 5, "science/science-tar": 6, "text_only/sums": 4}


@pytest.fixture
def data(tmp_path):
    sources = (corpora.llava(tmp_path / "a", "general", 7), corpora.cauldron(tmp_path / "b", "general", 5),
               corpora.webdataset(tmp_path / "c", "science", 6), corpora.instructions(tmp_path / "d", 4))
    return DataConfig(source="catalogue", catalogue=corpora.catalogue(tmp_path, *sources))


def stage(folder, data, *, stop_before=None, config=CONFIG, report=lambda _: None):
    folder.mkdir(exist_ok=True)
    asked = iter(range(100))
    return train_stage(config=config, model_config=MODEL, data=data, seed=0, start=None, checkpoints=folder / "checkpoints",
                       out=folder / "out", report=report, should_stop=lambda: next(asked) == stop_before)


def test_a_stopped_and_resumed_epoch_equals_an_undisturbed_one(tmp_path, data):
    straight = stage(tmp_path / "straight", data)
    with pytest.raises(Stopped):
        stage(tmp_path / "stopped", data, stop_before=3)
    resumed = stage(tmp_path / "stopped", data)
    assert resumed["resumed_from"] == 3
    assert resumed["sources"] == straight["sources"]
    weights = [load_file(tmp_path / name / "out" / "model.safetensors") for name in ("straight", "stopped")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def train_until_killed(folder, data, config, line):
    """Train in a process of its own; after the third step wait for the end."""
    def report(progress):
        line.send(progress["step"])
        if progress["step"] == 3:
            line.recv()

    stage(folder, data, config=config, report=report)


def kill_after_three_steps(folder, data, config):
    """Train in another process, and kill it with SIGKILL between its third step and its next checkpoint."""
    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    child = spawn.Process(target=train_until_killed, args=(folder, data, config, theirs))
    child.start()
    assert [ours.recv() for _ in range(3)] == [1, 2, 3]
    child.kill()
    child.join()
    return child.exitcode


def test_a_killed_and_resumed_epoch_equals_an_undisturbed_one(tmp_path, data):
    epoch = replace(CONFIG, mixture=SftMixture(alpha=Alpha(general=1)), batch=4)  # 24 samples: each of the 12 twice
    straight = stage(tmp_path / "straight", data, config=epoch)
    assert {row["passes"] for row in straight["sources"].values()} == {2}
    assert kill_after_three_steps(tmp_path / "killed", data, epoch) == -signal.SIGKILL
    assert not (tmp_path / "killed" / "out").exists()
    resumed = stage(tmp_path / "killed", data, config=epoch)
    assert resumed["resumed_from"] == 2
    assert resumed["sources"] == straight["sources"]
    weights = [load_file(tmp_path / name / "out" / "model.safetensors") for name in ("straight", "killed")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())


def test_the_result_says_asked_against_drawn_by_source(tmp_path, data):
    result = stage(tmp_path / "a", data)
    sources = result["sources"]
    assert {name: row["size"] for name, row in sources.items()} == SIZES
    assert sum(row["samples"] for row in sources.values()) == result["samples"] == 48
    assert sum(row["tokens"] for row in sources.values()) == result["tokens"]
    assert sum(row["supervised"] for row in sources.values()) == result["supervised"]
    assert sources["science/science-tar"]["asked"] == pytest.approx(0.3 * 48)
    assert sources["general/general-llava"]["asked"] == pytest.approx(0.6 * 48 * 7 / 12)
    assert all(abs(row["samples"] - row["asked"]) <= 3 for row in sources.values())
    assert all(row["passes"] == row["samples"] / row["size"] for row in sources.values())


def broken(data, limit):
    catalogue = data.catalogue
    path = Path(catalogue.sources[0].files[0])
    path.write_text("\n".join(["{broken", "{broken", *path.read_text().splitlines()[2:]]))
    sources = (replace(catalogue.sources[0], broken=limit), *catalogue.sources[1:])
    return replace(data, catalogue=replace(catalogue, sources=sources))


def test_broken_samples_under_the_limit_are_reported(tmp_path, data):
    row = stage(tmp_path / "a", broken(data, 0.5))["sources"]["general/general-llava"]
    assert row["broken"] == 2
    assert all(any(f"general.jsonl:{index}: not JSON" in name for name in row["broken_samples"]) for index in (0, 1))


def test_more_broken_samples_than_declared_end_the_stage(tmp_path, data):
    with pytest.raises(ValueError, match=r"2 broken samples in general/general-llava; allowed by its `broken`: 1; the latest is "):
        stage(tmp_path / "a", broken(data, 0.2))


def test_loaders_train_the_same_model(tmp_path, data):
    alone = stage(tmp_path / "alone", data)
    helped = stage(tmp_path / "helped", data, config=replace(CONFIG, loaders=2))
    assert helped["sources"] == alone["sources"]
    weights = [load_file(tmp_path / name / "out" / "model.safetensors") for name in ("alone", "helped")]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
