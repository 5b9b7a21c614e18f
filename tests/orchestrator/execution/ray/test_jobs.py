"""A standing Ray cluster with a token, a driver put there through Ray Jobs, and a small real study that it drives."""

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.execution.ray.jobs import entrypoint, environment
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.settings import Settings
from tests.support.ray_head import free_port, head  # noqa: F401 (fixture)

STUDY = """\
name: mini
question: Does a driver on the cluster run it?
recipe: sft-ablation
set: {sft.images: {mode: single, tile: low}, sft.steps: 2, sft.batch: 2, sft.warmup_steps: 0, evaluate.num_items: 2}
vary: {sft.mixture.alpha.science: [0, 0.5]}
evaluate: {benchmarks: [scene-probe]}
select: {maximize: scene-probe}
"""


def ablate(*words):
    """Call the command in a process of its own: Ray reads the token once in the life of a process."""
    return subprocess.run([sys.executable, "-P", "-m", "orchestrator.cli.main", *words], capture_output=True, text=True)


def submitted(path, cluster):
    """Submit until the cluster is up: a head takes a while, and the study is entered at most once."""
    done = ablate("submit", str(path), "--priority", "3", "--json")
    while done.returncode == 1 and "Ray Jobs at" in done.stderr and cluster.process.poll() is None:
        done = ablate("submit", str(path), "--priority", "3", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(600)
def test_submitted_study_is_driven_on_the_cluster_once(head, tmp_path, monkeypatch):  # noqa: F811
    path = tmp_path / "mini.yaml"
    path.write_text(STUDY)
    first, again = submitted(path, head), submitted(path, head)
    assert (first["ray_job"]["ray_job_id"], first["ray_job"]["is_new"]) == (f"ablate-{first['study_id']}", True)
    assert (again["ray_job"]["ray_job_id"], again["ray_job"]["is_new"]) == (first["ray_job"]["ray_job_id"], False)
    assert (again["study_id"], again["priority"]) == (first["study_id"], 3)
    assert (first["is_driven"], again["is_driven"]) == (True, True)
    doctor = {each["name"]: each for each in json.loads(ablate("doctor", "--json").stdout)["checks"]}
    assert doctor["ray jobs"]["is_ok"], doctor["ray jobs"]
    with monkeypatch.context() as patch:
        patch.setenv("RAY_AUTH_TOKEN", "0" * 64)
        doctor = {each["name"]: each for each in json.loads(ablate("doctor", "--json").stdout)["checks"]}
        assert not doctor["ray jobs"]["is_ok"]
    with monkeypatch.context() as patch:
        patch.setenv("ABLATE_GPUS_PER_SLOT", "2")
        refused = ablate("submit", str(path))
        patch.setenv("ABLATE_RAY_AUTOSCALES", "true")
        assert ablate("submit", str(path)).returncode == 0
    assert refused.returncode == 2
    assert "a slot needs 1 CPU, 2 GPUs; the largest of 1 such nodes" in refused.stderr
    watched = ablate("watch", "mini", "--json")
    assert watched.returncode == 0, watched.stderr
    assert json.loads(watched.stdout)["study"]["state"] == "COMPLETED"
    engine = open_ledger(Settings.load().ledger_url)
    assert [row.state for row in read.trials(engine, first["study_id"])] == ["SUCCEEDED", "SUCCEEDED"]


def test_driver_of_the_submitters_environment_is_started(tmp_path):
    """The shell of the head finds it though its PATH does not; where it is not there, it says so and fails."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho \"$@\"\n")
    python.chmod(0o755)
    ours, elsewhere = entrypoint("abc").replace(sys.executable, str(python)), entrypoint("abc").replace(sys.executable, "/nowhere")
    done = [subprocess.run(["/bin/sh", "-c", each], capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"})
            for each in (ours, elsewhere)]
    assert (done[0].returncode, done[0].stdout) == (0, "-P -m orchestrator.cli.main drive --until abc\n")
    assert (done[1].returncode, "ablate is not installed here" in done[1].stderr) == (127, True)


def test_cluster_that_does_not_answer_leaves_the_study_in_the_ledger(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ABLATE_RAY_JOBS", f"http://127.0.0.1:{free_port()}")
    (tmp_path / "mini.yaml").write_text(STUDY)
    result = CliRunner().invoke(main, ["submit", str(tmp_path / "mini.yaml")])
    assert result.exit_code == 1
    assert "the study is in the ledger" in result.stderr
    assert json.loads(CliRunner().invoke(main, ["status", "--json"]).stdout)["studies"][0]["name"] == "mini"


def test_secrets_stay_here(tmp_path, monkeypatch):
    monkeypatch.setenv("ABLATE_LEDGER_URL", "postgresql+psycopg://u:hunter2hunter2@db/x")
    monkeypatch.setenv("ABLATE_SLOT_LABELS", '{"pool": "b"}')
    monkeypatch.setenv("ABLATE_ARTIFACTS", "s3://bucket/x")
    found = environment(Settings.load())
    assert (found["ABLATE_SLOT_LABELS"], found["ABLATE_ARTIFACTS"]) == ('{"pool": "b"}', "s3://bucket/x")
    assert found["ABLATE_RAY_ADDRESS"] == "auto"
    assert "hunter2" not in json.dumps(found)
