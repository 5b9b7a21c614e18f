from collections.abc import Callable

import pytest

from model.config.stages import TRAINING
from orchestrator.plan.identity import stage_identity
from orchestrator.plan.plan import Plan
from orchestrator.plan.rehearsal import ITEMS, STEPS, rehearsals

Planned = Callable[..., Plan]


def test_stages_that_differ_in_numbers_alone_are_rehearsed_once(planned: Planned) -> None:
    plan = planned(("[0, 0.1, 0.5]", "[0.1, 0.2, 0.5]"), ("science: 0}", "science: 0.1}"))
    found = [each for each in rehearsals(plan) if each.kind == "sft"]
    assert len(found) == 1
    assert len(found[0].stands_for) == 6  # three arms, two seeds


def test_another_set_of_categories_is_another_rehearsal(planned: Planned) -> None:
    assert sum(each.kind == "sft" for each in rehearsals(planned())) == 2  # without science, and with it


def test_every_stage_but_imports_is_stood_for_once(planned: Planned) -> None:
    plan = planned()
    stood_for = [stage_id for each in rehearsals(plan) for stage_id in each.stands_for]
    assert sorted(stood_for) == sorted(stage_id for stage_id, stage in plan.stages.items() if stage.kind != "import")


def test_a_rehearsal_is_short_and_otherwise_the_stage(planned: Planned) -> None:
    plan = planned(("seeds: 2", "seeds: 2\nset: {sft.warmup_steps: 9}"))
    for each in rehearsals(plan):
        stage = plan.stages[each.stands_for[0]]
        short = {"steps": STEPS, "warmup_steps": 0} if each.kind in TRAINING else {"num_items": ITEMS}
        assert each.spec["config"] == stage.spec["config"] | short
        assert {**each.spec, "config": 0, "parent_id": 0} == {**stage.spec, "config": 0, "parent_id": 0}
        assert each.stage_id == stage_identity(each.spec)


def test_a_chain_is_rehearsed_as_a_chain(planned: Planned) -> None:
    plan = planned(("recipe: sft-ablation", "recipe: final"), ("sft.mixture.alpha.science: [0, 0.1, 0.5]", "sft.batch: [8, 16]"),
                   ("sft.mixture.alpha.science: 0", "sft.batch: 8"))
    found = {each.stage_id: each for each in rehearsals(plan)}
    sft = next(each for each in found.values() if each.kind == "sft")
    assert found[sft.parent_id or ""].kind == "continual"
    evaluated = [each for each in found.values() if each.kind == "evaluate"]
    assert {found[each.parent_id or ""].kind for each in evaluated} == {"sft"}


def test_flops_of_a_sample_are_those_of_the_plan(planned: Planned) -> None:
    plan = planned()
    for each in rehearsals(plan):
        stage = plan.stages[each.stands_for[0]]
        assert each.flops_per_sample * stage.samples == pytest.approx(stage.flops)
