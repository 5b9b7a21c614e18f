import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.plan.sharing import StageUse, saving

SHARED = st.builds(StageUse, kind=st.sampled_from(["sft", "evaluate"]), uses=st.integers(1, 9), is_known=st.booleans(),
                   seconds=st.floats(0, 1e6))


def of(*stages, gpus=8.0, workers=4):
    shared = [StageUse(kind=kind, uses=uses, is_known=known, seconds=3600.0) for kind, uses, known in stages]
    return saving(shared, gpus=gpus, workers=workers)


@pytest.mark.parametrize(("stages", "number", "hours", "gpu_hours"), [
    ([("sft", 1, False)], 0, 0, 0), ([("pretrain", 4, False)], 3, 3, 24), ([("sft", 1, True)], 1, 1, 8),
    ([("evaluate", 3, False)], 2, 2, 4), ([("pretrain", 2, False), ("evaluate", 1, True)], 2, 2, 10)])
def test_what_is_spared_is_every_use_but_the_one_that_is_executed(stages, number, hours, gpu_hours):
    saved = of(*stages)
    assert (saved.stages, saved.seconds / 3600, saved.gpu_hours) == (number, hours, gpu_hours)


def test_without_gpus_no_gpu_hours_are_saved():
    assert of(("sft", 5, False), gpus=0, workers=1).gpu_hours == 0


@given(st.lists(SHARED))
def test_asked_for_is_executed_plus_saved(stages):
    executed = sum(not stage.is_known for stage in stages)
    assert saving(stages, gpus=1, workers=1).stages + executed == sum(stage.uses for stage in stages)
