"""Benchmarks at branching points and held-out losses from a study's file to its tables: real training, real evaluation."""

import json

import pytest

from tests.support import corpora
from tests.support.lab import ablate, in_process

CATALOGUE = """
kind: catalogue
name: lab
benchmarks:
  loss-ours: {files: ours, metric: loss, layout: llava}
"""
STUDY = """
name: cut
question: How long, and how does it get there?
recipe: single-image
set:
  sft: {batch: 4, warmup_steps: 0, schedule: wsd, branch_every: 2, decay_steps: 1}
  sft.images: {mode: single, tile: low, tokens: few}
  evaluate.num_items: 4
vary: {sft.steps: [4, 6]}
evaluate: {benchmarks: [form-fields, loss-general, loss-ours], at_branches: [loss-general, loss-ours]}
select: {maximize: form-fields, baseline: {sft.steps: 4}}
"""


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """What `ablate results --json` says of the study, after it was run from its file."""
    folder = tmp_path_factory.mktemp("lab")
    corpora.llava(folder / "ours", "general", 5)
    records = folder / "ours" / "general.jsonl"
    records.write_text(records.read_text().replace("train/", "images/train/"))
    (folder / "catalogue.yaml").write_text(CATALOGUE)
    (folder / "cut.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        in_process(patch, folder)
        done = ablate("run", str(folder / "cut.yaml"), "--json")
        assert done.exit_code == 0, done.output
        yield json.loads(done.stdout)


def test_intermediate_checkpoints_are_scored_and_shared_by_arms(ran):
    names = {arm["key"]: arm["name"] for arm in ran["arms"]}
    found = {(names[each["arm_key"]], each["step"], each["benchmark"]): each["score"] for each in ran["at_branches"]}
    assert {(name, step) for name, step, _ in found} == {("steps=4", 2), ("steps=6", 2), ("steps=6", 4)}
    for benchmark in ("loss-general", "loss-ours"):
        assert found["steps=4", 2, benchmark] == found["steps=6", 2, benchmark]
        assert 0 < found["steps=6", 4, benchmark] < 12
    assert ran["counts"]["trials_done"] == 2
    # two imports aside: trunk 0-2, 2-4 and 4-5 or the two ends, three final scores each, two scores at two points
    assert ran["counts"]["stages_unique"] == 4 + 2 * 3 + 2 * 2


def test_the_parts_of_a_stage_are_one_row_of_the_training_data(ran):
    names = {arm["key"]: arm["name"] for arm in ran["arms"]}
    seen = {(names[each["arm_key"]], each["num_trials"]): 0.0 for each in ran["data"]}
    for each in ran["data"]:
        seen[names[each["arm_key"]], each["num_trials"]] += each["samples"]
    assert seen == {("steps=4", 1): 16, ("steps=6", 1): 24}


def test_losses_are_metrics_of_their_own_kind(ran):
    kinds = {each["name"]: (each["kind"], each["category"]) for each in ran["metrics"]}
    assert kinds["loss-general"] == kinds["loss-ours"] == ("loss", "held_out")
    assert "held_out" not in kinds
    assert ran["verdict"]["kind"] != "incomplete"


def test_they_are_printed_kept_and_scored_again(ran):
    text = ablate("results", "cut").stdout
    assert "at branching points" in text
    assert "held-out loss in nats" in text
    shown = json.loads(ablate("items", "cut", "--benchmark", "loss-ours", "--json").stdout)["items"]
    assert len(shown) == 4
    assert all("nats over" in each["prediction"] for each in shown)
    assert ablate("rescore", "cut").exit_code == 0
    assert ablate("data", "check").exit_code == 0
