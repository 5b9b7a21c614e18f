from collections.abc import Callable
from dataclasses import replace

import pytest
from sqlalchemy import Engine

from dashboard import queries
from dashboard import rows as tables
from dashboard import text as words
from orchestrator.analysis.scores import TOKENS
from orchestrator.ledger import read
from orchestrator.results.results import Results
from tests.support.synthetic import SCIENCE, Sketch, sketch
from tests.support.synthetic import lease as synthetic_lease

Found = Callable[..., Results]


def test_panels_are_what_decides_mmbase_and_what_must_hold(found: Found) -> None:
    assert queries.panel_metrics(found()) == ["knowledge", "mmbase", "general"]


def test_no_scores_no_panels(found: Found) -> None:
    assert queries.panel_metrics(found(state="RUNNING", done=0.0)) == []


def test_point_has_all_seeds_and_its_difference(found: Found) -> None:
    point = queries.panel(found(), "knowledge").points[2]
    assert (point.label, point.n, sorted(point.seeds), point.is_chosen) == ("0.5", 3, [0, 1, 2], True)
    assert point.delta is not None
    assert point.delta > 20
    assert point.is_told_apart


def test_arm_without_score_stays_with_its_reason(found: Found) -> None:
    results = found(states={(1, 0): "FAILED", (1, 1): "DIVERGED", (1, 2): "QUEUED"}, state="RUNNING")
    point = queries.panel(results, "knowledge").points[1]
    assert (point.mean, point.note) == (None, "1 diverged, 1 failed, 1 to come")


def test_one_numeric_factor_is_a_curve_with_short_labels(found: Found) -> None:
    panel = queries.panel(found(), "mmbase")
    assert (panel.is_ordered, panel.is_alpha, panel.factor) == (True, True, "science")
    assert [point.label for point in panel.points] == ["0", "0.1", "0.5"]


def test_named_rows_that_change_several_things_are_no_curve(found: Found) -> None:
    arms = ({"sft.images.mode": "single"}, {"sft.images.mode": "static", "sft.images.tokens": 9})
    panel = queries.panel(found(arms=arms, names=("1 single", "2 static"), select={"maximize": "mmbase", "baseline": "1 single"}), "mmbase")
    assert not panel.is_ordered
    assert [point.label for point in panel.points] == ["1 single", "2 static"]


def test_limit_counts_from_the_baseline(found: Found) -> None:
    panel = queries.panel(found(), "general")
    assert panel.baseline is not None
    assert panel.limit == pytest.approx(panel.baseline.mean - 5)


def test_papers_choice_is_the_label_of_its_arm(found: Found) -> None:
    assert queries.panel(found(published="alpha-science"), "mmbase").paper_choice == "0.1"


def test_tokens_are_offered_only_where_arms_differ_in_them(found: Found) -> None:
    assert TOKENS not in queries.costs(found())
    assert queries.costs(found(name="other", tokens=lambda levels: 16 + 100 * levels[SCIENCE]))[0] == TOKENS


def test_front_holds_what_nothing_beats_in_both(found: Found) -> None:
    tokens = {0: 100.0, 0.1: 400.0, 0.5: 300.0}
    trades = queries.trades(found(tokens=lambda levels: tokens[levels[SCIENCE]]), TOKENS, "knowledge")
    assert [trade.is_front for trade in trades] == [True, False, True]


def test_interval_says_n_of_one() -> None:
    assert words.interval(4.2, None) == "4.2 (n=1)"
    assert words.interval(4.2, 0.31, sign=True) == "+4.2 ± 0.3"


@pytest.mark.parametrize("text", ["=HYPERLINK(1)", "+1+1", "-1-1", "@x", "\tx"])
def test_formulas_are_made_harmless(text: str) -> None:
    assert words.safe(text) == "'" + text


def test_plain_markdown_shows_what_was_written() -> None:
    assert words.plain_markdown("<b>*x*</b> :red[y] $z$\nw") == r"\<b\>\*x\*\</b\> \:red\[y\] \$z\$ w"


def test_older_versions_carry_their_number(engine: Engine) -> None:
    row = read.study(engine, sketch(engine, Sketch()))
    labels = queries.labelled([replace(row, version=2, study_id="b"), row])
    assert {label: each.version for label, each in labels.items()} == {"quickstart@tiny": 2, "quickstart@tiny v1": 1}


def test_waiting_studies_without_a_driver_are_stale(engine: Engine) -> None:
    sketch(engine, Sketch(state="RUNNING", done=0.5))
    assert queries.health(engine, read.studies(engine)).is_stale
    synthetic_lease(engine)
    assert not queries.health(engine, read.studies(engine)).is_stale


def test_stages_of_a_trial_show_attempts_and_problems(found: Found) -> None:
    rows = tables.stage_rows(found(states={(0, 0): "DIVERGED"}), 0)
    assert (rows[1]["state"], rows[1]["attempts"], rows[1]["problem"]) == ("≋ diverged", 1, "loss is not finite at step 41")
    assert rows[0]["shared by"] == 9


def test_version_moves_with_the_history(engine: Engine) -> None:
    assert queries.version(engine, sketch(engine, Sketch())) > 0
    assert queries.version(engine, "absent") == 0


@pytest.mark.parametrize(("state", "names"), [("RUNNING", ["pause", "cancel"]), ("PAUSED", ["resume", "cancel"]),
                                              ("COMPLETED", []), ("CANCELLED", ["resume"])])
def test_acts_are_those_that_the_state_allows(engine: Engine, state: str, names: list[str]) -> None:
    row = read.study(engine, sketch(engine, Sketch(state=state)))
    assert [act.name for act in queries.allowed_actions(row)] == names


@pytest.mark.parametrize(("ttl_s", "lease"), [(7230.0, "2 h 00 min"), (-7230.0, "expired 2 h 00 min ago"), (-1e9, "released")])
def test_lease_says_what_became_of_it(engine: Engine, ttl_s: float, lease: str) -> None:
    synthetic_lease(engine, ttl_s=ttl_s)
    signs = {label: value for label, value, _ in tables.vital_signs(queries.health(engine, []))}
    assert signs["Lease"] == lease
