import json
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from model.evaluation.benchmarks.registry import SUITES
from model.manifest import identity as content_of
from model.manifest import publish
from orchestrator.errors import StudyError
from orchestrator.plan.arms import arm_key
from orchestrator.plan.identity import stage_identity
from orchestrator.plan.plan import Plan, Planner, TrialRequest
from orchestrator.study.documents import load_scale
from orchestrator.study.study import Study

Write = Callable[..., Study]
Planned = Callable[..., Plan]
VARY = "vary: {sft.mixture.alpha.science: [0, 0.1, 0.5]}"
NO_BASELINE = (", baseline: {sft.mixture.alpha.science: 0}", "")


def kinds(plan: Plan) -> dict[str, int]:
    """Count the stages by kind."""
    found = [stage.kind for stage in plan.stages.values()]
    return {kind: found.count(kind) for kind in found}


def trained(plan: Plan, kind: str) -> set[str]:
    """Return the ids of a kind's stages."""
    return {stage.stage_id for stage in plan.stages.values() if stage.kind == kind}


def rows(*changes: str) -> tuple[str, str]:
    """Replace the factor by rows."""
    return VARY, "arms: {" + ", ".join(f"{chr(97 + i)}: {{{change}}}" for i, change in enumerate(changes)) + "}"


# ---- arms ----


def test_arms_are_the_product_in_the_order_of_the_file(planned: Planned) -> None:
    plan = planned((VARY, "vary: {sft.mixture.alpha.science: [0, 0.5], sft.images.tile: [low, high]}"), NO_BASELINE)
    assert [arm.name for arm in plan.arms] == [
        "science=0, tile=low", "science=0, tile=high", "science=0.5, tile=low", "science=0.5, tile=high"]


def test_names_take_as_much_of_a_path_as_tells_it_apart(planned: Planned) -> None:
    plan = planned((VARY, "vary: {sft.images.grid: [[4, 4]], evaluate.images.grid: [[4, 9]]}"), NO_BASELINE)
    assert plan.arms[0].name == "sft.images.grid=(4, 4), evaluate.images.grid=(4, 9)"


def test_key_of_an_arm_survives_reordering_renaming_and_spelling(planned: Planned) -> None:
    keys = {arm.key for arm in planned().arms}
    assert {arm.key for arm in planned((VARY, "vary: {sft.mixture.alpha.science: [0.5, 0.0, 0.1]}")).arms} == keys
    assert arm_key({"a": 1, "b": [2.0]}) == arm_key({"b": [2], "a": 1.0})


def test_rows_may_be_written_nested_or_dotted(planned: Planned) -> None:
    nested = planned(rows("sft.images: {mode: single, tile: low}"), NO_BASELINE).arms[0]
    dotted = planned(rows("sft.images.tile: low, sft.images.mode: single"), NO_BASELINE).arms[0]
    assert nested.key == dotted.key


def test_same_arm_twice_is_refused(planned: Planned) -> None:
    with pytest.raises(StudyError, match=r"alpha.science\[1\]: arms 'science=0' and 'science=0' have the same levels"):
        planned((VARY, "vary: {sft.mixture.alpha.science: [0, 0.0]}"))


def test_baseline_is_found_by_levels(planned: Planned) -> None:
    plan = planned()
    assert plan.baseline_key == plan.arms[0].key


def test_baseline_is_found_by_name(planned: Planned) -> None:
    plan = planned(rows("", "sft.lr: 1e-3"), ("baseline: {sft.mixture.alpha.science: 0}", "baseline: b"))
    assert plan.baseline_key == plan.arms[1].key


@pytest.mark.parametrize(("baseline", "message"), [
    ("{sft.mixture.alpha.science: 0.3}", "fits 0 arms"), ("{}", "fits 3 arms"), ("scienc=0", "did you mean 'science=0'"),
])
def test_baseline_that_is_no_arm_is_refused(baseline: str, message: str, planned: Planned) -> None:
    with pytest.raises(StudyError) as caught:
        planned(("baseline: {sft.mixture.alpha.science: 0}", f"baseline: {baseline}"))
    assert message in str(caught.value)


# ---- stages ----


