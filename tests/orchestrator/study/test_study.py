import time
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.errors import StudyError
from orchestrator.study.constraint import parse_constraint
from orchestrator.study.study import Study, load_campaign, load_study

Write = Callable[..., Study]
VARY = "vary: {sft.mixture.alpha.science: [0, 0.1, 0.5]}"


def test_study_is_found_by_name_and_by_file() -> None:
    assert load_study("quickstart") == load_study("studies/quickstart.yaml") == load_study(Path("studies/quickstart.yaml"))


def test_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(StudyError, match="alpha-scienc: no study has this name\nhint: did you mean 'alpha-science'"):
        load_study("alpha-scienc")


def test_integer_seeds_count_from_zero(write: Write) -> None:
    assert write(("seeds: 2", "seeds: 3")).seed_list == (0, 1, 2)


def test_listed_seeds_are_kept(write: Write) -> None:
    assert write(("seeds: 2", "seeds: [7, 3]")).seed_list == (7, 3)


def test_study_cannot_be_changed(write: Write) -> None:
    with pytest.raises(ValueError, match="frozen"):
        write().seeds = 5  # type: ignore[misc]


BAD = {
    "misspelt field": ("seeds: 2", "sedes: 2", "5:1: sedes: unknown field\nhint: did you mean 'seeds'"),
    "misspelt nested field": ("maximize", "maximise", "6:10: select.maximise: unknown field\nhint: did you mean 'maximize'"),
    "missing field": ("question: How much?", "note: x", "question: missing"),
    "float for an integer": ("seeds: 2", "seeds: 2.0", "5:1: seeds: 2.0; allowed: a whole number"),
    "text for a number": ("seeds: 2", "seeds: 2\neffect: big", "effect: 'big'; allowed: a number"),
    "truth for a number": ("seeds: 2", "seeds: true", "seeds: True; allowed: a whole number"),
    "no seed": ("seeds: 2", "seeds: 0", "seeds: 0"),
    "same seed twice": ("seeds: 2", "seeds: [1, 1]", "allowed: different whole numbers"),
    "negative seed": ("seeds: 2", "seeds: [-1]", ">= 0"),
    "name with a path": ("name: written", "name: ../written", "name: '../written'; allowed: a name of"),
    "no design": (VARY, "note: x", "none given; allowed: exactly one of vary, arms, search"),
    "two designs": (VARY, VARY + "\narms: {a: {}}", "vary and arms given"),
    "empty factor": ("[0, 0.1, 0.5]", "[]", "vary.sft.mixture.alpha.science"),
    "unknown constraint": ("maximize: knowledge", "maximize: knowledge, subject_to: [knowledge > 3]", "allowed: 'METRIC >= NUMBER'"),
    "baseline of nothing": ("maximize: knowledge, baseline: {sft.mixture.alpha.science: 0}",
                            "maximize: knowledge, subject_to: [knowledge >= baseline.knowledge]", "select.baseline is missing"),
    "smallest of rows": (VARY, "arms: {a: {}, b: {sft.lr: 1e-3}}\nnote: x", "smallest needs exactly one factor"),
    "misspelt choice": ("baseline:", "prefer: smalest, baseline:", "'smalest'; allowed: first, smallest, largest\nhint: did you mean"),
    "unknown published results": ("seeds: 2", "seeds: 2\npublished: alpha-scienc", "published: no published results 'alpha-scienc'"),
    "turned text": ("question: How much?", "question: \"How \\u202e much?\"", "question: U+202E turns the writing direction"),
    "wrong kind": ("name: written", "name: written\nkind: recipe", "kind: 'recipe'; allowed here: study"),
}


@pytest.mark.parametrize("name", BAD)
def test_is_refused_with_line_and_hint(name: str, write: Write) -> None:
    old, new, message = BAD[name]
    prefer = [("baseline:", "prefer: smallest, baseline:")] if name == "smallest of rows" else []
    with pytest.raises(StudyError) as caught:
        write((old, new), *prefer)
    assert message in str(caught.value)
    assert "written.yaml:" in str(caught.value)


def test_a_billion_arms_are_refused_by_their_number_at_once(write: Write) -> None:
    factors = ", ".join(f"sft.mixture.alpha.c{i}: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]" for i in range(9))
    start = time.perf_counter()
    with pytest.raises(StudyError, match="1,000,000,000 arms x 2 seeds = 2,000,000,000 trials; allowed: 10,000"):
        write((VARY, f"vary: {{{factors}}}"))
    assert time.perf_counter() - start < 0.1


SEARCH = """search:
  trials: 5
  parameters:
    sft.mixture.alpha.science: {float: [0, 1]}
    sft.lr: {log_float: [1e-5, 1e-3]}
    sft.steps: {int: [10, 20]}
    sft.images.indicator: {choice: [none, seps, index]}
    sft.mixture.weights: {simplex: [single, multi, text]}
    sft.images.grid: {grid_range: {n_min: [1, 4], n_max: [4, 16]}}
  objectives: [{maximize: knowledge}, {minimize: tokens_per_image}]
  constraints: ["general >= baseline.general - 5"]"""


