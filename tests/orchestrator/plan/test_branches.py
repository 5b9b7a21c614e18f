"""Stages with branching points: arms share what comes before one, whatever arms stand beside them."""

from dataclasses import replace

import pytest

from model.config.fields import FieldError, build
from model.config.stages import Alpha, ImageConfig, SftConfig, SftMixture
from model.data.mixture import stage_shares
from orchestrator.errors import StudyError
from orchestrator.plan.plan import Planner
from orchestrator.plan.rehearsal import rehearsals
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
SUITE = "seeds: 1\nevaluate: {benchmarks: [scene-qa, science-choice, form-fields]}"
ASKED = ("seeds: 1", SUITE.replace("]}", "], at_branches: [scene-qa, form-fields]}"))


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


# ---- benchmarks asked at branching points ----


def asked_at_branches(plan, trial):
    chain = [plan.stages[stage_id] for stage_id in trial.stage_ids]
    last = [stage for stage in chain if stage.kind != "evaluate"][-1]
    return [stage for stage in chain if stage.kind == "evaluate" and stage.parent_id != last.stage_id]


def test_benchmarks_are_asked_at_every_branching_point_of_every_arm(write):
    plan = Planner(write(ASKED, text=LENGTHS), "tiny").plan()
    for trial in plan.trials:
        trained = [plan.stages[each] for each in trial.stage_ids if plan.stages[each].kind == "sft"]
        asked = asked_at_branches(plan, trial)
        assert [(each.parent_id, each.spec["benchmark"]) for each in asked] == [
            (part.stage_id, name) for part in trained[:-1] for name in ("scene-qa", "form-fields")]
    assert any("at 119 branching points too: scene-qa, form-fields (238 evaluations)" in note for note in plan.notes)


def test_arms_on_one_trunk_share_what_is_asked_there(write):
    plan = Planner(write(ASKED, text=LENGTHS), "tiny").plan()
    by_length = [{each.stage_id for each in asked_at_branches(plan, trial)} for trial in plan.trials]
    assert all(longer >= shorter for shorter, longer in zip(by_length, by_length[3:], strict=False))
    assert len(set.union(*by_length)) == 2 * 119


def test_an_intermediate_score_is_the_final_one_of_an_arm_that_ends_there(write):
    study = LENGTHS.replace("sft.decay_steps: [100, 200, 400]", "sft.decay_steps: [0]")
    plan = Planner(write(ASKED, text=study), "tiny").plan()
    short, long = plan.trials[0], plan.trials[1]
    finals = [each for each in short.stage_ids if plan.stages[each].spec.get("benchmark") == "scene-qa"][-1:]
    assert set(finals) <= {each.stage_id for each in asked_at_branches(plan, long)}


def test_what_is_asked_at_branching_points_changes_no_other_stage(write):
    without, asked = (Planner(write(*changes, text=LENGTHS), "tiny").plan() for changes in (
        [("seeds: 1", SUITE)], [ASKED]))
    assert without.stages.keys() <= asked.stages.keys()
    assert {stage.kind for stage_id, stage in asked.stages.items() if stage_id not in without.stages} == {"evaluate"}


@pytest.mark.parametrize(("changes", "says"), [
    ([ASKED, ("sft.branch_every: 100, ", "")],
     r"at_branches: scene-qa, form-fields; allowed: none, as no arm's training has a branching point.*\nhint: .*branch_every"),
    ([ASKED, ("at_branches: [scene-qa", "at_branches: [scene-qq")],
     r"at_branches\[0\]: 'scene-qq' is not among the study's benchmarks\nhint: did you mean 'scene-qa'"),
    ([("sft.schedule: wsd", "evaluate.at_branches: [scene-qa], sft.schedule: wsd")], "benchmarks are no factor"),
])
def test_what_cannot_be_asked_at_branching_points_is_refused(write, changes, says):
    with pytest.raises(StudyError, match=says):
        Planner(write(*changes, text=LENGTHS), "tiny").plan()


# ---- late mixtures ----

