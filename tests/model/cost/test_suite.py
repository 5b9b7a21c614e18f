"""The arithmetic of a suite: what its docstring says, and how it moves."""

import pytest

from model.config.stages import PRESETS, ImageConfig
from model.cost.__main__ import main
from model.cost.suite import suite_time

LARGE, IMAGES = PRESETS["mm1.5-3b"], ImageConfig(mode="dynamic", tile=672, tokens=144)


def hours(**changes):
    return suite_time(LARGE, IMAGES, items=200_000, **changes)


def test_two_hundred_thousand_items_fit_into_the_goal_if_four_share_a_picture():
    assert hours().hours == pytest.approx(3.8, abs=0.05)
    assert hours(items_per_picture=4).hours <= 1.5
    assert hours().answers < 300


def test_a_faster_decoder_alone_gains_less_than_two_times():
    assert hours().without_decoder == pytest.approx(1.2, abs=0.1)
    assert hours(items_per_picture=4).without_decoder == pytest.approx(1.9, abs=0.15)


def test_what_a_picture_costs_is_shared_and_nothing_else():
    alone, shared = hours(), hours(items_per_picture=18)
    assert shared.images == pytest.approx(alone.images / 18)
    assert (shared.prompts, shared.answers) == (alone.prompts, alone.answers)


def test_a_command_prints_the_hours(capsys):
    main(["mm1.5-3b"])
    alone, four, _ = capsys.readouterr().out.splitlines()
    assert alone.startswith(" 1 items a picture: 3.8")
    assert float(four.split()[4]) <= 1.5
