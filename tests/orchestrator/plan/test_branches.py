"""Stages with branching points: arms share what comes before one, whatever arms stand beside them."""

from dataclasses import replace

import pytest

from model.config.stages import ImageConfig, SftConfig
from orchestrator.plan.plan import Planner
from orchestrator.plan.stages import parts_of

TRAIN = SftConfig(images=ImageConfig(mode="single", tile=64, tokens=4), steps=1000, batch=4, lr=1e-3, warmup_steps=30, schedule="wsd",
                  decay_steps=100, branch_every=250, final_lr=0.1)
STEPS = ", ".join(str(steps) for steps in range(1000, 12001, 1000))
LENGTHS = f"""
name: lengths-and-decays
question: How long to train, and how much of it to decay?
recipe: sft-ablation
vary: {{sft.steps: [{STEPS}], sft.decay_steps: [100, 200, 400]}}
set: {{sft.schedule: wsd, sft.branch_every: 100, sft.warmup_steps: 100}}
seeds: 1
"""


def spans(train):
    return [(part.begin, part.steps) for part in parts_of(train)]


def test_parts_follow_one_another_and_only_the_last_decays():
    parts = parts_of(TRAIN)
    assert spans(TRAIN) == [(0, 250), (250, 500), (500, 750), (750, 1000)]
    assert [part.keeps_state for part in parts] == [True, True, True, False]
    assert [part.decay_steps for part in parts] == [0, 0, 0, 100]
    assert parts[-1] == replace(TRAIN, begin=750)


@pytest.mark.parametrize(("changes", "expected"), [
    ({"decay_steps": 300}, [(0, 250), (250, 500), (500, 1000)]),
    ({"decay_steps": 0}, [(0, 250), (250, 500), (500, 750), (750, 1000)]),
    ({"warmup_steps": 400}, [(0, 500), (500, 750), (750, 1000)]),
    ({"steps": 200}, [(0, 200)]),
    ({"branch_every": 0}, [(0, 1000)]),
])
def test_parts_begin_at_branching_points_of_the_stable_part(changes, expected):
    assert spans(replace(TRAIN, **changes)) == expected


def test_arms_that_differ_in_length_decay_or_last_rate_share_their_trunk():
    longer, other = parts_of(replace(TRAIN, steps=2000)), parts_of(replace(TRAIN, decay_steps=250, final_lr=0.0))
    assert longer[:3] == parts_of(TRAIN)[:3] == other[:3]
    assert parts_of(replace(TRAIN, decay_steps=0))[-1] == longer[3]


def test_another_rate_shares_nothing():
    assert not set(parts_of(TRAIN)) & set(parts_of(replace(TRAIN, lr=2e-3)))


def test_a_study_of_lengths_and_decays_trains_a_fifth_of_the_steps(write):
    plan = Planner(write(text=LENGTHS), "tiny").plan()
    asked, trained = plan.steps
    assert asked == 3 * sum(range(1000, 12001, 1000))
    assert trained == 11900 + 12 * (100 + 200 + 400)
    assert asked / trained >= 4.9


def test_an_arm_keeps_its_stages_whatever_arms_stand_beside_it(write):
    few = Planner(write(text=LENGTHS.replace("1000, 2000, ", "")), "tiny").plan()
    many = Planner(write(text=LENGTHS), "tiny").plan()
    chains = {trial.arm_key: trial.stage_ids for trial in many.trials}
    assert all(chains[trial.arm_key] == trial.stage_ids for trial in few.trials)


def test_the_parent_of_a_part_is_the_part_before_it(write):
    plan = Planner(write(text=LENGTHS), "tiny").plan()
    chain = [plan.stages[stage_id] for stage_id in plan.trials[-1].stage_ids]
    trained = [stage for stage in chain if stage.kind == "sft"]
    assert [stage.parent_id for stage in trained[1:]] == [stage.stage_id for stage in trained[:-1]]
    assert {stage.parent_id for stage in chain if stage.kind == "evaluate"} == {trained[-1].stage_id}
