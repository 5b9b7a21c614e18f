"""A standing Ray cluster with a token, a driver put there through Ray Jobs, and a small real study that it drives."""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli.main import main
from orchestrator.execution.ray.jobs import environment
from orchestrator.ledger import read
from orchestrator.ledger.engine import open_ledger
from orchestrator.settings import Settings

STUDY = """\
name: mini
question: Does a driver on the cluster run it?
recipe: sft-ablation
set: {sft.images: {mode: single, tile: low}, sft.steps: 2, sft.batch: 2, sft.warmup_steps: 0, evaluate.num_items: 2}
vary: {sft.mixture.alpha.science: [0, 0.5]}
evaluate: {benchmarks: [scene-probe]}
select: {maximize: scene-probe}
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def cluster(tmp_path, monkeypatch):
    """A head with two CPUs, as `ray start` makes it; the operator's environment leads to it."""
    port, jobs_port = free_port(), free_port()
    short = tempfile.mkdtemp(prefix="ray")  # sockets have names of at most 107 characters
    for name, value in {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32), "RAY_USAGE_STATS_ENABLED": "0",
                        "ABLATE_HOME": str(tmp_path / "home"), "ABLATE_MLFLOW_URI": "off", "ABLATE_SLOTS": "2",
                        "ABLATE_RAY_JOBS": f"http://127.0.0.1:{jobs_port}", "PYTHONPATH": os.getcwd(),
                        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}.items():
        monkeypatch.setenv(name, value)
    command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--port={port}", "--num-cpus=2",
               f"--dashboard-port={jobs_port}", "--dashboard-host=127.0.0.1", "--include-dashboard=true", f"--temp-dir={short}",
               "--object-store-memory=100000000", "--disable-usage-stats", f"--dashboard-agent-listen-port={free_port()}"]
    head = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    yield head
    os.killpg(head.pid, signal.SIGTERM)
    head.wait(timeout=120)
    shutil.rmtree(short)


def ablate(*words):
    """Call the command in a process of its own: Ray reads the token once in the life of a process."""
    return subprocess.run([sys.executable, "-m", "orchestrator.cli.main", *words], capture_output=True, text=True)


def submitted(path, head):
    """Submit until the cluster is up: a head takes a while, and the study is entered at most once."""
    done = ablate("submit", str(path), "--priority", "3", "--json")
    while done.returncode == 1 and "Ray Jobs at" in done.stderr and head.poll() is None:
        done = ablate("submit", str(path), "--priority", "3", "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.timeout(600)
def test_submitted_study_is_driven_on_the_cluster_once(cluster, tmp_path, monkeypatch):
    path = tmp_path / "mini.yaml"
    path.write_text(STUDY)
    first, again = submitted(path, cluster), submitted(path, cluster)
    assert (first["ray_job"]["ray_job_id"], first["ray_job"]["is_new"]) == (f"ablate-{first['study_id']}", True)
    assert (again["ray_job"]["ray_job_id"], again["ray_job"]["is_new"]) == (first["ray_job"]["ray_job_id"], False)
    assert (again["study_id"], again["priority"]) == (first["study_id"], 3)
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
