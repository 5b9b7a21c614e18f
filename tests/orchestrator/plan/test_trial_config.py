import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from model.config.architecture import PRESETS, read_shapes
from model.config.fields import to_plain
from model.manifest import identity, publish
from model.training.lr_rule import lr_of
from orchestrator.errors import StudyError
from orchestrator.plan import plan as plan_module
from orchestrator.plan import trial_config
from orchestrator.plan.factors import factors
from orchestrator.plan.plan import Plan, Planner
from orchestrator.plan.trial_config import resolve
from orchestrator.study.strict_yaml import parse
from orchestrator.study.study import Study, load_study

Write = Callable[..., Study]
Planned = Callable[..., Plan]
VARY = "vary: {sft.mixture.alpha.science: [0, 0.1, 0.5]}"


def test_arm_wins_over_set_over_scale_over_recipe(write: Write) -> None:
    study = write(("seeds: 2", "seeds: 2\nset: {sft.lr: 0.01, sft.batch: 8}"))
    config = resolve(study, "tiny", {"sft.batch": 4}, 0)
    assert config.sft is not None
    assert (config.sft.batch, config.sft.lr, config.sft.optimizer, config.sft.images.mode) == (4, 0.01, "adamw", "static")


@pytest.mark.parametrize(("scale", "tile", "tokens"), [("tiny", 32, 9), ("small", 168, 36), ("mm1.5-3b", 672, 144)])
def test_symbolic_levels_mean_what_the_scale_says(scale: str, tile: int, tokens: int) -> None:
    config = resolve(load_study("alpha-science"), scale, {}, 0)
    assert config.sft is not None
    assert (config.sft.images.tile, config.sft.images.tokens) == (tile, tokens)


def test_numbers_may_stand_for_symbolic_levels(write: Write) -> None:
    config = resolve(write(), "tiny", {"sft.images.tile": 80, "sft.images.tokens": 25}, 0)
    assert config.sft is not None
    assert (config.sft.images.tile, config.sft.images.tokens) == (80, 25)


def test_grid_is_two_fields_at_once(write: Write) -> None:
    config = resolve(write(), "tiny", {"sft.images.grid": [2, 6]}, 0)
    assert config.sft is not None
    assert (config.sft.images.n_min, config.sft.images.n_max) == (2, 6)


def test_mapping_changes_only_the_fields_it_names(write: Write) -> None:
    config = resolve(write(), "tiny", {"sft.images": {"mode": "single"}}, 0)
    assert config.sft is not None
    assert (config.sft.images.mode, config.sft.images.tile) == ("single", 32)


def test_inference_follows_training_images_unless_it_says_otherwise(write: Write) -> None:
    config = resolve(write(), "tiny", {"sft.images.tile": "low", "evaluate.images.grid": [1, 9]}, 0)
    assert (config.evaluate.images.tile, config.evaluate.images.n_min, config.evaluate.images.n_max) == (24, 1, 9)


def test_stage_of_no_steps_is_left_out() -> None:
    config = resolve(load_study("continual-resolution"), "tiny", {"continual.steps": 0, "sft.steps": 0}, 0)
    assert config.stages == {}


def test_inference_follows_the_last_stage_that_happens() -> None:
    config = resolve(load_study("continual-resolution"), "tiny", {"continual.images.tile": "low", "sft.steps": 0}, 0)
    assert config.evaluate.images.tile == 24


def test_larger_model_takes_its_own_start(write: Write) -> None:
    assert resolve(write(), "tiny", {}, 0).start == "packaged:tiny"
    assert resolve(write(), "tiny", {"model": "larger"}, 0).start == "operator:tiny-wide"
    assert resolve(write(), "mm1.5-3b", {"model": "larger"}, 0).start == "operator:mm1-7b"


def test_start_from_noise_forgets_the_checkpoint(write: Write) -> None:
    assert resolve(write(), "tiny", {"start": "noise"}, 0).start is None


def test_model_fields_can_be_factors(write: Write) -> None:
    assert resolve(write(), "tiny", {"model.connector.kind": "linear"}, 0).model.connector.kind == "linear"


def test_arm_may_take_another_recipe(write: Write) -> None:
    assert list(resolve(write(), "tiny", {"recipe": "mm1"}, 0).stages) == ["pretrain", "sft"]


def test_a_scale_may_take_the_rate_of_pre_training_from_the_rule_for_each_model(write: Write) -> None:
    rates = [resolve(write(("recipe: sft-ablation", "recipe: mm1")), "mm1.5-1b", {"model": model}, 0).stages["pretrain"].lr
             for model in ("base", "larger")]
    assert rates == [lr_of(PRESETS[name].decoder) for name in ("mm1.5-1b", "mm1.5-3b")]


