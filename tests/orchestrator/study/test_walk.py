"""The walk of a new user with data of their own: plan, run, look at single answers, take the table along."""

import csv
import json

import pytest

from tests.support.lab import CATALOGUE, STUDY, ablate, in_process, make


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
    (item,) = shown("--benchmark", "docvqa")
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


def test_an_own_benchmark_stands_in_its_own_category(lab):
    (item,) = shown("--benchmark", "roof-words")
    assert (item["question"], item["references"]) == ("<image>What is it?", ["a roof", "roof"])
    found = json.loads(ablate("results", "walk", "--json").stdout)
    kinds = {each["name"]: (each["kind"], each["category"]) for each in found["metrics"]}
    assert (kinds["roof-words"], kinds["roofs"]) == (("benchmark", "roofs"), ("category", None))
    assert all(arm["metrics"]["roofs"]["mean"] == arm["metrics"]["roof-words"]["mean"] for arm in found["arms"])


def test_own_data_and_weights_of_data_sets_are_what_was_trained_on(lab):
    rows = json.loads(ablate("results", "walk", "--json").stdout)["data"]
    asked = {row["source"]: row["asked"] for row in rows if row["arm_key"] == rows[0]["arm_key"]}
    assert asked["roofs/photos"] * 2 == pytest.approx(asked["general/talks"] + asked["general/tables"], abs=1)
    assert asked["general/talks"] * 4 == pytest.approx(asked["general/tables"])


def test_stored_answers_of_an_own_benchmark_are_scored_again(lab):
    assert ablate("rescore", "walk").exit_code == 0


def test_it_takes_less_than_40_lines_of_yaml():
    assert len((CATALOGUE + STUDY).strip().splitlines()) < 40


def test_a_study_cannot_declare_a_benchmark(lab, tmp_path):
    (tmp_path / "mine.yaml").write_text(STUDY.replace("set:", "set:\n  evaluate.own: []").replace("name: walk", "name: mine"))
    refused = ablate("plan", str(tmp_path / "mine.yaml"))
    assert (refused.exit_code, "a study cannot declare benchmarks" in refused.stderr) == (2, True)


def test_weights_of_a_data_set_that_there_is_not_are_refused(lab, tmp_path):
    (tmp_path / "mine.yaml").write_text(STUDY.replace("general/talks", "general/tolks"))
    refused = ablate("plan", str(tmp_path / "mine.yaml"))
    assert (refused.exit_code, "no data set 'general/tolks'" in refused.stderr, "general/talks" in refused.stderr) == (2, True, True)


def test_a_record_that_is_too_long_for_a_stage_is_found_before_it_trains(lab, tmp_path):
    (tmp_path / "short.yaml").write_text(STUDY.replace("steps: 2,", "steps: 2, max_tokens: 40,"))
    found = json.loads(ablate("data", "check", "--study", str(tmp_path / "short.yaml"), "--json").stdout)
    broken = {each["name"]: each["broken"] for each in found["datasets"] if each["broken"]}
    assert set(broken) <= {"talks", "tables", "shards", "photos"}
    assert "tokens; allowed: 40 (sft.max_tokens)" in broken["tables"][0]["reason"]
    assert ablate("data", "check", "--study", str(lab / "walk.yaml")).exit_code == 0
