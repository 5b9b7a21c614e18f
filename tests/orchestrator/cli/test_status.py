from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from sqlalchemy import Engine

from orchestrator.ledger.engine import open_ledger
from tests.support.synthetic import SCIENCE, Sketch, lease, sketch

Ablate = Callable[..., Result]
Document = Callable[..., Any]


@pytest.fixture
def engine(home: Path) -> Engine:
    return open_ledger(f"sqlite:///{home}/ledger.db")


def test_empty_ledger_says_what_to_do(ablate: Ablate) -> None:
    result = ablate("status")
    assert result.exit_code == 0
    assert "try: ablate run quickstart" in result.stdout


def test_status_counts_and_names_the_driver(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    lease(engine)
    result = ablate("status", "quickstart")
    assert "a driver is running (host laptop, pid 4242)" in result.stdout
    assert "step 34/80  loss 1.207  31.5 samples/s" in result.stdout


def test_status_document(ablate_json: Document, engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5, states={(0, 0): "DIVERGED"}))
    (study,) = ablate_json("status")["studies"]
    assert (study["trials"], study["stages"], study["stages_running"]) == (9, 99, 2)
    assert study["failures"][0]["message"] == "loss is not finite at step 41"
    assert study["left_s"] > 0


def test_status_of_a_finished_study_has_no_time_left(ablate_json: Document, engine: Engine) -> None:
    sketch(engine, Sketch())
    assert ablate_json("status", "quickstart")["studies"][0]["left_s"] is None


def test_results_show_intervals_differences_and_verdict(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch())
    result = ablate("results", "quickstart")
    assert result.exit_code == 0
    for expected in ("science=0 (baseline)", "▸ science=0.5", " ± ", " *", "verdict: selected", "99 stages asked for"):
        assert expected in result.stdout


def test_results_accept_the_file_as_name(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch())
    assert ablate("results", "studies/quickstart.yaml").exit_code == 0


def test_one_seed_has_no_interval(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch(seeds=1))
    result = ablate("results", "quickstart")
    assert "n=1: one seed, so no interval." in result.stdout
    assert " ± " not in result.stdout


def test_diverged_trials_are_counted(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch(states={(1, 2): "DIVERGED"}, state="COMPLETED_WITH_FAILURES"))
    assert "2/3, 1 diverged" in ablate("results", "quickstart").stdout


def test_results_document_is_the_public_one(ablate_json: Document, engine: Engine) -> None:
    sketch(engine, Sketch())
    found = ablate_json("results", "quickstart")
    assert found["schema_version"] == 1
    assert found["verdict"]["kind"] == "selected"
    assert [arm["levels"][SCIENCE] for arm in found["arms"]] == [0, 0.1, 0.5]


def test_items_that_were_not_stored_are_named(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch())
    result = ablate("results", "quickstart", "--items")
    assert result.exit_code == 0, result.output
    assert "its answers are left out: no stored answers" in result.stdout


def test_noisy_arms_and_items_are_in_the_document(ablate_json: Document, engine: Engine) -> None:
    sketch(engine, Sketch())
    found = ablate_json("results", "quickstart", "--items")
    assert found["noise"] == []
    assert found["items"]["metric"] == "knowledge"


def test_curve_over_one_factor_has_a_band_and_probabilities(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch(arms=tuple({SCIENCE: level} for level in (0, 0.1, 0.5, 1, 2))))
    text = ablate("results", "quickstart", "--factors").stdout
    assert "probability of best" in text
    assert "the best level lies between" in text


def test_effects_of_a_product_are_told(ablate: Ablate, engine: Engine) -> None:
    mode = "sft.images.mode"
    arms = tuple({SCIENCE: a, mode: b} for a in (0, 1) for b in ("single", "dynamic"))
    sketch(engine, Sketch(arms=arms, select={"maximize": "knowledge", "prefer": "first"}))
    text = ablate("results", "quickstart", "--factors").stdout
    assert "mode=dynamic" in text
    assert "science=1 minus science=0 at mode=dynamic" in text


def test_few_levels_have_no_curve(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch())
    assert "no effects: they need" in ablate("results", "quickstart", "--factors").stdout


def test_unknown_study_lists_the_known_ones(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch())
    result = ablate("results", "nope")
    assert result.exit_code == 2
    assert "known: quickstart (tiny)" in result.stderr


def test_square_brackets_in_a_question_are_kept(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch(question="[bold]why[/bold] [x]?"))
    assert "[bold]why[/bold] [x]?" in ablate("results", "quickstart").stdout


def test_report_writes_a_page_and_prints_its_path(ablate: Ablate, engine: Engine) -> None:
    sketch(engine, Sketch())
    path = Path(ablate("report", "quickstart").stdout.strip())
    assert "<html" in path.read_text()
