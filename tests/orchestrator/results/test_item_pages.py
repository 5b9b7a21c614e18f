"""One page of very many answers."""

import json
from pathlib import Path

import pytest

from orchestrator.errors import StudyError
from orchestrator.results.item_pages import item_page, scored_page
from orchestrator.results.stored_scores import ItemScores


def line(number: int, *, score: float = 1.0, parsed: str | None = "yes", prediction: str = "yes") -> str:
    return json.dumps({"item_id": f"scene-qa/1/{number}", "question": "?", "options": [], "references": ["yes"],
                       "prediction": prediction, "parsed": parsed, "score": score, "score_lenient": score})


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("".join(each + "\n" for each in lines), encoding="utf-8")
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    own = [line(0), line(1, score=0.5), line(2, score=0.0, parsed=None), line(3, score=0.0, prediction='"score": 1 \u2028 "parsed": null')]
    return written(tmp_path / "mine", own)


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    return written(tmp_path / "theirs", [line(0, score=0.0), line(1), line(2, score=0.0), line(3)])


@pytest.mark.parametrize(("only", "numbers"), [("all", [0, 1, 2, 3]), ("worse", [1, 3]), ("unread", [2]), ("wrong", [1, 2, 3])])
def test_filters(mine: Path, theirs: Path, only: str, numbers: list[int]) -> None:
    page = item_page(mine, theirs, "scene-qa", only=only)  # type: ignore[arg-type]
    assert [pair.answer.item.item_id for pair in page.pairs] == [f"scene-qa/1/{number}" for number in numbers]
    assert (page.num_matching, page.num_items) == (len(numbers), 4)


@pytest.mark.parametrize(("only", "numbers"), [("all", [0, 1, 2]), ("worse", [1]), ("unread", [2]), ("wrong", [1, 2])])
def test_filters_of_a_record(only: str, numbers: list[int]) -> None:
    def scores(*values: float | None) -> list[ItemScores]:
        return [ItemScores(str(number), str(number), value or 0.0, value or 0.0, value is not None) for number, value in enumerate(values)]

    page = scored_page(scores(1.0, 0.5, None), list(reversed(scores(0.0, 1.0, None))), only=only)  # type: ignore[arg-type]
    assert [own.item_id for own, _ in page.pairs] == [str(number) for number in numbers]
    assert all(other is not None and other.item_id == own.item_id for own, other in page.pairs)
    assert (page.num_matching, page.num_items) == (len(numbers), 3)


def test_pages_follow_each_other(mine: Path) -> None:
    pages = [item_page(mine, None, "scene-qa", start=start, limit=3) for start in (0, 3, 6)]
    assert [[pair.answer.item.item_id[-1] for pair in page.pairs] for page in pages] == [["0", "1", "2"], ["3"], []]


def test_the_other_arm_stands_beside(mine: Path, theirs: Path) -> None:
    pairs = item_page(mine, theirs, "scene-qa").pairs
    assert [(pair.answer.score.strict, pair.other and pair.other.score.strict) for pair in pairs] == [(1, 0), (0.5, 1), (0, 0), (0, 1)]


def test_different_items_are_refused(tmp_path: Path, mine: Path) -> None:
    with pytest.raises(StudyError, match="the arms answered 4 and 1 items"):
        item_page(mine, written(tmp_path / "short", [line(0)]), "scene-qa")
    with pytest.raises(StudyError, match="different items: scene-qa/1/0 and scene-qa/1/9"):
        item_page(mine, written(tmp_path / "other", [line(9), *(line(i) for i in range(1, 4))]), "scene-qa")


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="scene-qa:2: its stored answers cannot be read"):
        item_page(written(tmp_path / "broken", [line(0), "{}"]), None, "scene-qa")
