"""`ablate mixture`: files of the other tool in, a checked proposal out."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from orchestrator.analysis.olmix import from_csv, to_csv
from orchestrator.cli.main import main
from orchestrator.driver import drive
from orchestrator.executor import InlineExecutor
from orchestrator.ledger import open_ledger
from orchestrator.submit import submit
from tests.toy import toy_settings


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
    assert "It is a guess until it has run." in " ".join(run("propose", swarm, "--metric", "score").stdout.split())


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


def scored(order, _report, _should_stop):
    result = {"benchmark": order["spec"].get("benchmark"), "score": 50.0, "num_items": 4, "loss": 1.0}
    return {"attempt_id": order["attempt_id"], "attempt_no": 1, "state": "SUCCEEDED", "result": result, "failure": None, "seconds": 0.0}
