"""The deck's tables follow from their own columns: the overall mean is the plain mean of the categories that a table prints."""

import pytest

from model.evaluation.averages import averages
from model.evaluation.benchmarks.registry import BENCHMARKS, SUITES
from orchestrator.study import library
from orchestrator.study.documents import load_published

SPLITTING = ("resolution-and-tokens", "grid-configuration", "grid-configuration-larger", "indicator-and-overview")
CATEGORIES = {each.category for each in BENCHMARKS.values()}
ROUNDING = 0.1
"""Five numbers printed with one decimal: the mean of four moves by 0.05, the printed mean by 0.05."""


def rows(name):
    return [(name, row.arm, dict(row.scores)) for row in load_published(name).rows if "overall" in row.scores]


ROWS = [row for name in library.names("published") for row in rows(name)]


@pytest.mark.parametrize(("table", "arm", "scores"), ROWS, ids=lambda value: value if isinstance(value, str) else "")
def test_a_row_of_the_deck_is_reproduced_within_rounding(table, arm, scores):
    present = scores.keys() & CATEGORIES
    suite = [name for name in SUITES["mm15"] if BENCHMARKS[name].category in present]
    found = averages({name: scores[BENCHMARKS[name].category] for name in suite}, suite)
    assert found.values["overall"] == pytest.approx(scores["overall"], abs=ROUNDING + 1e-9), (table, arm)


def test_all_21_rows_of_the_splitting_tables_are_among_them():
    assert len({(table.removesuffix("-larger"), arm) for table, arm, _ in ROWS if table in SPLITTING}) == 21