def test_scale_may_differ_for_one_recipe() -> None:
    ablation, final = (resolve(load_study(name), "mm1.5-3b", {}, 0).sft for name in ("alpha-science", "final-recipe"))
    assert ablation is not None
    assert final is not None
    assert (ablation.lr, final.lr, final.steps) == (1e-5, 2e-5, 23000)


def test_configuration_is_printed_as_yaml_that_is_read_back(write: Write) -> None:
    text = resolve(write(), "tiny", {}, 1).to_yaml()
    values = parse(text.encode(), "f").values
    assert values["sft"]["mixture"]["alpha"]["general"] == 1.0
    assert values["seed"] == 1
    assert "pretrain" not in values


def test_value_from_a_verdict_needs_the_verdict(write: Write, checkpoint: Path) -> None:
    study = write(("seeds: 2", "seeds: 2\nset: {sft.mixture.alpha.math: {from_selection: alpha-math}}"))
    with pytest.raises(StudyError, match="set.sft.mixture.alpha.math: comes from the verdict of alpha-math.*\nhint: run alpha-math first"):
        Planner(study, "tiny").plan()


def test_value_from_a_verdict_is_taken(write: Write) -> None:
    study = write(("seeds: 2", "seeds: 2\nset: {sft.mixture.alpha.math: {from_selection: alpha-math}}"))
    config = resolve(study, "tiny", {}, 0, {"alpha-math": {"sft.mixture.alpha.math": 0.5}})
    assert config.sft is not None
    assert config.sft.mixture.alpha.math == 0.5


BAD = {
    "unknown root": ("{sfft.lr: [1e-5]}", "vary.sfft.lr[0]: 'sfft' begins no path\nhint: did you mean 'sft'"),
    "unknown field": ("{sft.mixture.alpha.sciense: [0]}", "vary.sft.mixture.alpha.sciense[0]: unknown field\nhint: did you mean 'science'"),
    "negative alpha": ("{sft.mixture.alpha.science: [0, -1]}", "4:39: vary.sft.mixture.alpha.science[1]: -1; allowed: 0 to 1000"),
    "weights beyond 1": ("{sft.mixture.weights.text: [0, 1.5]}", "vary.sft.mixture.weights.text[1]: 1.5; allowed: 0 to 1"),
    "text for a number": ("{sft.lr: ['1e-5']}", "vary.sft.lr[0]: '1e-5' is text; allowed: a number"),
    "steps as a float": ("{sft.steps: [0.0]}", "vary.sft.steps[0]: 0.0 is a number; allowed: a whole number"),
    "reversed grid": ("{sft.images.grid: [[9, 4]]}", "vary.sft.images.grid[0]: n_min 9 and n_max 4"),
    "half a grid": ("{sft.images.grid: [[9]]}", "allowed: [n_min, n_max]"),
    "no such level": ("{sft.images.tile: [hihg]}", "'hihg'; allowed at scale tiny: low, high, or a number"),
    "no such model": ("{model: [huge]}", "vary.model[0]: 'huge'; allowed at scale tiny: base, larger"),
    "no such start": ("{start: [warm]}", "vary.start[0]: 'warm'; allowed: pretrained, noise"),
    "no such recipe": ("{recipe: [fnal]}", "vary.recipe[0]: 'fnal' is no recipe\nhint: did you mean 'final'"),
    "stage of another recipe": ("{continual.steps: [1]}", "recipe sft-ablation has no continual stage; it has sft"),
    "tokens not square": ("{sft.images.tokens: [10]}", "vary.sft.images.tokens[0]: 10 is not a perfect square"),
    "value for a mapping": ("{sft.mixture.alpha: [1]}", "vary.sft.mixture.alpha[0]: 1 is not a mapping"),
    "benchmarks as a factor": ("{evaluate.benchmarks: [x]}", "name a suite or benchmarks under `evaluate:`"),
    "mapping as a level": ("{sft.mixture.weights: [{multi: 0.1}]}", "use `arms` for rows"),
}


@pytest.mark.parametrize("name", BAD)
def test_value_is_refused_at_its_line(name: str, planned: Planned) -> None:
    factor, message = BAD[name]
    with pytest.raises(StudyError) as caught:
        planned((VARY, f"vary: {factor}"), (", baseline: {sft.mixture.alpha.science: 0}", ""))
    assert message in str(caught.value)
    assert "written.yaml:4:" in str(caught.value)


