"""Folders of weights: one file or several, on disk or in the hub's cache; never a pickle."""

import json
import re

import pytest
import torch
from huggingface_hub import constants
from safetensors.torch import save_file

from model.weights.reading import folder_of, read_tensors
from tests.support.hub_server import COMMIT, hub_server


def two_files(folder, places):
    save_file({"a": torch.zeros(1), "b": torch.ones(1)}, folder / "one.safetensors")
    save_file({"c": torch.ones(2)}, folder / "two.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
    return folder


def test_several_files_are_read_by_their_index(tmp_path):
    found = read_tensors(two_files(tmp_path, {"a": "one.safetensors", "b": "one.safetensors", "c": "two.safetensors"}))
    assert {name: tensor.numel() for name, tensor in found.items()} == {"a": 1, "b": 1, "c": 2}


@pytest.mark.parametrize(("places", "says"), [
    ({"a": "one.safetensors", "c": "two.safetensors"}, "b is in the index or in the files, but not in both"),
    ({"a": "one.safetensors", "b": "one.safetensors", "d": "two.safetensors"}, "c is in the index or in the files"),
    ({"a": "three.safetensors"}, "three.safetensors: damaged or missing"),
    ({"a": "../one.safetensors"}, "names '../one.safetensors'; allowed: files of the same folder"),
    (["a"], "no weight_map"),
])
def test_an_index_that_disagrees_is_refused(tmp_path, places, says):
    with pytest.raises(ValueError, match=re.escape(says)):
        read_tensors(two_files(tmp_path, places))


def test_pickles_are_named_and_not_read(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'exit 1'\ntR.")
    with pytest.raises(ValueError, match="holds pytorch_model.bin; allowed: model.safetensors"):
        read_tensors(tmp_path)


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "model.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(ValueError, match="model.safetensors: damaged or missing"):
        read_tensors(tmp_path)


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_a_hub_name_is_found_in_the_cache(tmp_path, offline):
    commit = "0" * 40
    snapshot = tmp_path / "models--someone--small-vit" / "snapshots" / commit
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (tmp_path / "models--someone--small-vit" / "refs").mkdir()
    (tmp_path / "models--someone--small-vit" / "refs" / "main").write_text(commit)
    assert folder_of("someone/small-vit", cache=tmp_path) == snapshot
    assert folder_of(f"someone/small-vit@{commit}", cache=tmp_path) == snapshot


def test_a_hub_name_is_fetched_without_its_pickles(tmp_path, monkeypatch):
    save_file({"a": torch.arange(3.0)}, tmp_path / "model.safetensors")
    with hub_server(tmp_path) as hub:
        hub.repositories["models/someone/small-vit"] = {"config.json": b"{}", "pytorch_model.bin": b"cos\nsystem\n(S'exit 1'\ntR.",
                                                        "model.safetensors": (tmp_path / "model.safetensors").read_bytes()}
        hub.point_this_process(monkeypatch)
        folder = folder_of("someone/small-vit", cache=tmp_path / "cache")
        assert folder_of(f"someone/small-vit@{COMMIT}", cache=tmp_path / "cache") == folder
        with pytest.raises(ValueError, match="large-vit: no such folder; someone/large-vit: cannot be fetched .*RepositoryNotFoundError"):
            folder_of("someone/large-vit", cache=tmp_path / "cache")
    assert read_tensors(folder)["a"].tolist() == [0, 1, 2]
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


@pytest.mark.parametrize("name", ["someone/not-there", "no/such/folder", "not a name"])
def test_what_is_neither_folder_nor_repository_is_refused(name, tmp_path, offline):
    with pytest.raises(ValueError, match=f"{name}: no such folder; {name}: cannot be fetched from the hub"):
        folder_of(name, cache=tmp_path)


def test_a_folder_is_itself(tmp_path):
    assert folder_of(str(tmp_path)) == tmp_path
