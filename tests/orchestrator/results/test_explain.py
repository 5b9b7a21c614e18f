"""Changes planted into every kind of file: the sentence names the field and the file of each."""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from model.data import fingerprint
from model.manifest import publish
from orchestrator.artifacts import store
from orchestrator.errors import StudyError
from orchestrator.ledger.engine import Engine, open_ledger
from orchestrator.ledger.submit import submit
from orchestrator.plan import identity, stages
from orchestrator.plan.plan import Plan, Planner
from orchestrator.results.explain import Explanation, explain_plan, explain_stage
from orchestrator.study.catalogue import load_catalogue
from orchestrator.study.study import load_study

STUDY = """name: planted
question: Which field changed?
recipe: ./ours.yaml
set: {sft.clip: 0.5}
vary: {sft.mixture.alpha.science: [0, 0.1]}
seeds: [3]
evaluate: {benchmarks: [science-names]}
select: {maximize: science-names, baseline: {sft.mixture.alpha.science: 0}}
"""
RECIPE = """kind: recipe
name: ours
about: Fine-tuning after continual pre-training.
start: pretrained
continual:
  images: {mode: single, tile: high, tokens: many}
  mixture: {ocr: 0.5, recap: 0.5}
sft:
  images: {mode: static, tile: high, tokens: many}
  mixture: {alpha: {general: 1}}
"""
SCALE = """kind: scale
name: lab
about: A small scale of a laboratory.
models:
  base: {preset: tiny, start: "packaged:tiny"}
  larger: {preset: tiny-wide, start: noise}
levels:
  tile: {low: 24, high: 32}
  tokens: {few: 4, many: 9}
suite: workbench
data: {source: workbench, seed: 1}
train: {optimizer: adamw, lr: 5e-4, batch: 16, steps: 240, warmup_steps: 10, threads: 1, max_tokens: 2048}
continual: {steps: 150, final_lr: 0.1}
sft: {weight_decay: 0.1}
evaluate: {threads: 1}
recipes: {ours: {sft: {lr: 3e-4}}}
resources: {flops_per_s: 6e10}
"""
FILES = {"planted.yaml": STUDY, "ours.yaml": RECIPE, "lab.yaml": SCALE}

