"""The real worker: a tiny model trained for two steps and evaluated on two items."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from model import manifest
from model.config.catalogue import CatalogueConfig, CopyConfig
from model.config.fields import to_plain
from model.config.scoring import ScoringConfig
from model.config.stages import PRESETS, DataConfig, EvaluateConfig, ImageConfig, SftConfig
from model.evaluation.benchmarks.registry import SUITES
from model.evaluation.local_copies.fingerprint import copy_fingerprint
from model.training import loop
from orchestrator.execution import worker
from orchestrator.plan.identity import stage_identity
from tests.support import copies

IMAGES = ImageConfig(mode="single", tile=64, tokens=16)
TRAIN = SftConfig(images=IMAGES, steps=2, batch=2, lr=1e-3, optimizer="adamw")
BENCHMARK = SUITES["workbench"][0]
EVALUATE = EvaluateConfig(images=IMAGES, benchmarks=(BENCHMARK,), num_items=2)


def order_of(root, spec, *, parent=None, name="1"):
    spec = {"version": 1, "model": to_plain(PRESETS["tiny"]), "data": to_plain(DataConfig()), "data_fingerprint": "x", **spec}
    stage_id = stage_identity(spec)
    folder = root / stage_id / name
    return {"attempt_id": name, "attempt_no": 1, "stage_id": stage_id, "kind": spec["kind"], "label": "x",
            "spec": json.loads(json.dumps(spec)), "parent": parent,
            "attempt_dir": str(folder), "out": str(folder / "out"), "checkpoints": str(root / stage_id / "checkpoints")}


def train_order(root, config=TRAIN, **more):
    return order_of(root, {"kind": "sft", "config": to_plain(config), "seed": 0, "parent_id": None}, **more)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A trained stage: its order and its record."""
    order = train_order(tmp_path_factory.mktemp("trained"))
    return order, worker.execute(order)


def evaluate_order(root, parent):
    config = to_plain(EVALUATE)
    return order_of(root, {"kind": "evaluate", "benchmark": BENCHMARK, "config": config, "parent_id": "p"}, parent=parent)


def test_a_training_stage_publishes_a_checkpoint(trained):
    order, record = trained
    assert record["state"] == "SUCCEEDED", record["failure"]
    assert record["result"]["samples"] == 4
    assert "model.safetensors" in manifest.verify(Path(order["out"]))["files"]


def test_an_evaluate_stage_scores_it(trained, tmp_path):
    record = worker.execute(evaluate_order(tmp_path, trained[0]["out"]))
    assert record["state"] == "SUCCEEDED", record["failure"]
    assert (record["result"]["benchmark"], record["result"]["num_items"]) == (BENCHMARK, 2)
    assert 0 <= record["result"]["score"] <= 100


def test_an_evaluation_without_a_checkpoint_is_an_error(tmp_path):
    record = worker.execute(evaluate_order(tmp_path, None))
    assert record["failure"]["message"] == "evaluate needs a checkpoint; its stage has no parent"


def test_a_stopped_training_is_preempted_and_the_next_attempt_ends_the_same(trained, tmp_path):
    asked = iter([False, True])
    first = worker.execute(train_order(tmp_path), should_stop=lambda: next(asked))
    second = worker.execute(train_order(tmp_path, name="2"))
    assert (first["state"], second["state"], second["result"]["resumed_from"]) == ("PREEMPTED", "SUCCEEDED", 1)
    assert second["result"]["checkpoint_identity"] == trained[1]["result"]["checkpoint_identity"]


@pytest.mark.parametrize(("error", "state", "message"), [
    (loop.Diverged({"what": "loss", "step": 3, "losses": [1.0]}), "DIVERGED", "non-finite loss at step 3"),
    (torch.OutOfMemoryError("CUDA out of memory"), "RESOURCE", "hint: a smaller micro_batch"),
])
def test_foreign_exceptions_are_mapped(tmp_path, monkeypatch, error, state, message):
    def train_stage(**_):
        raise error

    monkeypatch.setattr(worker, "train_stage", train_stage)
    record = worker.execute(train_order(tmp_path))
    assert record["state"] == state
    assert message in record["failure"]["message"]


def test_threads_are_those_of_the_configuration(tmp_path):
    worker.execute(train_order(tmp_path, replace(TRAIN, steps=1, threads=2)))
    assert torch.get_num_threads() == 2
    worker.execute(train_order(tmp_path, replace(TRAIN, steps=1)))
    assert torch.get_num_threads() == 1


def copy_order(root, parent, folder, fingerprint=None, benchmark="docvqa", **more):
    """Order an evaluation that reads a local copy, as a plan does."""
    catalogue = CatalogueConfig(name="lab", sources=(), benchmarks=(CopyConfig(name=benchmark, folder=str(folder)),))
    data, scoring = replace(DataConfig(), catalogue=catalogue), more.pop("scoring", ScoringConfig())
    config = to_plain(replace(EVALUATE, benchmarks=(benchmark,), num_items=0, scoring=scoring))
    spec = {"kind": "evaluate", "benchmark": benchmark, "config": config, "parent_id": "p", "data": to_plain(data),
            "data_fingerprint": fingerprint or copy_fingerprint(catalogue, benchmark)}
    return order_of(root, spec, parent=parent) | more


def test_an_evaluate_stage_reads_the_copy_that_it_is_named_by(trained, tmp_path):
    order = copy_order(tmp_path, trained[0]["out"], copies.write(tmp_path, "docvqa"))
    record = worker.execute(order)
    assert record["state"] == "SUCCEEDED", record["failure"]
    assert record["result"]["details"] == {"choices": {"anls_form": "rrc"}}


def test_a_copy_that_has_changed_since_the_plan_is_refused(trained, tmp_path):
    record = worker.execute(copy_order(tmp_path, trained[0]["out"], copies.write(tmp_path, "docvqa"), fingerprint="0" * 64))
    assert record["state"] == "USER_ERROR"
    assert "files changed" in record["failure"]["message"]


def test_a_judge_that_nobody_names_an_endpoint_for_fails_rather_than_scoring_zero(trained, tmp_path):
    folder = copies.write(tmp_path, "mm-vet")
    record = worker.execute(copy_order(tmp_path, trained[0]["out"], folder, benchmark="mm-vet", scoring=ScoringConfig(judge="judge-1")))
    assert record["state"] == "USER_ERROR"
    assert "ABLATE_JUDGE_URL" in record["failure"]["message"]
