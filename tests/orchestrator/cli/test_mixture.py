"""`ablate mixture`: files of the other tool in, a checked proposal out."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from model.config.fields import build
from model.config.stages import SftMixture
from model.data.mixture import shares
from orchestrator.cli.main import main
from orchestrator.driver.loop import drive
from orchestrator.errors import StudyError
from orchestrator.execution.executor import InlineExecutor
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.plan.plan import Planner
from orchestrator.results.report import render
from orchestrator.results.results import study_results
from orchestrator.search.olmix import from_csv, to_csv
from orchestrator.study.study import load_study
from tests.support.toy import toy_settings


@pytest.fixture
def swarm(tmp_path):
    """A folder with a swarm in which more of `a` is better."""
    rows = {f"run {i}": dict(zip("abc", row, strict=True)) for i, row in enumerate(np.random.default_rng(1).dirichlet([2, 2, 2], size=12))}
    (tmp_path / "ratios.csv").write_text(to_csv(rows, {}))
    (tmp_path / "metrics.csv").write_text(to_csv({run: {"score": 50 + 20 * row["a"]} for run, row in rows.items()}, {}))
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, ["mixture", *map(str, arguments)], catch_exceptions=False)


def test_a_trusted_surrogate_proposes_and_says_how_far_it_is_trusted(swarm):
    done = run("propose", swarm, "--metric", "score", "--json")
    found = json.loads(done.stdout)
    assert found["checks"][0]["correlation"] > 0.9
    assert found["proposal"]["shares"]["a"] > 0.5
    assert "This is a prediction, not a result." in " ".join(run("propose", swarm, "--metric", "score").stdout.split())


def test_noise_gives_no_proposal(swarm):
    rows = from_csv((swarm / "metrics.csv").read_text(), "", are_shares=False)
    noise = np.random.default_rng(3).normal(size=len(rows))
    (swarm / "metrics.csv").write_text(to_csv({run: {"score": value} for run, value in zip(rows, noise, strict=True)}, {}))
    assert json.loads(run("propose", swarm, "--metric", "score", "--json").stdout)["proposal"] is None


def test_a_broken_file_is_named(swarm):
    (swarm / "ratios.csv").write_text("run,a\nx,0.5\n")
    done = run("propose", swarm, "--metric", "score")
    assert done.exit_code == 2
    assert "ratios.csv:2: shares of x sum to 0.5" in done.stderr


def test_a_finished_study_is_exported_and_read_back(home, ablate, planned):
    settings = toy_settings(home)
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, planned())
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(scored))
    engine.dispose()
    done = ablate("mixture", "export", "written", "--out", str(home / "swarm"))
    assert done.exit_code == 0, done.output
    ratios = from_csv((home / "swarm" / "ratios.csv").read_text(), "", are_shares=True)
    metrics = from_csv((home / "swarm" / "metrics.csv").read_text(), "", are_shares=False)
    assert [round(row["science"] / row["general"], 6) for row in ratios.values()] == [0, 0.1, 0.5]
    assert ratios.keys() == metrics.keys()
    assert all(row["mmbase"] == 50 for row in metrics.values())


MIXED = """
name: mixed
question: Which mixture?
recipe: sft-ablation
vary: {sft.mixture.alpha.science: [0, 0.5, 1, 2], sft.mixture.alpha.math: [0, 1]}
seeds: 2
evaluate: {benchmarks: [science-names]}
select: {maximize: science-names, baseline: {sft.mixture.alpha.science: 0, sft.mixture.alpha.math: 0}}
"""


def driven(home, plan):
    """Drive a study whose score follows the share of science."""
    shares = {}

    def carried_out(order, _report, _should_stop):
        spec = order["spec"]
        if order["kind"] == "sft":
            alpha = spec["config"]["mixture"]["alpha"]
            shares[order["stage_id"]] = alpha["science"] / (1 + alpha["science"] + alpha["math"]), spec["seed"]
        share, seed = shares.get(spec["parent_id"], (0, 0))
        result = {"benchmark": spec.get("benchmark"), "score": 30 + 60 * share + seed, "num_items": 4, "loss": 1.0}
        return {"attempt_id": order["attempt_id"], "attempt_no": 1, "state": "SUCCEEDED", "result": result, "failure": None, "seconds": 0.0}

    settings = toy_settings(home)
    engine = open_ledger(settings.ledger_url)
    study_id = submit(engine, plan)
    drive(settings, until=study_id, executor=lambda _: InlineExecutor(carried_out))
    found = study_results(engine, read.study(engine, study_id))
    engine.dispose()
    return found


def test_a_proposal_becomes_a_study_whose_results_stand_beside_the_prediction(home, ablate, planned, tmp_path):
    first = driven(home, planned(text=MIXED))
    path = tmp_path / "next.yaml"
    done = ablate("mixture", "propose", "mixed", "--metric", "science-names", "--study", str(path), "--json")
    assert done.exit_code == 0, done.output
    said = json.loads(done.stdout)
    study = load_study(path)
    prediction = study.predictions["proposal"]
    assert (prediction.predicted, prediction.correlation, prediction.num_arms, prediction.source) == (
        said["proposal"]["predicted"], said["checks"][0]["correlation"], 8, "mixed")
    plan = Planner(study, "tiny").plan()
    proposed = next(trial.config["sft"]["mixture"] for trial in plan.trials if plan.arms[-1].key == trial.arm_key)
    assert shares(build(SftMixture, proposed, "mixture")) == pytest.approx(
        {name: share for name, share in said["proposal"]["shares"].items() if share}, abs=1e-5)
    known = {stage_id for trial in first.trial_rows for stage_id in trial.stage_ids}
    assert len(plan.stages.keys() - known) == 2 * 2  # of two seeds, training and evaluation of the proposal alone
    found = driven(home, plan)
    each, = found.predictions
    assert each.measured == pytest.approx(each.predicted, abs=5)
    shown = " ".join(ablate("results", study.name).stdout.split())
    assert f"predicted: proposal: science-names {each.predicted:.1f} by {each.form} over 8 arms of mixed" in shown
    assert "leave-one-out rank correlation" in render(found)
    assert ablate("mixture", "propose", "mixed", "--metric", "science-names", "--study", str(path)).exit_code == 2


def test_tables_alone_do_not_make_a_study(swarm, tmp_path):
    done = run("propose", swarm, "--metric", "score", "--study", tmp_path / "next.yaml")
    assert done.exit_code == 2
    assert "--study needs a study as SOURCE" in done.stderr


def test_a_prediction_of_an_arm_that_is_not_there_is_refused(write):
    with pytest.raises(StudyError, match="predictions.c: no arm 'c'"):
        write(text=MIXED.replace("vary: {sft.mixture.alpha.science: [0, 0.5, 1, 2], sft.mixture.alpha.math: [0, 1]}", '''
arms: {a: {sft.mixture.alpha.science: 0, sft.mixture.alpha.math: 0}, b: {sft.mixture.alpha.science: 1}}
predictions: {c: {metric: science-names, predicted: 1.0, form: gp, correlation: 0.6, num_arms: 9, source: x}}''').replace("\n\n", "\n"))


def scored(order, _report, _should_stop):
    result = {"benchmark": order["spec"].get("benchmark"), "score": 50.0, "num_items": 4, "loss": 1.0}
    return {"attempt_id": order["attempt_id"], "attempt_no": 1, "state": "SUCCEEDED", "result": result, "failure": None, "seconds": 0.0}