def test_trials_are_arms_times_seeds(planned: Planned) -> None:
    plan = planned()
    assert [(trial.arm_key, trial.seed) for trial in plan.trials] == [(arm.key, seed) for arm in plan.arms for seed in (0, 1)]
    assert len({trial.key for trial in plan.trials}) == 6


def test_chain_is_import_training_and_one_evaluation_for_each_benchmark(planned: Planned) -> None:
    plan = planned(("seeds: 2", "seeds: 2\nevaluate: {benchmarks: [scene-qa, science-names]}"))
    chain = [plan.stages[stage_id] for stage_id in plan.trials[0].stage_ids]
    assert [stage.kind for stage in chain] == ["import", "sft", "evaluate", "evaluate"]
    assert [stage.parent_id for stage in chain] == [None, chain[0].stage_id, chain[1].stage_id, chain[1].stage_id]


def test_every_id_is_what_the_worker_computes_from_the_spec(planned: Planned) -> None:
    plan = planned(rows("", "recipe: final", "model: larger"), NO_BASELINE)
    executed = [stage for stage in plan.stages.values() if stage.kind != "import"]
    assert all(stage_identity(json.loads(json.dumps(stage.spec))) == stage.stage_id for stage in executed)
    assert all(stage.spec["parent_id"] == stage.parent_id for stage in executed)


def test_the_number_of_workers_is_not_part_of_any_id(planned: Planned, monkeypatch: pytest.MonkeyPatch) -> None:
    alone, scale = planned(), load_scale("tiny")
    crowded = scale.model_copy(update={"resources": scale.resources.model_copy(update={"workers": 4})})
    monkeypatch.setattr("orchestrator.plan.plan.load_scale", lambda _: crowded)
    together = planned()
    assert list(together.stages) == list(alone.stages)
    assert (alone.workers, together.workers) == (1, 4)


def test_parents_stand_before_children(planned: Planned) -> None:
    plan = planned(rows("", "recipe: final"), NO_BASELINE)
    assert [stage.position for stage in plan.stages.values()] == list(range(len(plan.stages)))
    assert all(plan.stages[stage.parent_id].position < stage.position for stage in plan.stages.values() if stage.parent_id)


def test_imported_checkpoint_is_named_by_its_content(planned: Planned, checkpoint: Path) -> None:
    (stage,) = [stage for stage in planned().stages.values() if stage.kind == "import"]
    assert stage.stage_id == content_of(checkpoint)
    assert stage.spec == {"path": "packaged:tiny"}


def test_unfinished_packaged_checkpoint_is_refused(planned: Planned, checkpoint: Path) -> None:
    (checkpoint / "manifest.json").unlink()
    with pytest.raises(StudyError, match=r"packaged:tiny: the checkpoint is not usable: .*no readable manifest.json"):
        planned()


def test_missing_operator_checkpoint_can_be_planned_and_is_named(write: Write) -> None:
    assert Planner(write(), "mm1.5-3b").plan().missing_checkpoints == ("operator:mm1-3b",)


def test_operator_checkpoint_is_found_in_the_folder(write: Write, tmp_path: Path) -> None:
    publish(tmp_path / "mm1-3b", lambda folder: (folder / "w").write_text("x") and None)
    plan = Planner(write(), "mm1.5-3b", checkpoints=tmp_path).plan()
    (stage,) = [stage for stage in plan.stages.values() if stage.kind == "import"]
    assert plan.missing_checkpoints == ()
    assert (stage.stage_id, stage.spec) == (content_of(tmp_path / "mm1-3b"), {"path": str(tmp_path / "mm1-3b")})


def test_trial_carries_its_resolved_configuration(planned: Planned) -> None:
    trial = planned().trials[3]
    assert (trial.config["seed"], trial.config["sft"]["mixture"]["alpha"]["science"]) == (1, 0.1)


def test_counts_say_what_is_shared(planned: Planned) -> None:
    plan = planned(rows("evaluate.images.grid: [4, 9]", "evaluate.images.grid: [4, 16]"), ("seeds: 2", "seeds: 1"), NO_BASELINE)
    num_benchmarks = len(plan.trials[0].stage_ids) - 2
    assert plan.num_requested == 2 * (1 + num_benchmarks)
    assert plan.num_unique == 1 + 2 * num_benchmarks


