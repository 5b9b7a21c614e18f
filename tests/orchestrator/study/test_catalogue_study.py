"""A study on data sets of one's own, from the command line to its verdict: real worker, real training, real evaluation."""

import functools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from orchestrator.cli import run
from orchestrator.cli.main import main
from orchestrator.driver import loop
from orchestrator.execution import worker
from orchestrator.execution.executor import InlineExecutor
from tests.support import corpora
from tests.support.hub_server import COMMIT, HOST, hub_server

STUDY = """
name: own-data
question: Does science from our own shards help?
recipe: sft-ablation
set:
  data.source: catalogue
  sft: {steps: 3, batch: 4, warmup_steps: 0}
  sft.images: {mode: single, tile: low}
  evaluate.num_items: 8
vary: {sft.mixture.alpha.science: [0, 0.5]}
seeds: 1
evaluate: {benchmarks: [science-names]}
select: {maximize: science-names, baseline: {sft.mixture.alpha.science: 0}}
"""
CATALOGUE = """
kind: catalogue
name: lab
datasets:
  general:
    LLaVA v1.5 GQA: {layout: llava, files: [a/general.jsonl], images: a/images}
    ours: {own: true, layout: cauldron, files: ["b/general-*.parquet"]}
  science:
    ScienceQA: {layout: llava, files: ["c/science-*.tar"]}
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """A folder with data, a catalogue, a study, and a driver that works in this process."""
    corpora.llava(tmp_path / "a", "general", 6)
    corpora.cauldron(tmp_path / "b", "general", 4)
    corpora.webdataset(tmp_path / "c", "science", 5)
    (tmp_path / "catalogue.yaml").write_text(CATALOGUE)
    (tmp_path / "own-data.yaml").write_text(STUDY)
    monkeypatch.setenv("ABLATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("ABLATE_CATALOGUE", str(tmp_path / "catalogue.yaml"))
    monkeypatch.setenv("ABLATE_MLFLOW_URI", "off")
    monkeypatch.setattr(run, "drive", functools.partial(loop.drive, executor=lambda _: InlineExecutor(worker.execute)))
    return tmp_path


def ablate(lab, *words):
    return CliRunner().invoke(main, [words[0], str(lab / "own-data.yaml"), *words[1:]])


def stage_results(lab):
    records = [json.loads(path.read_text()) for path in (lab / "home" / "artifacts").rglob("result.json")]
    return [record["result"] for record in records if "sources" in (record["result"] or {})]


def data_rows(page):
    """The rows of the report's table of training data: source -> its numbers, of the last arm that has it."""
    table = page.read_text().partition("<h2>Training data</h2>")[2].partition("</table>")[0]
    rows = [re.findall(r"<td[^>]*>(.*?)</td>", row) for row in table.split("<tr>")[2:]]
    return {row[2]: row[3:] for row in rows}


def test_a_study_on_own_data_runs_to_its_verdict_and_reports_its_sources(lab):
    done = ablate(lab, "run", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["counts"]["trials_done"] == 2
    (without,), (with_science,) = ([each["sources"] for each in stage_results(lab) if ("science/ScienceQA" in each["sources"]) == wanted]
                                   for wanted in (False, True))
    assert set(without) == {"general/LLaVA v1.5 GQA", "general/ours"}
    assert with_science["science/ScienceQA"]["samples"] == 4
    assert with_science["science/ScienceQA"]["passes"] == 4 / 5
    (science,) = [row for row in json.loads(done.stdout)["data"] if row["source"] == "science/ScienceQA"]
    assert (science["kind"], science["asked"], science["samples"], science["passes"]) == ("sft", 4, 4, 0.8)
    shown = CliRunner().invoke(main, ["results", "own-data", "--data"]).stdout
    assert "science/ScienceQA" in shown
    page = lab / "page.html"
    assert CliRunner().invoke(main, ["report", "own-data", "--output", str(page)]).exit_code == 0
    assert data_rows(page)["science/ScienceQA"][:2] == ["4.0", "4.0"]  # asked for, drawn
    assert data_rows(page)["science/ScienceQA"][-4:-2] == ["0.80", "0"]  # passes, skipped; filled, waited
    assert 0.5 < science["filled"] <= 1
    assert 0 < science["data_wait"] < 1
    again = ablate(lab, "run")
    assert "nothing to do" in again.stderr


ON_THE_HUB = """
    theirs: {own: true, layout: cauldron, hub: someone/charts, subset: charts, revision: "%s"}
"""


@pytest.fixture
def with_a_hub(lab, monkeypatch):
    """The same lab with a data set on a hub, and an environment in which commands ask that hub."""
    corpora.cauldron(lab / "theirs", "general", 4, files=1)
    with hub_server(lab) as hub:
        hub.repositories["datasets/someone/charts"] = {"charts/train-00000-of-00001.parquet":
                                                       (lab / "theirs" / "general-00000.parquet").read_bytes()}
        for name, value in {**hub.environment(), "HOME": str(lab)}.items():  # neither Ray nor the hub's client may write into the user's
            monkeypatch.setenv(name, value)
        for name in ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "HF_HOME"):
            monkeypatch.delenv(name, raising=False)
        catalogue = f"remote: {{schemes: [https], hosts: [{HOST}]}}\n" + CATALOGUE.replace("  science:", ON_THE_HUB % COMMIT + "  science:")
        (lab / "catalogue.yaml").write_text(catalogue)
        yield lab


