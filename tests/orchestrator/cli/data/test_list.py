"""`ablate data list` shows the whole taxonomy."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from click.testing import Result

from model.config.taxonomy import entries


def test_every_data_set_is_shown(ablate: Callable[..., Result]) -> None:
    output = ablate("data", "list").stdout
    assert [entry.name for entry in entries() if entry.name not in output] == []


def test_sizes_read_as_numbers_and_the_marks_are_explained(ablate: Callable[..., Result]) -> None:
    output = ablate("data", "list").stdout
    assert "2,000,000 " in output
    assert "e+0" not in output
    assert "match by name only" in " ".join(output.split())


def test_json_adds_up_to_the_published_total(ablate_json: Callable[..., Any]) -> None:
    sets = ablate_json("data", "list")["datasets"]
    assert math.fsum(row["thousands"] for row in sets if row["stage"] == "sft") == pytest.approx(4811.6)


def test_a_copy_says_whether_its_size_agrees(ablate_json: Callable[..., Any]) -> None:
    sets = {row["name"]: row for row in ablate_json("data", "list")["datasets"] if row["category"] == "text_rich"}
    assert (sets["DVQA"]["public_copy"], sets["DVQA"]["is_copy_confirmed"]) == ("HuggingFaceM4/the_cauldron, dvqa", True)
    assert sets["TabFact"]["is_copy_confirmed"] is False
