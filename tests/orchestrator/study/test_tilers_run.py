"""A study whose arms are the tilers of three other models runs from its file to its verdict: real training, real evaluation."""

import json

import pytest

from tests.support.lab import ablate, in_process

STUDY = """
name: three-tilers
question: Which of three rules is best?
recipe: single-image
set:
  sft: {steps: 2, batch: 4, warmup_steps: 0}
  sft.images: {tile: low, tokens: few, grid: [1, 4]}
  evaluate.num_items: 4
arms:
  anyres: {sft.images.mode: anyres}
  internvl: {sft.images.mode: internvl}
  idefics3: {sft.images.mode: idefics3}
evaluate: {benchmarks: [form-fields]}
select: {maximize: form-fields, baseline: anyres}
"""


@pytest.fixture
def file(tmp_path, monkeypatch):
    in_process(monkeypatch, tmp_path)
    monkeypatch.delenv("ABLATE_CATALOGUE")
    (tmp_path / "three.yaml").write_text(STUDY)
    return str(tmp_path / "three.yaml")


def test_three_tilers_are_trained_evaluated_and_judged(file):
    done = ablate("run", file, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["counts"]["trials_done"] == 3
    tokens = {arm["name"]: arm["metrics"]["tokens_per_image"]["mean"] for arm in found["arms"]}
    assert all(value > 4 for value in tokens.values())  # every rule splits pages
    assert found["verdict"]["kind"] != "incomplete"
