"""S6, S9, S12, S15: what comes in from studies, checkpoints and stores, and what goes out to browsers and spreadsheets."""

import csv
import io
import json
import time

import numpy as np
import pytest
import torch

from model import manifest
from model.manifest import MANIFEST, CorruptDirectory
from orchestrator.artifacts.object_store import ObjectStore
from orchestrator.artifacts.store import packaged, start_folder
from orchestrator.errors import StudyError
from orchestrator.formatting import spreadsheet_cell
from orchestrator.search.olmix import to_csv
from orchestrator.study.study import load_study

CLIMBING = ["../secret", "a/../../secret", "/etc", "..", ".", "a/b", "a\\..\\b", "", "x\0y", "~root", "C:\\x"]
STUDY = """
name: huge
question: Everything?
recipe: sft-ablation
vary:
  sft.mixture.alpha.science: [{a}]
  sft.mixture.alpha.math: [{a}]
  sft.mixture.alpha.code: [{a}]
  sft.mixture.alpha.refer_ground: [{a}]
  sft.mixture.alpha.multi_image: [{a}]
seeds: 100
select: {{maximize: knowledge, baseline: {{}}}}
"""


@pytest.mark.parametrize("name", CLIMBING)
@pytest.mark.parametrize("kind", ["operator", "packaged"])
def test_s06_a_start_checkpoint_is_a_name_and_no_path(tmp_path, kind, name):
    (tmp_path / "secret").mkdir()
    (tmp_path / "checkpoints" / "a" / "b").mkdir(parents=True)
    with pytest.raises(StudyError, match="allowed:"):
        start_folder(f"{kind}:{name}", tmp_path / "checkpoints")


@pytest.mark.parametrize("name", CLIMBING)
def test_s06_packaged_checkpoints_lie_in_the_package(name):
    with pytest.raises(StudyError, match="no packaged checkpoint"):
        packaged(f"packaged:{name}")


@pytest.mark.parametrize("name", ["../outside", "/outside", "a/../../outside"])
def test_s06_a_manifest_in_a_store_cannot_name_a_file_outside(tmp_path, name):
    store = ObjectStore(f"memory://{tmp_path.name}", sleep=lambda _: None)
    store.write_new(f"x/{MANIFEST}", json.dumps({"files": {name: {"size": 1, "sha256": "0" * 64}}, "meta": {}}))
    with pytest.raises(CorruptDirectory, match="lies outside"):
        store.get("x", tmp_path / "deep" / "here")
    assert not (tmp_path / "outside").exists()
    assert not (tmp_path / "deep" / "outside").exists()


class Canary:
    """Leaves a file where it is unpickled."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return (open, (str(self._path), "w"))


def test_s09_what_a_published_directory_holds_is_never_unpickled(tmp_path):
    """The manifest is JSON, weights are safetensors; a pickle in their place is refused, and runs nothing."""
    canary = tmp_path / "canary"
    for suffix in ("pt", "npy"):
        path = tmp_path / f"weights.{suffix}"
        if suffix == "pt":
            torch.save(Canary(canary), path)
        else:
            np.save(path, np.array([Canary(canary)], dtype=object), allow_pickle=True)
        (tmp_path / "x").mkdir(exist_ok=True)
        (tmp_path / "x" / MANIFEST).write_bytes(path.read_bytes())
        with pytest.raises(CorruptDirectory):
            manifest.verify(tmp_path / "x")
        with pytest.raises(Exception, match="Weights only load failed|Object arrays cannot be loaded"):
            torch.load(path, weights_only=True) if suffix == "pt" else np.load(path)
    assert not canary.exists()


@pytest.mark.parametrize("text", ["=HYPERLINK(\"http://evil\")", "+1+cmd|' /C calc'!A0", "-2+3+cmd", "@SUM(1)", "\t=1", "\r=1", "  =1"])
def test_s12_no_table_holds_a_formula(text):
    assert str(spreadsheet_cell(text)).startswith("'")
    rows = list(csv.reader(io.StringIO(to_csv({text: {text: 0.5}}, {text: text}))))
    cells = [cell for row in rows for cell in row]
    assert [cell for cell in cells if cell.lstrip(" ").startswith(("=", "+", "-", "@", "\t", "\r"))] == []


@pytest.mark.parametrize("number", ["-1.5", "+3", "-1e-05", -2, 0.5, None])
def test_s12_numbers_stay_numbers(number):
    assert spreadsheet_cell(number) == number


def test_s15_a_study_of_a_billion_trials_is_refused_before_anything_is_listed(tmp_path):
    levels = ", ".join(str(number / 40) for number in range(1, 41))
    (tmp_path / "huge.yaml").write_text(STUDY.format(a=levels))
    load_study("quickstart")  # what is loaded once, is
    began = time.process_time()
    with pytest.raises(StudyError, match=r"102,400,000 arms x 100 seeds = 10,240,000,000 trials; allowed: 10,000"):
        load_study(tmp_path / "huge.yaml")
    assert time.process_time() - began < 2