def test_search_says_all_kinds_of_ranges(write: Write) -> None:
    search = write((VARY, SEARCH)).search
    assert search is not None
    kinds = [parameter.kind for parameter in search.parameters.values()]
    assert kinds == ["uniform", "log_float", "integer", "choice", "simplex", "grid_range"]


@pytest.mark.parametrize(("old", "new", "message"), [
    ("{float: [0, 1]}", "{float: [1, 0]}", "allowed: lowest < highest"),
    ("{float: [0, 1]}", "{float: [0, 1], int: [0, 1]}", "exactly one of float"),
    ("{float: [0, 1]}", "{}", "exactly one of float"),
    ("[1e-5, 1e-3]", "[0, 1e-3]", "above 0"),
    ("n_min: [1, 4]", "n_min: [0, 4]", "1 <= n_min <= n_max"),
    ("n_min: [1, 4]", "n_mim: [1, 4]", "did you mean 'n_min'"),
    ("{maximize: knowledge},", "{maximize: knowledge, minimize: knowledge},", "one of maximize, minimize"),
    ("trials: 5", "trials: 5\n  sampler: tpa", "allowed: tpe, gp, nsga2, nsga3, qmc, random\nhint: did you mean 'tpe'"),
    ("baseline.general - 5", "baseline.general minus 5", "search.constraints[0]"),
    ("[none, seps, index]", "[]", "search.parameters.sft.images.indicator.choice: holds nothing; allowed: at least 1"),
    ("[none, seps, index]", "[none, seps, none]", 'choice holds "none" twice; allowed: each value once'),
    ("[none, seps, index]", "[1, 1.0]", "choice holds 1 twice"),
    ("[single, multi, text]", "[]", "search.parameters.sft.mixture.weights.simplex: holds nothing; allowed: at least 2"),
    ("[single, multi, text]", "[single]", "simplex: holds 1; allowed: at least 2"),
    ("[single, multi, text]", "[single, multi, single]", 'simplex holds "single" twice'),
    ("sft.images.indicator: {choice: [none, seps, index]}", "sft.images: {choice: [{indicator: none}, {indicator: index}]}",
     "search.parameters.sft.images.grid: it lies inside sft.images, which is a factor too"),
    ("sft.images.indicator:", "sft.mixture.weights.text:", "sft.mixture.weights.text: it lies inside sft.mixture.weights"),
])
def test_impossible_search_is_refused(old: str, new: str, message: str, write: Write) -> None:
    with pytest.raises(StudyError) as caught:
        write((VARY, SEARCH.replace(old, new)))
    assert message in str(caught.value)
    assert 1 < caught.value.line < 20


@pytest.mark.parametrize("vary", ["{sft.images: [1], sft.images.grid: [[1, 4]]}", "{sft.images.grid: [[1, 4]], sft.images: [1]}"])
def test_a_factor_inside_another_is_refused(vary: str, write: Write) -> None:
    with pytest.raises(StudyError, match=r"vary.sft.images.grid: it lies inside sft.images, which is a factor too"):
        write((VARY, f"vary: {vary}"))


@pytest.mark.parametrize(("text", "metric", "op", "reference", "offset"), [
    ("mmbase >= 50", "mmbase", ">=", None, 50.0),
    ("mmbase>=baseline.mmbase-0.5", "mmbase", ">=", "mmbase", -0.5),
    ("scene-qa >= baseline.scene-qa - 0.5", "scene-qa", ">=", "scene-qa", -0.5),
    ("general <= baseline.text_rich + 2", "general", "<=", "text_rich", 2.0),
    ("general <= baseline.general", "general", "<=", "general", 0.0),
])
def test_constraint_is_parsed(text: str, metric: str, op: str, reference: str | None, offset: float) -> None:
    found = parse_constraint(text)
    assert (found.metric, found.op, found.reference, found.offset) == (metric, op, reference, offset)


@pytest.mark.parametrize("text", ["", "mmbase", "mmbase > 5", "mmbase >= x", "mmbase >= 1.2.3", "mmbase >= baseline", "5 <= mmbase"])
def test_other_forms_of_constraint_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="allowed|not a number"):
        parse_constraint(text)


def test_constraint_compares_with_the_baseline() -> None:
    constraint = parse_constraint("mmbase >= baseline.mmbase - 0.5")
    assert constraint.is_met(49.5, {"mmbase": 50})
    assert not constraint.is_met(49.4, {"mmbase": 50})


def test_campaign_lists_studies(tmp_path: Path) -> None:
    path = tmp_path / "both.yaml"
    path.write_text("kind: campaign\nname: both\nquestion: First, then?\nstudies: [alpha-science, mixing-categories]\n")
    assert load_campaign(path).studies == ("alpha-science", "mixing-categories")
