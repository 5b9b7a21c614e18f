"""lmms-eval itself, on local files made in the test, with our model: its scores are what our own evaluation finds.

Needs lmms-eval; `make lmms` runs these in an environment of their own.
"""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from model.config.stages import DataConfig, EvaluateConfig, ImageConfig
from model.data.encoding import Encoder
from model.data.tokenizer import load_tokenizer
from model.evaluation.stage import evaluate_stage
from model.network.mm15 import MM15
from model.samples import Sample, Turn
from tests.lmms.local_task import ANSWERS, CHOICES, items, write_task

pytestmark = pytest.mark.lmms
ROOT = Path(__file__).resolve().parents[2]
TINY = ROOT / "model" / "checkpoints" / "tiny"
IMAGES = ImageConfig(mode="dynamic", tile=64, tokens=16, n_min=1, n_max=4)
ARGUMENTS = f"checkpoint={TINY},mode=dynamic,tile=64,tokens=16,n_min=1,n_max=4"
COUNT = 24


def called(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Call lmms-eval as a user does, without network."""
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "PYTHONPATH": str(ROOT)}
    return subprocess.run([sys.executable, "-m", "lmms_eval", "--model", "mm15", "--include_path", str(folder), *words],
                          cwd=folder, env=environment, capture_output=True, text=True, timeout=280, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tasks")
    write_task(folder, ANSWERS, items("scene-qa", COUNT))
    write_task(folder, CHOICES, items("scene-choice", COUNT))
    return folder


@pytest.fixture(scope="module")
def out(folder):
    """What lmms-eval wrote of both tasks."""
    found = called(folder, "--model_args", ARGUMENTS, "--tasks", "workbench_answers,workbench_choices", "--batch_size", "5",
                   "--output_path", str(folder / "out"), "--log_samples")
    assert found.returncode == 0, found.stdout + found.stderr
    return folder / "out"


def document(out):
    (path,) = out.rglob("*_results.json")
    return json.loads(path.read_text(encoding="utf-8"))


def logged(out, task):
    (path,) = out.rglob(f"*_samples_{task}.jsonl")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return sorted(rows, key=lambda row: row["doc_id"])


def test_answers_are_those_of_our_own_evaluation(out, tmp_path):
    own = evaluate_stage(benchmark="scene-qa", config=EvaluateConfig(images=IMAGES, benchmarks=("scene-qa",), num_items=COUNT, batch=5),
                         data=DataConfig(), checkpoint=TINY, out=tmp_path / "own", report=lambda _: None, should_stop=lambda: False)
    kept = [json.loads(line)["prediction"] for line in (tmp_path / "own" / "items.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["filtered_resps"] for row in logged(out, "workbench_answers")] == [text.strip() for text in kept]
    assert document(out)["results"]["workbench_answers"]["exact_match,none"] * 100 == pytest.approx(own["score"])
    assert 20 < own["score"] <= 100


def loss_of(model, encoder, item, letter):
    """Weigh a choice by itself: the training loss of the answer, less that of the mark of its end."""
    sample = Sample(sample_id="x", category="general", turns=(Turn(item.question, letter),), images=item.images)
    batch = encoder.collate([encoder.sample(sample)])
    with torch.no_grad():
        logits = model.decoder(inputs_embeds=model.embed(batch, tokens=IMAGES.tokens)).logits[0].log_softmax(-1)
    wanted = [place for place, label in enumerate(batch.labels_BT[0].tolist()) if label >= 0][:-1]
    return -sum(float(logits[place, batch.labels_BT[0, place]]) for place in wanted) / len(wanted)


def test_choices_are_weighed_by_the_loss_of_each_alone(out):
    model, tokenizer = MM15.from_pretrained(TINY, tile=64).eval(), load_tokenizer(TINY)
    encoder = Encoder(tokenizer, IMAGES, max_tokens=model.config.decoder.context)
    made, rows = items("scene-choice", COUNT), logged(out, "workbench_choices")
    expected = [[loss_of(model, encoder, item, letter) for letter in "ABCD"[: len(item.options)]] for item in made]
    found = [[pair[0] for pair in row["filtered_resps"]] for row in rows]
    assert all(math.isclose(float(a), b, rel_tol=1e-3, abs_tol=1e-4)
               for mine, theirs in zip(found, expected, strict=True) for a, b in zip(mine, theirs, strict=True))
    right = [losses.index(min(losses)) == "ABCD".index(item.references[0]) for losses, item in zip(expected, made, strict=True)]
    assert document(out)["results"]["workbench_choices"]["acc,none"] == pytest.approx(sum(right) / COUNT)


def test_results_say_which_checkpoint_and_images(out):
    config = document(out)["config"]
    assert (config["model"], config["model_args"]) == ("mm15", ARGUMENTS)
    assert document(out)["n-samples"]["workbench_answers"] == {"original": COUNT, "effective": COUNT}


def test_a_task_that_samples_stops_with_the_reason(folder, tmp_path):
    write_task(tmp_path, ANSWERS.replace("do_sample: false", "do_sample: true"), items("scene-qa", 2))
    found = called(tmp_path, "--model_args", ARGUMENTS, "--tasks", "workbench_answers", "--output_path", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()  # lmms-eval leaves with exit code 0 all the same
    assert "workbench_answers/0: do_sample: True; allowed: greedy decoding" in found.stdout + found.stderr


def test_neither_torchvision_nor_timm_is_imported():
    words = ("import sys, lmms_eval.__main__, lmms_eval.evaluator, model.evaluation.lmms_eval.adapter\n"
             "print({'torchvision', 'timm'} & {*sys.modules})")
    found = subprocess.run([sys.executable, "-c", words], cwd=ROOT, capture_output=True, text=True, timeout=200, check=False)
    assert found.stdout.splitlines()[-1] == "set()"
