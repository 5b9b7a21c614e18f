"""Both intervals, and what to add next, as they are printed."""

import io
from types import SimpleNamespace
from typing import Any, cast

import pytest
from rich.console import Console

from orchestrator.analysis import statistics
from orchestrator.analysis.crossed import Advice, Components
from orchestrator.analysis.selection import Verdict
from orchestrator.cli.items_table import advised, print_items
from orchestrator.results.item_statistics import Both, ItemResults

PAIR, = statistics.all_pairs(statistics.fit({"a": {0: 51.0, 1: 54.0, 2: 49.5}, "b": {0: 50.1, 1: 52.2, 2: 49.4}}))


def printed(**changes: Any) -> str:
    items = ItemResults(**{
        "metric": "general", "num_pictures": 60, "decides": True,
        "arms": (Both("a", PAIR, PAIR, Advice(add="seeds", seeds=7, pictures=None)),),
        "components": {"scene-probe": Components(seed=4.0, item=9.0, arm_item=1.0, rest=16.0)}, "left_out": {},
        "verdict": Verdict(kind="tied", sentence="a and b cannot be told apart.")} | changes)
    out = io.StringIO()
    results = SimpleNamespace(arm=lambda key: SimpleNamespace(name=f"arm {key}"))
    print_items(Console(file=out, width=140), cast(Any, results), items)
    return out.getvalue()


def test_both_intervals_stand_in_a_row_with_what_to_add() -> None:
    row = next(line for line in printed().splitlines() if "arm a" in line)
    assert row.split() == ["arm", "a", "+0.9", "±", "2.1", "+0.9", "±", "2.1", "7", "seeds"]


def test_verdict_says_whether_the_population_decides() -> None:
    assert "tied  a and b cannot be told apart." in printed()
    assert "60 pictures: the interval for the population of items decides" in printed()
    assert "does not decide, by the study's rule (select.items)" in printed(decides=False)


def test_deviations_are_shown_by_benchmark() -> None:
    row = next(line for line in printed().splitlines() if "scene-probe" in line)
    assert row.split() == ["scene-probe", "2.0", "3.0", "1.0", "4.0"]


def test_what_does_not_count_is_named() -> None:
    text = printed(verdict=None, left_out={"docvqa": "no stored answers"}, arms=(Both("a", PAIR, None, None),))
    assert "docvqa: its answers are left out: no stored answers" in text
    assert "population of items: " not in text


@pytest.mark.parametrize(("advice", "words"), [
    (None, "–"), (Advice(add="nothing", seeds=3, pictures=60), "nothing"),
    (Advice(add="pictures", seeds=9, pictures=80), "80 pictures (or 9 seeds)"),
    (Advice(add="both", seeds=None, pictures=None), "seeds and pictures")])
def test_advice_in_words(advice: Advice | None, words: str) -> None:
    assert advised(advice) == words