def command(*words):
    return subprocess.run([Path(sys.executable).parent / "ablate", *words, "--json"], capture_output=True, text=True,
                          cwd=Path(__file__).parents[3])


def test_the_command_itself_runs_it_on_ray_from_json_parquet_tar_and_hub(with_a_hub):
    lab = with_a_hub
    checked = {each["name"]: each for each in json.loads(command("data", "check").stdout)["datasets"]}
    assert (checked["theirs"]["is_ok"], checked["theirs"]["size"]) == (True, 4)
    done = command("run", lab / "own-data.yaml")
    assert done.returncode == 0, done.stderr
    assert not (lab / ".ray").exists()  # the token is of the process, not of the user
    found = json.loads(done.stdout)
    assert found["counts"]["trials_done"] == 2
    assert {row["source"] for row in found["data"] if row["samples"]} == {"general/LLaVA v1.5 GQA", "general/ours", "general/theirs",
                                                                           "science/ScienceQA"}
    said = [json.loads(path.read_text()) for path in (lab / "home" / "artifacts").rglob("result.json")]
    assert len(said) == 4
    assert os.getpid() not in {each["pid"] for each in said}


def test_changed_data_are_another_study_and_the_difference_is_shown(lab):
    assert ablate(lab, "run").exit_code == 0
    corpora.webdataset(lab / "c", "science", 7)
    changed = ablate(lab, "run")
    assert changed.exit_code == 2
    assert "data.science: " in changed.stderr
    assert "--update" in changed.stderr
    assert ablate(lab, "run", "--update").exit_code == 0
    assert len(stage_results(lab)) == 3  # the baseline, which draws no science, was not trained again


def test_a_broken_sample_fails_its_stage_with_file_and_index(lab):
    path = Path(lab / "a" / "general.jsonl")
    path.write_text("\n".join("{broken" for _ in path.read_text().splitlines()))
    failed = ablate(lab, "run")
    assert failed.exit_code == 1
    said = " ".join(CliRunner().invoke(main, ["status", "own-data"]).stdout.split())  # wrapped where the path ends
    assert "general.jsonl:" in said
    assert "not JSON" in said


def test_without_data_it_can_be_planned_and_not_run(lab, monkeypatch):
    monkeypatch.delenv("ABLATE_CATALOGUE")
    planned = json.loads(ablate(lab, "plan", "--json").stdout)
    assert planned["missing_data"] == ["general", "science"]
    refused = ablate(lab, "run")
    assert refused.exit_code == 2
    assert "no data set is configured for general, science" in refused.stderr


def test_a_study_cannot_name_files(lab):
    path = lab / "own-data.yaml"
    path.write_text(STUDY.replace("data.source: catalogue", "data.source: catalogue\n  data.catalogue.name: mine"))
    refused = ablate(lab, "plan")
    assert refused.exit_code == 2
    assert "a study cannot name files" in refused.stderr
