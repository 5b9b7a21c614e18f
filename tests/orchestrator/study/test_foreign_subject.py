"""A published model of another family stands in a study's table beside ours: trained nowhere, with items and differences."""

import json

import pytest

from model.weights.whole import publish_whole
from tests.support.foreign import llava_next
from tests.support.lab import ablate, in_process

STUDY = """
name: beside-theirs
question: How far is ours from a model of another family?
recipe: single-image
set:
  sft: {steps: 2, batch: 4, warmup_steps: 0}
  sft.images: {mode: single, tile: low}
  evaluate.num_items: 4
arms:
  ours: {}
  theirs: {evaluate.model: "operator:llava-next"}
evaluate: {benchmarks: [scene-qa, form-fields]}
select: {maximize: form-fields, baseline: theirs}
"""


@pytest.fixture
def lab(tmp_path, monkeypatch):
    in_process(monkeypatch, tmp_path)
    monkeypatch.delenv("ABLATE_CATALOGUE")
    (tmp_path / "beside.yaml").write_text(STUDY)
    return tmp_path


def test_it_is_evaluated_as_it_is_beside_a_trained_model(lab):
    publish_whole(llava_next(lab / "theirs"), lab / "home" / "checkpoints" / "llava-next")
    file = str(lab / "beside.yaml")
    planned = json.loads(ablate("plan", file, "--json").stdout)
    assert {row["kind"]: row["unique"] for row in planned["stages"]["by_kind"]} == {"sft": 1, "evaluate": 4}
    assert any("operator:llava-next answers by its own processor" in note for note in planned["notes"])
    done = ablate("run", file, "--json")
    assert done.exit_code == 0, done.output
    arms = {arm["name"]: arm for arm in json.loads(done.stdout)["arms"]}
    assert set(arms["theirs"]["metrics"]) >= {"scene-qa", "form-fields"}
    assert arms["theirs"]["tokens_per_image"] != arms["ours"]["tokens_per_image"]
    items = json.loads(ablate("items", "beside-theirs", "--arm", "ours", "--against", "theirs", "--json").stdout)["items"]
    assert len(items) == 8
    assert all(each["other"] is not None for each in items)


def test_where_it_is_missing_the_plan_says_so(lab):
    planned = ablate("plan", str(lab / "beside.yaml"))
    assert (planned.exit_code, "operator:llava-next" in planned.stdout) == (1, True)


def test_what_is_no_operators_checkpoint_is_refused_by_line(lab):
    (lab / "beside.yaml").write_text(STUDY.replace('"operator:llava-next"', "llava-hf/llava-v1.6"))
    refused = ablate("validate", str(lab / "beside.yaml"))
    assert (refused.exit_code, "allowed: operator:NAME" in refused.stderr) == (2, True)