IN_STUDY = [
    *(("{sft.clip: 0.5}", f"{{sft.clip: 0.5, {path}: {value}}}", f"set.{path}") for path, value in (
        ("sft.steps", 100), ("sft.batch", 8), ("sft.lr", 0.001), ("sft.lr", "mm1"), ("sft.warmup_steps", 5), ("sft.schedule", "constant"),
        ("sft.optimizer", "adafactor"), ("sft.weight_decay", 0.2), ("sft.max_tokens", 1024), ("sft.dtype", "bf16"), ("sft.pack", 4096),
        ("sft.freeze_vision", "true"), ("sft.images.mode", "single"), ("sft.images.tile", "low"), ("sft.images.tokens", "few"),
        ("sft.images.indicator", "seps"), ("sft.images.overview", "after"), ("sft.images.grid", "[2, 6]"),
        ("sft.mixture.alpha.math", 0.2), ("sft.mixture.weights.text", 0.1), ("continual.steps", 60), ("continual.lr", 0.01),
        ("evaluate.images.tile", "low"), ("evaluate.num_items", 50), ("model", "larger"), ("start", "noise"),
        ("model.decoder.layers", 1), ("data.seed", 7),
    )),
    ("{sft.clip: 0.5}", "{}", "set.sft.clip"),
    ("[0, 0.1]", "[0, 0.3]", "vary.sft.mixture.alpha.science[1]"),
    ("[3]", "[4]", "seeds"),
    ("[science-names]", "[science-names, scene-qa]", "evaluate.benchmarks"),
]
IN_RECIPE = [
    ("continual:\n  images: {mode: single, tile: high, tokens: many}\n  mixture: {ocr: 0.5, recap: 0.5}\n", "", "continual"),
    ("mode: single, tile: high, tokens: many", "mode: single, tile: high, tokens: few", "continual.images.tokens"),
    ("mode: static, tile: high, tokens: many", "mode: single, tile: high, tokens: many", "sft.images.mode"),
    ("mode: static, tile: high", "mode: static, tile: low", "sft.images.tile"),
    ("{alpha: {general: 1}}", "{alpha: {general: 1, code: 0.4}}", "sft.mixture.alpha.code"),
    ("start: pretrained", "start: noise", "start"),
]
IN_SCALE = [
    ("preset: tiny,", "preset: tiny-narrow,", "models.base.preset"),
    ('start: "packaged:tiny"', "start: noise", "models.base.start"),
    ("{low: 24, high: 32}", "{low: 24, high: 40}", "levels.tile.high"),
    ("many: 9", "many: 16", "levels.tokens.many"),
    ("source: workbench, seed: 1", "source: workbench, seed: 2", "data.seed"),
    ("batch: 16", "batch: 12", "train.batch"),
    ("steps: 240", "steps: 200", "train.steps"),
    ("steps: 150", "steps: 100", "continual.steps"),
    ("weight_decay: 0.1", "weight_decay: 0.2", "sft.weight_decay"),
    ("lr: 3e-4", "lr: 1e-4", "recipes.ours.sft.lr"),
    ("evaluate: {threads: 1}", "evaluate: {threads: 2}", "evaluate.threads"),
]
PLANTED = [*(("planted.yaml", *each) for each in IN_STUDY), *(("ours.yaml", *each) for each in IN_RECIPE),
           *(("lab.yaml", *each) for each in IN_SCALE)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study, its recipe and its scale, and a start checkpoint without shapes of its own."""
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    publish(tmp_path / "checkpoint", lambda folder: (folder / "weights").write_text("w") and None)
    monkeypatch.setattr(store, "packaged", lambda _: tmp_path / "checkpoint")
    return tmp_path


@pytest.fixture
def plan(folder: Path) -> Callable[[], Plan]:
    """Plan the study as its files are now."""
    return lambda: Planner(load_study(folder / "planted.yaml"), str(folder / "lab.yaml")).plan()


@pytest.fixture
def before(folder: Path, plan: Callable[[], Plan]) -> Engine:
    """A ledger that holds the study as it was."""
    engine = open_ledger(f"sqlite:///{folder}/ledger.db")
    submit(engine, plan())
    return engine


@pytest.fixture
def why(folder: Path, before: Engine, plan: Callable[[], Plan]) -> Callable[[], list[Explanation]]:
    """Explain what is new now."""
    return lambda: explain_plan(plan(), before, scale=str(folder / "lab.yaml"))


def test_fifty_changes_and_more_are_planted() -> None:
    outside = 5  # the tests below: versions, weights, the catalogue
    assert len(PLANTED) + outside >= 50


@pytest.mark.parametrize(("file", "old", "new", "field"), PLANTED, ids=[f"{each[0]}-{each[3]}-{i}" for i, each in enumerate(PLANTED)])
def test_planted_change_is_named(folder: Path, why: Callable[[], list[Explanation]], file: str, old: str, new: str, field: str) -> None:
    text = FILES[file]
    assert text.count(old) == 1
    (folder / file).write_text(text.replace(old, new))
    found = why()
    assert found
    for each in found:
        named = [(Path(difference.origin.file).name, difference.origin.field) for difference in each.differences]
        assert named == [(file, field)], each.sentence
        assert f"{field} in {folder / file}" in each.sentence or f"{field} in {file}" in each.sentence


def test_nothing_is_new_where_nothing_changed(why: Callable[[], list[Explanation]]) -> None:
    assert why() == []


def test_line_and_both_values_are_said(folder: Path, why: Callable[[], list[Explanation]]) -> None:
    (folder / "lab.yaml").write_text(SCALE.replace("steps: 150", "steps: 100"))
    assert why()[0].sentence == (
        f"continual science=0 is new: continual.steps in {folder}/lab.yaml:13 is 100, and 150 in the nearest stage there is, "
        "continual science=0 of planted@1 (lab).")


def test_a_raised_version_of_the_code_is_named(why: Callable[[], list[Explanation]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(identity.VERSIONS, "sft", 99)
    monkeypatch.setattr(stages, "VERSIONS", identity.VERSIONS)
    assert {"VERSIONS of sft in orchestrator/plan/identity.py is 99, and 1"} == {str(each.differences[0]) for each in why()}


def test_a_raised_version_of_the_generated_data_is_named(
    folder: Path, before: Engine, plan: Callable[[], Plan], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(fingerprint.VERSIONS, "science", 99)
    monkeypatch.setattr("orchestrator.study.catalogue._generated", fingerprint.data_fingerprint)
    found = explain_plan(plan(), before, scale=str(folder / "lab.yaml"))
    assert {each.differences[0].origin.file for each in found} == {"model/workbench/__init__.py"}


def test_other_weights_of_the_start_checkpoint_are_named(
    folder: Path, why: Callable[[], list[Explanation]], monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(folder / "another", lambda into: (into / "weights").write_text("v") and None)
    monkeypatch.setattr(store, "packaged", lambda _: folder / "another")
    assert "the content in packaged:tiny is" in why()[0].sentence


def records(path: Path, answer: str) -> None:
    turns = [{"from": "human", "value": "What?"}, {"from": "gpt", "value": answer}]
    path.write_text(json.dumps([{"id": str(i), "conversations": turns} for i in range(4)]))


@pytest.mark.parametrize(("old", "new", "field"), [
    ("take: 3", "take: 2", "datasets.general.ours.take"), ("", "", "datasets.general.files")], ids=["catalogue", "content"])
def test_a_changed_data_set_is_named(folder: Path, old: str, new: str, field: str) -> None:
    (folder / "lab.yaml").write_text(SCALE.replace("source: workbench", "source: catalogue"))
    (folder / "planted.yaml").write_text(STUDY.replace("[0, 0.1]", "[0]"))
    (folder / "ours.yaml").write_text("".join(RECIPE.partition("continual:")[0]) + "sft:" + RECIPE.partition("sft:")[2])
    catalogue = folder / "catalogue.yaml"
    catalogue.write_text("kind: catalogue\nname: own\ndatasets: {general: {ours: {own: true, layout: llava, files: [a.json], take: 3}}}\n")
    records(folder / "a.json", "one")
    load = partial(load_catalogue, catalogue, cache=folder / "cache")
    engine = open_ledger(f"sqlite:///{folder}/ledger.db")
    submit(engine, Planner(load_study(folder / "planted.yaml"), str(folder / "lab.yaml"), catalogue=load).plan())
    catalogue.write_text(catalogue.read_text().replace(old, new) if old else catalogue.read_text())
    records(folder / "a.json", "one" if old else "another")
    plan = Planner(load_study(folder / "planted.yaml"), str(folder / "lab.yaml"), catalogue=load).plan()
    found = explain_plan(plan, engine, scale=str(folder / "lab.yaml"), catalogue="catalogue.yaml")
    assert {f"{field} in catalogue.yaml"} <= {str(difference.origin) for each in found for difference in each.differences}


def test_stage_of_the_ledger_is_compared_with_what_was_there_before(before: Engine) -> None:
    found = explain_stage(before, "sft science=0.1 seed 3")
    assert "vary.sft.mixture.alpha.science[1]" in found.sentence
    assert " is 0.1, and 0 in the nearest stage there is, sft science=0 seed 3 of planted@1 (lab)." in found.sentence
    assert explain_stage(before, found.stage_id[:8]) == found


def test_first_stage_of_its_kind_says_so(before: Engine) -> None:
    said = explain_stage(before, "continual science=0").sentence
    assert said == "continual science=0 is new: it is the first continual stage in the ledger."


def test_unknown_stage_is_an_error_with_a_hint(before: Engine) -> None:
    with pytest.raises(StudyError, match="no stage of the ledger has this label"):
        explain_stage(before, "sft science=7 seed 0")
