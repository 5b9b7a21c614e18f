import json

import pytest

from model.evaluation.benchmarks.registry import BENCHMARKS, SUITES
from orchestrator.ledger import read
from orchestrator.results.results import report_path, study_results
from orchestrator.study import library
from tests.support import scored

THREE_SEEDS = ("seeds: 2", "seeds: 3")


def results(engine, name="written"):
    return study_results(engine, read.study(engine, name))


@pytest.fixture
def finished(engine, planned):
    scored.enter(engine, planned(THREE_SEEDS))
    scored.finish(engine)
    return engine


def test_verdict_and_baseline_follow_the_study(finished):
    found = results(finished)
    assert found.verdict.kind == "selected"
    assert found.arm(found.verdict.chosen).name == "science=0.5"
    assert [arm.name for arm in found.arms if arm.is_baseline] == ["science=0"]


def test_categories_are_means_of_their_benchmarks(finished):
    found = results(finished)
    trial = found.trials[0]
    members = [name for name in SUITES["workbench"] if BENCHMARKS[name].category == "general" and BENCHMARKS[name].in_average]
    assert trial.metrics["general"] == pytest.approx(sum(trial.metrics[name] for name in members) / len(members))


def test_differences_are_against_the_baseline_and_paired(finished):
    found = results(finished)
    cells = [arm.metrics["knowledge"] for arm in found.arms]
    assert cells[0].delta is None
    assert cells[2].delta.value == pytest.approx(cells[2].mean - cells[0].mean)
    assert cells[2].delta.half_width < cells[2].half_width


def test_sharing_and_time_are_counted(finished):
    found = results(finished)
    own = [stage for stage in found.stages if stage.kind != "import"]
    assert found.counts.stages_unique == len(own)
    assert found.cost.seconds == 2.0 * len(own)
    assert found.counts.stages_reused == 0


def test_stages_of_an_earlier_study_count_as_reused(finished, planned):
    with scored.transaction(finished) as connection:
        connection.execute(scored.t.studies.update().values(created_at=4e9))
        stage = next(row for row in read.stages(finished, "study-1") if row.kind == "sft")
        connection.execute(scored.t.attempts.insert().values(
            attempt_id="a", stage_id=stage.stage_id, attempt_no=1, study_id="study-0", driver_id="d", epoch=1, state="SUCCEEDED",
            lease_expires_at=0.0, started_at=1.0, is_charged=False, checkpoint_step=0, failure_hash=""))
    found = results(finished)
    assert found.counts.stages_reused == 1
    assert found.cost.seconds_saved == 2.0


def test_seeds_vary_the_sft_stage(finished):
    found = results(finished)
    assert found.varies_with_seed == ("sft", "evaluate")
    assert found.seed_note.startswith("3 seeds vary sft, evaluate")


def test_unfinished_study_is_incomplete_and_withholds(engine, planned):
    scored.enter(engine, planned(THREE_SEEDS))
    found = results(engine)
    assert found.verdict.kind == "incomplete"
    assert found.arms[0].metrics == {}
    assert found.arms[0].withheld["scene-qa"] == "not evaluated yet"


def test_incomplete_benchmark_withholds_its_averages(finished):
    with scored.transaction(finished) as connection:
        connection.execute(scored.t.scores.update().where(scored.t.scores.c.benchmark == "scene-qa").values(is_complete=False))
    found = results(finished)
    assert "general" not in found.arms[0].metrics
    assert found.arms[0].withheld["general"] == "no complete score of scene-qa"
    assert found.arms[0].withheld["mmbase"] == "no average of general"


def test_diverged_trial_is_excluded_and_counted(engine, planned):
    plan = planned(THREE_SEEDS)
    scored.enter(engine, plan)
    scored.finish(engine, states={plan.trials[-1].key: "DIVERGED"})
    found = results(engine)
    assert (found.arms[2].num_diverged, found.arms[2].metrics["knowledge"].n) == (1, 2)
    assert found.counts.trials_diverged == 1
    assert "1 diverged trial is left out" in found.verdict.sentence


def test_json_is_plain_and_versioned(finished):
    found = json.loads(json.dumps(results(finished).to_json(), allow_nan=False))
    assert found["schema_version"] == 1
    assert found["verdict"]["kind"] == "selected"
    assert set(found["arms"][0]["metrics"]["knowledge"]) == {"mean", "half_width", "n", "by_seed", "delta"}
    assert len(found["trials"][0]["stage_ids"]) == len(results(finished).trial_rows[0].stage_ids)


def test_published_claims_are_judged(engine, planned):
    scored.enter(engine, planned(THREE_SEEDS, ("select:", "published: alpha-science\nselect:")))
    scored.finish(engine)
    found = results(engine)
    assert [each.claim.claim_id for each in found.claims] == ["mix.alpha_science"]
    assert found.claims[0].outcome == "contradicted"
    assert found.arm(found.published.chosen).name == "science=0.1"


def test_a_claim_about_a_public_benchmark_is_tested_on_the_one_in_its_manner(engine, planned):
    text = (library.ROOT / "mm15" / "grid-configuration.yaml").read_text()
    asked = ("seeds: 5", "seeds: 3\nevaluate: {benchmarks: [form-fields, small-print]}")
    scored.enter(engine, planned(asked, ("maximize: overall", "maximize: text_rich"), text=text))
    scored.finish(engine)
    found = {each.claim.claim_id: each for each in results(engine, "grid-configuration").claims}
    gain = found["grid.doc_gain_with_n_max"]
    assert {each.metric for each in gain.claim.comparisons} == {"form-fields", "small-print"}
    assert gain.outcome == "supported"


def test_report_path_names_study_scale_and_version(finished, tmp_path):
    assert report_path(tmp_path, read.study(finished, "written")).name == "written-tiny-v1.html"