def test_costs_follow_steps_and_tiles(planned: Planned) -> None:
    plan = planned(rows("sft.images.mode: single", "sft.images.mode: static", "sft.steps: 480"), NO_BASELINE, ("seeds: 2", "seeds: 1"))
    single, static, longer = (stage for stage in plan.stages.values() if stage.kind == "sft")
    assert single.flops * 1.5 < static.flops
    assert (static.samples * 2, static.flops * 2) == (longer.samples, longer.flops)


# ---- sharing and seeds ----

RECIPE = ("recipe: sft-ablation", "recipe: pretrain-ablation")


def test_arms_that_differ_in_fine_tuning_share_pre_training(planned: Planned) -> None:
    plan = planned(RECIPE)
    assert plan.seed_enters == "sft"
    assert {kind: count for kind, count in kinds(plan).items() if kind != "evaluate"} == {"pretrain": 1, "continual": 1, "sft": 6}


def test_arms_that_differ_in_inference_share_the_trained_model(planned: Planned) -> None:
    plan = planned(RECIPE, rows("", "evaluate.images.grid: [4, 16], evaluate.images.mode: dynamic"), NO_BASELINE)
    assert plan.seed_enters == "sft"
    assert {kind: count for kind, count in kinds(plan).items() if kind != "evaluate"} == {"pretrain": 1, "continual": 1, "sft": 2}


def test_arms_that_differ_in_pre_training_take_the_seed_there(planned: Planned) -> None:
    plan = planned(RECIPE, rows("", "pretrain.mixture.text_data: mm1"), NO_BASELINE)
    assert (plan.seed_enters, kinds(plan)["pretrain"], kinds(plan)["sft"]) == ("pretrain", 4, 4)


def test_arm_without_a_stage_differs_in_it(planned: Planned) -> None:
    plan = planned(RECIPE, rows("", "continual.steps: 0"), NO_BASELINE)
    assert (plan.seed_enters, kinds(plan)["pretrain"], kinds(plan)["continual"]) == ("continual", 1, 2)


@pytest.mark.parametrize("change", ["model: larger", "model.connector.kind: linear", "start: pretrained", "recipe: mm1"])
def test_different_model_or_start_counts_as_the_first_stage(change: str, planned: Planned) -> None:
    assert planned(RECIPE, rows("", change), NO_BASELINE).seed_enters == "pretrain"


def test_study_may_say_where_the_seed_enters(planned: Planned) -> None:
    plan = planned(RECIPE, ("seeds: 2", "seeds: 2\nseed_from: pretrain"))
    assert (plan.seed_enters, kinds(plan)["pretrain"]) == ("pretrain", 2)


def test_seed_cannot_enter_at_a_stage_that_nobody_trains(planned: Planned) -> None:
    with pytest.raises(StudyError, match="seed_from: continual is trained by no arm; trained: sft"):
        planned(("seeds: 2", "seeds: 2\nseed_from: continual"))


@pytest.mark.parametrize("seeds", ["{number: 2, vary: data}", "{first: 2, most: 4, vary: data}", "{number: [0, 1], vary: data}"])
def test_seeds_may_vary_the_data_alone(seeds: str, planned: Planned) -> None:
    both, data = planned(), planned(("seeds: 2", f"seeds: {seeds}"))
    changed = [stage.spec["config"]["seed_varies"] for stage in data.stages.values() if stage.kind == "sft"]
    assert changed == ["data"] * 6
    assert [trial.seed for trial in data.trials] == [trial.seed for trial in both.trials]
    assert {kind: count for kind, count in kinds(data).items()} == kinds(both)


def test_stages_before_the_seed_are_shared_whatever_seeds_vary(planned: Planned) -> None:
    both, data = planned(RECIPE), planned(RECIPE, ("seeds: 2", "seeds: {number: 2, vary: data}"))
    shared = {each.kind for stage_id, each in data.stages.items() if stage_id in both.stages}
    assert {"pretrain", "continual"} <= shared
    assert "sft" not in shared


def test_initial_weights_cannot_vary_where_a_checkpoint_has_them(planned: Planned) -> None:
    with pytest.raises(StudyError, match=r"written.yaml:5.*seeds.vary: init changes nothing: sft begins with a checkpoint"):
        planned(("seeds: 2", "seeds: {number: 2, vary: init}"))
    assert planned(("seeds: 2", "seeds: {number: 2, vary: init}\nset: {start: noise}")).seed_enters == "sft"


