"""Learning rate and weight decay by part: groups as declared, defaults as before, and a movement that follows them."""

from dataclasses import replace

import pytest
import torch

from model.config.fields import FieldError
from model.config.stages import PRESETS, ImageConfig, SftConfig
from model.network.mm15 import MM15
from model.training.optimizer import make_optimizer, parameter_groups
from orchestrator.plan.identity import canonical

MODEL = replace(PRESETS["tiny"], vision=replace(PRESETS["tiny"].vision, layers=1), decoder=replace(PRESETS["tiny"].decoder, layers=1))
CONFIG = SftConfig(images=ImageConfig(mode="single", tile=32, tokens=4), steps=1, batch=1, lr=1e-2, weight_decay=0.5)
PARTS = ("vision", "connector", "decoder")


@pytest.fixture
def model():
    torch.manual_seed(0)
    return MM15(MODEL)


def test_by_default_all_weights_are_one_group_in_the_models_order(model):
    (group,) = parameter_groups(model, CONFIG)
    assert [id(each) for each in group["params"]] == [id(each) for each in model.parameters()]
    assert (group["lr_scale"], group["weight_decay"]) == (1.0, 0.5)


@pytest.mark.parametrize("optimizer", ["adamw", "adafactor"])
@pytest.mark.parametrize("part", PARTS)
def test_a_part_moves_by_its_own_multiple(model, part, optimizer):
    config = replace(CONFIG, optimizer=optimizer, weight_decay=0.0)
    moved = {}
    for name, own in (("plain", config), ("scaled", replace(config, **{f"lr_{part}": 0.1}))):
        torch.manual_seed(0)
        each = MM15(MODEL)
        before = {key: weight.detach().clone() for key, weight in each.named_parameters()}
        for weight in each.parameters():
            weight.grad = torch.ones_like(weight)
        make_optimizer(each, own).step()
        moved[name] = {key: weight.detach() - before[key] for key, weight in each.named_parameters()}
    for key, movement in moved["plain"].items():
        expected = movement * (0.1 if key.startswith(part) else 1.0)
        torch.testing.assert_close(moved["scaled"][key], expected, rtol=2e-2, atol=1e-6)


def test_only_matrices_shrink_where_that_is_chosen(model):
    groups = parameter_groups(model, replace(CONFIG, decay="matrices"))
    decayed = {id(weight): group["weight_decay"] for group in groups for weight in group["params"]}
    by_name = {name: decayed[id(weight)] for name, weight in model.named_parameters()}
    assert {by_name[name] for name, weight in model.named_parameters() if weight.ndim < 2} == {0.0}
    assert {by_name["vision.positions"], by_name["connector.positions"]} == {0.0}
    assert {by_name[name] for name in by_name if name.endswith("proj.weight") or name.endswith("qkv.weight")} == {0.5}


def test_frozen_parts_are_in_no_group(model):
    model.vision.requires_grad_(requires_grad=False)
    groups = parameter_groups(model, replace(CONFIG, lr_decoder=2.0))
    assert sorted(group["lr_scale"] for group in groups) == [1.0, 2.0]
    trained = {id(weight) for group in groups for weight in group["params"]}
    assert not trained & {id(weight) for weight in model.vision.parameters()}


@pytest.mark.parametrize(("field", "value"), [("lr_vision", 0.0), ("lr_decoder", 101.0), ("lr_connector", -1.0)])
def test_a_multiple_that_cannot_be_is_refused_with_the_way_to_freeze(field, value):
    with pytest.raises(FieldError, match=f"{field}: .*allowed: above 0, at most 100.*\nhint: freeze_"):
        replace(CONFIG, **{field: value})


def test_the_defaults_are_not_in_the_identity():
    text = canonical(CONFIG)
    assert not any(f'"{name}"' in text for name in ("decay", "lr_vision", "lr_connector", "lr_decoder", "data_sets"))
    assert '"lr_vision":0.1' in canonical(replace(CONFIG, lr_vision=0.1))
