import pytest

from orchestrator.analysis.confounds import Executed, Run, confounds, seen

NAMES = {"a": "science=0", "b": "science=1"}
BASE = {"sft": {"steps": 80, "batch": 16, "lr": 1e-3, "threads": 1}, "data": {"source": "workbench", "seed": 0},
        "evaluate": {"num_items": 200}}
HERE = {"device": "cpu", "torch": "2.13"}


def run(arm, seed=0, *, sft=(), environment=HERE, is_done=True, tokens=100):
    config = BASE | {"sft": BASE["sft"] | dict(sft)}
    stages = [Executed(kind="sft", result={"samples": 1280, "tokens": tokens, "supervised": 5, "environment": environment}),
              Executed(kind="evaluate", result={"environment": HERE})]
    return Run(arm=arm, seed=seed, config=config, stages=stages if is_done else [], is_done=is_done)


def found(*runs, factors=("sft.mixture.alpha.science",)):
    return {each.what: each for each in confounds(runs, NAMES, factors)}


def test_equal_arms_have_no_confound():
    assert found(run("a"), run("b", tokens=170)) == {}


@pytest.mark.parametrize(("field", "value"), [("steps", 40), ("batch", 8), ("lr", 2e-3), ("threads", 2)])
def test_what_training_differs_in_is_flagged_unless_it_is_the_factor(field, value):
    runs = run("a"), run("b", sft={field: value})
    assert list(found(*runs)) == [f"sft {field}"]
    assert found(*runs, factors=(f"sft.{field}",)) == {}


def test_devices_and_versions_are_compared_by_what_was_recorded():
    each = found(run("a"), run("b", environment=HERE | {"device": "H100", "torch": "2.12"}))
    assert list(each) == ["training device", "training torch"]
    assert each["training device"].sentence == "training device differs between arms: cpu (science=0); H100 (science=1)"


def test_arms_with_other_seeds_are_flagged_once_all_have_some():
    assert list(found(run("a"), run("a", 1), run("b"))) == ["seeds"]
    assert found(run("a"), run("b", is_done=False)) == {}


def test_tokens_are_told_side_by_side():
    told = seen([run("a", tokens=100), run("a", 1, tokens=110), run("b", tokens=170)])
    assert {arm: each.tokens for arm, each in told.items()} == {"a": 105, "b": 170}