def test_blind_is_another_evaluation_of_the_same_model_but_for_text(planned: Planned) -> None:
    plan = planned(rows("", "evaluate.blind: true"), NO_BASELINE, ("seeds: 2", "seeds: 1\nevaluate: {benchmarks: [scene-qa, sums-text]}"))
    assert kinds(plan)["sft"] == 1
    asked = sorted(stage.spec["benchmark"] for stage in plan.stages.values() if stage.kind == "evaluate")
    assert asked == ["scene-qa", "scene-qa", "sums-text"]
    seen, blind = (stage.flops for stage in plan.stages.values() if stage.spec.get("benchmark") == "scene-qa")
    assert 0 < blind < seen


def test_several_seeds_of_nothing_trained_are_refused(planned: Planned) -> None:
    with pytest.raises(StudyError, match="seeds: no arm trains anything"):
        planned(rows("sft.steps: 0"), NO_BASELINE)


def test_start_alone_can_be_evaluated(planned: Planned) -> None:
    plan = planned(rows("sft.steps: 0"), ("seeds: 2", "seeds: 1"), NO_BASELINE)
    assert set(kinds(plan)) == {"import", "evaluate"}


def test_nothing_trained_from_noise_is_refused(planned: Planned) -> None:
    with pytest.raises(StudyError, match="arm 'a' trains nothing and starts from noise"):
        planned(rows("sft.steps: 0, start: noise"), ("seeds: 2", "seeds: 1"), NO_BASELINE)


def test_second_study_finds_the_stages_of_the_first(planned: Planned) -> None:
    first = planned()
    factors = "vary: {sft.mixture.alpha.science: [0.1], sft.mixture.alpha.math: [0, 0.5]}"
    second = planned(("written", "another"), (VARY, factors), NO_BASELINE)
    assert len(trained(first, "sft") & trained(second, "sft")) == 2
    assert len(trained(first, "evaluate") & trained(second, "evaluate")) == 2 * len(SUITES["workbench"])


def test_new_benchmark_evaluates_only_itself(planned: Planned) -> None:
    one = planned(("seeds: 2", "seeds: 2\nevaluate: {benchmarks: [scene-qa]}"))
    two = planned(("seeds: 2", "seeds: 2\nevaluate: {benchmarks: [scene-qa, scene-probe]}"))
    assert one.stages.keys() < two.stages.keys()
    assert len(two.stages) - len(one.stages) == 6


@pytest.mark.parametrize("setting", ["sft.micro_batch: 4", "sft.checkpoint_every: 7", "evaluate.batch: 3"])
def test_what_cannot_change_a_result_keeps_all_stages(setting: str, planned: Planned) -> None:
    assert planned(("seeds: 2", f"seeds: 2\nset: {{{setting}}}")).stages.keys() == planned().stages.keys()


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(levels=st.lists(st.integers(0, 40), min_size=1, max_size=5, unique=True), num_seeds=st.integers(1, 3))
def test_plan_is_a_function_of_its_arms_and_seeds(levels: list[int], num_seeds: int, planned: Planned) -> None:
    text = ", ".join(str(level / 10) for level in levels)
    plan = planned((VARY, f"vary: {{sft.mixture.alpha.science: [{text}]}}"), ("seeds: 2", f"seeds: {num_seeds}"), NO_BASELINE)
    assert len(trained(plan, "sft")) == len(levels) * num_seeds
    assert len({trial.stage_ids for trial in plan.trials}) == len(plan.trials)
    assert all(stage_id in plan.stages for trial in plan.trials for stage_id in trial.stage_ids)


# ---- spec, notes, budget, search, speed ----


@pytest.mark.parametrize(("change", "is_same"), [
    (("How much?", "How much exactly?"), True), (("seeds: 2", "seeds: 2\nnote: said by the way"), True), (("seeds: 2", "seeds: 3"), False),
    (("maximize: knowledge", "maximize: mmbase"), False), (("0.5", "0.4"), False),
])
def test_hash_of_the_spec_ignores_prose_only(change: tuple[str, str], is_same: bool, planned: Planned) -> None:
    assert (planned(change).spec_hash == planned().spec_hash) is is_same


