"""A fingerprint changes with the data and with nothing else."""

import subprocess
import sys
from pathlib import Path

import pytest

from model.config.stages import DataConfig
from model.data import fingerprint
from model.data.fingerprint import data_fingerprint
from model.workbench import VERSIONS

ROOT = Path(__file__).parents[3]
WORKBENCH = DataConfig()


def test_order_and_repetition_of_names_do_not_matter():
    assert data_fingerprint(WORKBENCH, ["science", "general"]) == data_fingerprint(WORKBENCH, ("general", "science", "general"))


def test_another_category_seed_or_source_is_other_data():
    found = [data_fingerprint(data, names) for data, names in (
        (WORKBENCH, ["general"]), (WORKBENCH, ["science"]), (WORKBENCH, ["general", "science"]), (WORKBENCH, []),
        (DataConfig(seed=1), ["general"]), (DataConfig(source="catalogue"), ["general"]))]
    assert len(set(found)) == len(found)
    assert {len(each) for each in found} == {64}


def test_only_data_that_use_a_generator_change_with_its_version(monkeypatch):
    before = {name: data_fingerprint(WORKBENCH, [name]) for name in ("general", "science")}
    monkeypatch.setattr(fingerprint, "VERSIONS", {**VERSIONS, "science": VERSIONS["science"] + 1})
    assert data_fingerprint(WORKBENCH, ["general"]) == before["general"]
    assert data_fingerprint(WORKBENCH, ["science"]) != before["science"]


def test_an_unknown_generator_is_refused_with_the_nearest_name():
    with pytest.raises(ValueError, match="'sciense' is not in the workbench; did you mean 'science'"):
        data_fingerprint(WORKBENCH, ["general", "sciense"])


def test_a_catalogue_may_name_data_that_the_workbench_lacks():
    assert len(data_fingerprint(DataConfig(source="catalogue"), ["docvqa"])) == 64


def test_fingerprint_and_taxonomy_need_neither_torch_nor_pillow():
    code = ("import sys, model.data.fingerprint, model.config.taxonomy;"
            "print(sorted({'torch', 'transformers', 'PIL', 'numpy'} & set(sys.modules)))")
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True)
    assert found.stdout.strip() == "[]"
