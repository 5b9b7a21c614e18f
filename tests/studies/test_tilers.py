"""The study of tilers compares what it says: four rules at equal mean tokens on the workbench's test pictures."""

from statistics import mean

import pytest

from model.images.cost import image_load
from model.workbench import WORKBENCH, make_item
from orchestrator.plan.plan import Planner
from orchestrator.plan.trial_config import resolve
from orchestrator.study.study import load_study

SHOWN = 12
"""Items of each benchmark."""


@pytest.fixture(scope="module")
def pictures():
    items = [make_item(each.name, index) for each in WORKBENCH for index in range(SHOWN)]
    return [(image.height, image.width, len(item.images)) for item in items for image in item.images]


def test_the_rules_spend_the_same_tokens(pictures):
    study = load_study("tilers")
    images = {arm.name: resolve(study, "tiny", arm.levels, 0).sft.images for arm in Planner(study, "tiny").plan().arms}
    assert [each.mode for each in images.values()] == ["dynamic", "anyres", "internvl", "idefics3"]
    tokens = {name: mean(image_load(height, width, each, num_images=number).image_tokens for height, width, number in pictures)
              for name, each in images.items()}
    assert max(tokens.values()) <= 1.03 * min(tokens.values()), tokens