def test_weights_that_do_not_sum_to_one_show_their_sum(planned: Planned) -> None:
    with pytest.raises(StudyError, match=r"arms.a.sft.mixture.weights.single: weights sum to 0.7 \(single 0.5, multi 0.1, text 0.1\)"):
        planned((VARY, "arms: {a: {sft.mixture.weights: {single: 0.5, multi: 0.1, text: 0.1}}}"),
                (", baseline: {sft.mixture.alpha.science: 0}", ""))


def test_bad_value_of_a_scale_is_reported_in_the_scale(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    scale = trial_config.load_scale("tiny")
    wrong = replace_train(scale, {**scale.train, "lr": 2})
    monkeypatch.setattr(trial_config, "load_scale", lambda _: wrong)
    with pytest.raises(StudyError, match=r"tiny.yaml:\d+:\d+: train.lr: 2; allowed: above 0"):
        resolve(write(), "tiny", {}, 0)


def replace_train(scale: trial_config.Scale, train: dict[str, object]) -> trial_config.Scale:
    changed = scale.model_copy(update={"train": train})
    changed._document = replace(scale._document)
    return changed


def test_every_factor_is_a_path_with_a_type() -> None:
    found = {factor.path: factor for factor in factors()}
    assert found["sft.mixture.alpha.science"].type == "a number"
    assert found["evaluate.images.indicator"].type == "none | seps | index"
    assert found["sft.images.tile"].type == "low | high, or px"
    assert "9" in str(found["sft.images.n_max"].default)
    assert "Optimizer steps" in found["pretrain.steps"].doc


def test_factor_paths_are_unique() -> None:
    paths = [factor.path for factor in factors()]
    assert len(paths) == len(set(paths))


@pytest.fixture
def of_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the scale take its shapes from an operator's checkpoint."""
    scale = trial_config.load_scale("tiny")
    base = scale.models["base"].model_copy(update={"preset": "checkpoint", "start": "operator:imported"})
    changed = scale.model_copy(update={"models": {**scale.models, "base": base}})
    changed._document = replace(scale._document)
    for module in (trial_config, plan_module):
        monkeypatch.setattr(module, "load_scale", lambda _: changed)


@pytest.mark.usefixtures("of_checkpoint")
def test_shapes_of_an_imported_checkpoint_are_those_it_holds(write: Write, tmp_path: Path) -> None:
    plain = to_plain(replace(PRESETS["tiny"], decoder=replace(PRESETS["tiny"].decoder, transformers='{"model_type": "llama"}')))
    for name, content in {"imported": plain, "other": {"model_type": "mm15", "shapes": plain}}.items():
        publish(tmp_path / name, lambda folder, content=content: (folder / "config.json").write_text(json.dumps(content)) and None)
    plan = Planner(write(), "tiny", checkpoints=tmp_path).plan()
    (start,) = [stage for stage in plan.stages.values() if stage.kind == "import"]
    assert (start.stage_id, plan.missing_checkpoints) == (identity(tmp_path / "imported"), ())
    assert {stage.spec["model"]["decoder"]["transformers"] for stage in plan.stages.values() if stage.kind != "import"} == {
        '{"model_type": "llama"}'}
    assert read_shapes(tmp_path / "imported") == read_shapes(tmp_path / "other")


@pytest.mark.usefixtures("of_checkpoint")
def test_shapes_of_a_checkpoint_that_is_not_there_are_refused(write: Write, tmp_path: Path) -> None:
    missing = r"the shapes come from checkpoint operator:imported, which is missing"
    with pytest.raises(StudyError, match=rf"tiny.yaml:\d+:\d+: models.base.preset: {missing}"):
        Planner(write(), "tiny", checkpoints=tmp_path).plan()


@pytest.mark.usefixtures("of_checkpoint")
def test_a_checkpoint_without_shapes_is_refused(write: Write, tmp_path: Path) -> None:
    publish(tmp_path / "imported", lambda folder: (folder / "config.json").write_text("{}") and None)
    with pytest.raises(StudyError, match=r"model.vision: missing"):
        Planner(write(), "tiny", checkpoints=tmp_path).plan()


@pytest.mark.usefixtures("of_checkpoint")
def test_packed_rows_are_refused_for_a_decoder_that_would_mix_samples(write: Write, tmp_path: Path) -> None:
    plain = to_plain(replace(PRESETS["tiny"], decoder=replace(PRESETS["tiny"].decoder, transformers='{"model_type": "lfm2"}')))
    publish(tmp_path / "imported", lambda folder: (folder / "config.json").write_text(json.dumps(plain)) and None)
    study = write(("seeds: 2", "seeds: 2\nset: {sft.pack: 4096}"))
    with pytest.raises(StudyError, match=r"yaml:\d+:\d+: set\.sft\.pack: decoder 'lfm2' has recurrent or convolutional layers"):
        Planner(study, "tiny", checkpoints=tmp_path).plan()