def test_spec_is_plain_and_holds_all_files(planned: Planned) -> None:
    spec = json.loads(json.dumps(planned(rows("", "recipe: mm1"), NO_BASELINE).spec))
    assert (spec["study"]["name"], sorted(spec["recipes"]), spec["scale"]["name"]) == ("written", ["mm1", "sft-ablation"], "tiny")


def test_metric_that_the_suite_cannot_give_is_noted(planned: Planned) -> None:
    (note,) = planned(("seeds: 2", "seeds: 2\nevaluate: {benchmarks: [scene-qa]}")).notes
    assert "knowledge cannot be computed" in note


def test_unknown_metric_is_refused(planned: Planned) -> None:
    with pytest.raises(StudyError, match="select.maximize: no metric 'knowlege'\nhint: did you mean 'knowledge'"):
        planned(("maximize: knowledge", "maximize: knowlege"))


def test_plan_beyond_the_budget_is_refused(planned: Planned) -> None:
    with pytest.raises(StudyError, match=r"budget.hours: .* hours estimated; allowed: 0.001"):
        planned(("seeds: 2", "seeds: 2\nbudget: {hours: 0.001}"))


SEARCH = "search: {trials: 4, parameters: {sft.mixture.alpha.science: {log_float: [0.02, 2]}}}"


def test_search_plans_its_baseline_first(planned: Planned) -> None:
    plan = planned((VARY, SEARCH))
    assert [(arm.name, arm.levels) for arm in plan.arms] == [("baseline", {"sft.mixture.alpha.science": 0})]
    assert plan.baseline_key == plan.arms[0].key


def test_proposed_arm_takes_its_seed_where_the_search_says(write: Write, checkpoint: Path) -> None:
    search = "search: {trials: 4, parameters: {pretrain.mixture.text_data: {choice: [mm1, hq]}}}"
    study = write((VARY, search), RECIPE, NO_BASELINE)
    plan = Planner(study, "tiny").plan([TrialRequest({"pretrain.mixture.text_data": "hq"}, study.seed_list)])
    assert (plan.seed_enters, kinds(plan)["pretrain"], plan.arms[0].name) == ("pretrain", 2, "text_data=hq")


def test_proposed_arm_equals_the_designed_one(write: Write, checkpoint: Path) -> None:
    proposed = Planner(write((VARY, SEARCH)), "tiny").plan([TrialRequest({"sft.mixture.alpha.science": 0.1}, (0, 1))])
    designed = Planner(write(), "tiny").plan()
    assert proposed.arms[0].key == designed.arms[1].key
    assert proposed.stages.keys() < designed.stages.keys()


@pytest.mark.parametrize("parameter", [
    "sft.mixture.alpha.science: {float: [0, 2000]}", "sft.mixture.weights: {simplex: [single, multy]}",
    "sft.mixture.alpha.sciense: {int: [0, 1]}",
    "sft.images.grid: {grid_range: {n_min: [1, 4], n_max: [4, 99]}}", "sft.images.indicator: {choice: [none, sepz]}",
])
def test_search_beyond_what_is_possible_is_refused_before_it_starts(parameter: str, planned: Planned) -> None:
    with pytest.raises(StudyError, match=r"written.yaml:4:\d+: search.parameters.sft"):
        planned((VARY, f"search: {{trials: 4, parameters: {{{parameter}}}}}"), NO_BASELINE)


def test_search_over_shares_and_grids_is_planned(planned: Planned) -> None:
    parameters = "sft.mixture.weights: {simplex: [single, multi, text]}, sft.images.grid: {grid_range: {n_min: [1, 4], n_max: [4, 16]}}"
    assert planned((VARY, f"search: {{trials: 4, parameters: {{{parameters}}}}}"), NO_BASELINE).trials == ()


def test_a_budget_is_held_to_what_stages_of_the_scale_reached(write, checkpoint):
    study = write(("seeds: 2", "seeds: 2\nbudget: {hours: 1}"))
    assert Planner(study, "tiny", measured={"sft": 1e12, "evaluate": 1e12}).plan().flops > 0
    with pytest.raises(StudyError, match=r"budget.hours: .* hours estimated; allowed: 1"):
        Planner(study, "tiny", measured={"sft": 1e6, "evaluate": 1e12}).plan()
