"""Categories agree with generators and configuration; data sets add up to the published totals."""

import dataclasses
import math

import pytest

from model.config import taxonomy
from model.config.stages import Alpha, ContinualMixture
from model.workbench import sample_makers

TOTALS = {"general": 542.3, "text_rich": 1661.6, "refer_ground": 491.0, "math": 149.9, "science": 8.2, "code": 58.5,
          "multi_image": 324.1, "text_only": 1576}


def test_every_category_has_a_generator_and_the_reverse():
    assert sorted(taxonomy.CATEGORIES) == sorted(sample_makers())
    assert len(set(taxonomy.CATEGORIES)) == len(taxonomy.CATEGORIES)


def test_mixtures_are_over_the_same_names():
    assert tuple(field.name for field in dataclasses.fields(Alpha)) == (*taxonomy.SINGLE_IMAGE, "own")
    assert tuple(field.name for field in dataclasses.fields(ContinualMixture)) == taxonomy.CONTINUAL == tuple(taxonomy.CONTINUAL_DATASETS)


def test_every_fine_tuning_category_has_data_sets():
    assert set(taxonomy.SFT_DATASETS) == {*taxonomy.SINGLE_IMAGE, *taxonomy.GROUPS}


@pytest.mark.parametrize(("category", "thousands"), TOTALS.items())
def test_sizes_add_up_to_the_total_of_the_category(category, thousands):
    assert math.fsum(taxonomy.SFT_DATASETS[category].values()) == pytest.approx(thousands, abs=1e-6)


def test_sizes_add_up_to_the_total_of_all():
    assert math.fsum(size for sets in taxonomy.SFT_DATASETS.values() for size in sets.values()) == pytest.approx(4811.6, abs=1e-6)


def test_in_house_sets_are_named_in_the_table():
    assert set(taxonomy.SFT_DATASETS["multi_image"]) >= taxonomy.IN_HOUSE


def test_entries_list_every_set_of_every_stage():
    found = list(taxonomy.entries())
    assert len(found) == 62 + 6 + 4
    assert len({(entry.category, entry.name) for entry in found}) == len(found)
    assert {entry.category for entry in found} == set(taxonomy.CATEGORIES)
