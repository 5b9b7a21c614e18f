"""The walk of a new user with data of their own: plan, run, look at single answers, take the table along."""

import csv
import json

import pytest

from tests.support.lab import ablate, in_process, make


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder with data, a catalogue and a study that was run."""
    folder = tmp_path_factory.mktemp("lab")
    make(folder)
    with pytest.MonkeyPatch.context() as patch:
        in_process(patch, folder)
        assert ablate("plan", str(folder / "walk.yaml")).exit_code == 0
        result = ablate("run", str(folder / "walk.yaml"))
        assert result.exit_code == 0, result.output
        yield folder


def shown(*words):
    result = ablate("items", "walk", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)["items"]


def test_single_answers_are_shown_with_their_pictures(lab):
    (item,) = shown()
    assert (item["benchmark"], item["item_id"], item["references"]) == ("docvqa", "docvqa/7", ["may 1"])
    assert item["pictures"] == [str(lab / "docvqa" / "a.png")]
    text = ablate("items", "walk").stdout
    for expected in ("docvqa/7", "science=0 seed 0", "reference:", "may 1", "a.png"):
        assert expected in text


def test_two_arms_stand_side_by_side(lab):
    (item,) = shown("--arm", "science=0", "--against", "science=0.5", "--benchmark", "docvqa")
    assert item["other"] is not None
    assert item["other_score"] is not None
    assert shown("--arm", "science=0", "--against", "science=0", "--worse") == []


@pytest.mark.parametrize(("words", "says"), [(("--arm", "science=1"), "no arm 'science=1'"), (("--benchmark", "docvqq"), "'docvqa'"),
                                             (("--seed", "9"), "with seed 9"), (("--worse",), "--worse needs --against")])
def test_what_there_is_not_is_refused(lab, words, says):
    result = ablate("items", "walk", *words)
    assert (result.exit_code, says in result.stderr) == (2, True)


def test_the_table_is_taken_along(lab, tmp_path):
    names = {form: tmp_path / f"walk.{form}" for form in ("csv", "parquet", "markdown", "latex")}
    result = ablate("results", "walk", *(word for form, path in names.items() for word in (f"--{form}", str(path))))
    assert result.exit_code == 0, result.output
    assert all(path.stat().st_size for path in names.values())
    rows = list(csv.DictReader(names["csv"].open()))
    assert {row["num_items"] for row in rows if row["metric"] == "docvqa"} == {"1"}
