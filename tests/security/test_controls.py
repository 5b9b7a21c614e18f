"""Each of the 17 controls is shown by tests that exist."""

import ast
from pathlib import Path

import pytest

from tests.security.controls import CONTROLS

ROOT = Path(__file__).parents[2]


def test_there_are_seventeen():
    assert [control.number for control in CONTROLS] == list(range(1, 18))


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: f"S{control.number}")
def test_control_is_shown_by_tests_that_exist(control):
    for test in control.tests:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
        names = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")]
        assert any(each.startswith(name) for each in names), test