LATE = """
name: late-science
question: Does science help late?
recipe: sft-ablation
set: {sft.steps: 1000, sft.schedule: wsd, sft.branch_every: 100, sft.warmup_steps: 100, sft.decay_steps: 100}
arms:
  never: {}
  some: {sft.late_from: 700, sft.late_mixture.alpha.science: 0.5}
  more: {sft.late_from: 700, sft.late_mixture.alpha: {science: 2, math: 1}}
  later: {sft.late_from: 900, sft.late_mixture.alpha.science: 0.5}
seeds: 1
"""


def trained(plan, name):
    key = next(arm.key for arm in plan.arms if arm.name == name)
    trial = next(each for each in plan.trials if each.arm_key == key)
    return [plan.stages[each] for each in trial.stage_ids if plan.stages[each].kind == "sft"]


def test_arms_that_differ_in_a_late_mixture_share_what_comes_before(write):
    plan = Planner(write(text=LATE), "tiny").plan()
    chains = {arm.name: [stage.stage_id for stage in trained(plan, arm.name)] for arm in plan.arms}
    assert {len(chain) for chain in chains.values()} == {10}
    assert chains["some"][:7] == chains["more"][:7] == chains["never"][:7]
    assert chains["later"][:9] == chains["never"][:9]
    assert len({stage_id for chain in chains.values() for stage_id in chain}) == 10 + 3 + 3 + 1
    assert plan.steps == (4000, 1000 + 300 + 300 + 100)


def test_each_part_draws_from_the_mixture_that_holds_there(write):
    parts = trained(Planner(write(text=LATE), "tiny").plan(), "more")
    drawn = [stage_shares(build(SftConfig, stage.spec["config"])) for stage in parts]
    assert drawn == [{"general": 1.0}] * 7 + [{"general": 0.25, "science": 0.5, "math": 0.25}] * 3
    assert len({stage.spec["data_fingerprint"] for stage in parts}) == 2


def test_a_rung_that_ends_before_a_late_mixture_does_without(write):
    searched = LATE.partition("arms:")[0] + """
search:
  trials: 2
  parameters: {sft.late_mixture.alpha.science: {float: [0.1, 1.0]}}
  prune: {rungs: [0.5, 0.8]}
select: {maximize: knowledge, baseline: {sft.late_mixture.alpha.science: 0}}
"""
    plan = Planner(write(("sft.steps: 1000", "sft.steps: 1000, sft.late_from: 700"), text=searched), "tiny").plan()
    late = {trial.rung: trial.config["sft"]["late_from"] for trial in plan.trials}
    assert late == {1: 0, 2: 700, 0: 700}


@pytest.mark.parametrize(("changes", "says"), [
    ({"late_from": 600}, "late_from: 600; allowed with late_mixture: a branching point, which is a multiple of "
                         r"branch_every \(250\) from 30 to 900"),
    ({"late_from": 0}, "late_from: 0; allowed with late_mixture: a branching point"),
    ({"late_from": 1000}, "late_from: 1000; allowed"),
    ({"late_from": 500, "late_mixture": None}, "late_from: 500; allowed without late_mixture: 0"),
])
def test_a_late_mixture_begins_at_a_branching_point(changes, says):
    late = {"late_mixture": SftMixture(alpha=Alpha(science=1.0))}
    with pytest.raises(FieldError, match=says):
        replace(TRAIN, **(late | changes))


def test_a_late_mixture_is_refused_by_line(write):
    study = write(("sft.late_from: 900", "sft.late_from: 950"), text=LATE)
    with pytest.raises(StudyError, match=r"written.yaml:9:.*late_from.*950; allowed with late_mixture"):
        Planner(study, "tiny").plan()


def test_a_rehearsal_stands_for_all_parts_of_a_mixture(write):
    found = rehearsals(Planner(write(text=LATE), "tiny").plan())
    trained_first = [each for each in found if each.kind == "sft"]
    assert [len(each.stands_for) for each in trained_first] == [10, 4, 3]
    assert all(each.spec["config"]["begin"] == 0 for each in trained_first)
