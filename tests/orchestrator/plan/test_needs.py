"""What a plan's stages need and would not find: memory, checkpoints, data."""

from dataclasses import replace

import pytest

from orchestrator.plan.needs import missing, too_large
from orchestrator.plan.plan import Plan, Planner
from orchestrator.study.documents import load_scale
from orchestrator.study.study import load_study


@pytest.fixture
def plan_with(write):
    """Plan the alpha study at a scale that declares so much memory for a worker."""
    def made(memory_gib: float | None) -> Plan:
        scale = load_scale("tiny")
        resources = {**scale.plain()["resources"], **({"memory_gib": memory_gib} if memory_gib else {})}
        changed = scale.model_copy()
        changed._document = replace(scale._document, values={**scale.plain(), "resources": resources})
        return Planner(write(), changed).plan()

    return made


def test_a_stage_that_needs_more_memory_than_a_worker_has_is_named_with_both_numbers(plan_with) -> None:
    needed = max(stage.memory for stage in plan_with(None).stages.values()) / 2**30
    found, = too_large(plan_with(needed / 2))
    assert found.what.startswith("memory for sft: ")
    assert f"each worker has {needed / 2:g} (resources.memory_gib)" in found.what
    assert "sft.recompute: true" in found.hint
    assert found in missing(plan_with(needed / 2), has_judge=True)


def test_what_fits_and_what_is_not_declared_is_not_refused(plan_with) -> None:
    needed = max(stage.memory for stage in plan_with(None).stages.values()) / 2**30
    assert too_large(plan_with(needed)) == too_large(plan_with(None)) == []


def test_a_study_on_open_parts_is_priced_before_anything_is_fetched() -> None:
    plan = Planner(load_study("alpha-science-public"), "public-1b").plan()
    rate = plan.spec["scale"]["resources"]["flops_per_s"]
    assert sum(stage.flops for stage in plan.stages.values()) / rate / 8 < 48 * 3600, "two days of eight GPUs"
    assert [stage.kind for stage in plan.stages.values()].count("continual") == 1, "all arms share the alignment of the connector"
    needed = [each.what for each in missing(plan, has_judge=False)]
    assert needed[:2] == ["start checkpoint operator:public-1b", "data sets of general, recap, science"]
    assert needed[2].startswith("local copies of mme, ")
