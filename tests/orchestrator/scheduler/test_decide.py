import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.scheduler.actions import Assign, Finish, MoveStage, MoveStudy, MoveTrial, Propose, Start, Stop
from orchestrator.scheduler.decide import decide, is_finite, retry_delay_s
from orchestrator.scheduler.snapshot import Observed, Snapshot, evolve
from orchestrator.scheduler.views import AttemptView, Outcome, PastAttempt, StageView, StudyView, TrialView
from orchestrator.states import BUDGETS, CRASH_LOOP, AttemptState, StageState, StudyState, TrialState

A, S = AttemptState, StageState


def snapshot(*, trials=1, state=StudyState.RUNNING, stages=None, attempts=(), study=None):
    """A study of so many trials, each `shared -> own -> score`."""
    views = {"shared": StageView("shared", "sft", S.QUEUED, 0)}
    found = {}
    for i in range(trials):
        views[f"own {i}"] = StageView(f"own {i}", "sft", S.PLANNED, 2 * i + 1, ("shared",))
        views[f"score {i}"] = StageView(f"score {i}", "evaluate", S.PLANNED, 2 * i + 2, (f"own {i}",))
        ids = ("shared", f"own {i}", f"score {i}")
        found["study", str(i)] = TrialView("study", str(i), f"arm {i}", TrialState.PLANNED, ids)
    for stage_id, changes in (stages or {}).items():
        views[stage_id] = replace(views[stage_id], **changes)
    return Snapshot({"study": study or StudyView("study", state, 1.0)}, found, views, {each.attempt_id: each for each in attempts})


def live(stage_id, *, no=1, state=A.LEASED):
    return AttemptView(f"{stage_id}/{no}", stage_id, no, "study", state, 0.0)


def running(stage_id="shared", **changes):
    return {"stages": {stage_id: {"state": S.RUNNING, "attempts_made": 1, **changes}}, "attempts": [live(stage_id)]}


def ended(stage_id="shared", state=A.SUCCEEDED, **more):
    return Observed(outcomes=(Outcome(f"{stage_id}/1", state, **more),))


def of(kind, actions):
    return [action for action in actions if type(action) is kind]


def after(shot, observed=None, now=10.0, **options):
    return decide(shot, observed or Observed(slots=2), now, **options)[0]


# ---- handing out ----


def test_a_ready_stage_is_handed_to_a_free_slot():
    claim, = of(Assign, after(snapshot()))
    assert (claim.stage_id, claim.attempt_no, claim.study_id) == ("shared", 1, "study")


def test_no_more_is_handed_out_than_there_are_slots():
    ready = {f"own {i}": {"state": S.QUEUED} for i in range(5)} | {"shared": {"state": S.SUCCEEDED}}
    assert len(of(Assign, after(snapshot(trials=5, stages=ready), Observed(slots=3)))) == 3
    assert of(Assign, after(snapshot(trials=5, stages=ready, attempts=[live("score 0")]), Observed(slots=1))) == []


def several(**workers):
    """Stages that are ready, `own 0` first, each of so many workers."""
    ready = {f"own {i}": {"state": S.QUEUED, "workers": workers.get(f"own_{i}", 1)} for i in range(4)}
    return ready | {"shared": {"state": S.SUCCEEDED}}


def claimed(shot, slots):
    return [each.stage_id for each in of(Assign, after(shot, Observed(slots=slots)))]


def test_a_stage_of_several_workers_takes_a_slot_for_each():
    assert claimed(snapshot(trials=4, stages=several(own_0=3)), 5) == ["own 0", "own 1", "own 2"]
    taken = snapshot(trials=4, stages=several(own_0=3) | {"own 0": {"state": S.RUNNING, "workers": 3}}, attempts=[live("own 0")])
    assert claimed(taken, 4) == ["own 1"]


def test_no_stage_overtakes_one_that_waits_for_slots():
    shot = snapshot(trials=4, stages=several(own_1=3))
    assert claimed(shot, 3) == ["own 0"]
    assert claimed(replace(shot, attempts={"x": live("score 0")}), 3) == ["own 0"]


def test_a_stage_that_never_fits_here_holds_nobody_back():
    assert claimed(snapshot(trials=4, stages=several(own_0=4)), 3) == ["own 1", "own 2", "own 3"]


def test_the_stage_that_most_trials_want_goes_first():
    shot = snapshot(trials=3, stages={"own 0": {"state": S.QUEUED, "parent_ids": ()}})
    assert [each.stage_id for each in of(Assign, after(shot, Observed(slots=1)))] == ["shared"]


def test_the_older_study_goes_first():
    young = StudyView("young", StudyState.RUNNING, 2.0)
    base = snapshot()
    shot = replace(base, studies=base.studies | {"young": young},
                   trials={("young", "0"): TrialView("young", "0", "x", TrialState.PLANNED, ("other",)), **base.trials},
                   stages=base.stages | {"other": StageView("other", "sft", S.QUEUED, 0)})
    assert [each.stage_id for each in of(Assign, after(shot, Observed(slots=1)))] == ["shared"]


def test_a_stage_that_runs_for_another_trial_is_waited_for():
    assert of(Assign, after(snapshot(trials=2, **running()))) == []


def test_a_stage_that_waits_for_its_retry_is_not_handed_out():
    assert of(Assign, after(snapshot(stages={"shared": {"not_before": 11.0}}))) == []


@pytest.mark.parametrize("state", [StudyState.PAUSED, StudyState.CANCELLED])
def test_a_study_that_is_not_live_gets_nothing(state):
    assert of(Assign, after(snapshot(state=state))) == []


def test_a_leaving_driver_hands_out_nothing_and_stops_all():
    actions = after(snapshot(**running()), Observed(slots=2, is_draining=True))
    assert (of(Assign, actions), of(Stop, actions)) == ([], [Stop("shared/1", A.PREEMPTED)])


def test_the_same_claim_has_the_same_id():
    first, second = (of(Assign, after(snapshot(), Observed(slots=1, epoch=epoch)))[0].attempt_id for epoch in (1, 2))
    assert first == of(Assign, after(snapshot(), Observed(slots=1, epoch=1)))[0].attempt_id != second


# ---- what ended ----


def test_an_ended_stage_hands_its_child_on_in_the_same_decision():
    actions = after(snapshot(**running()), ended(result={"loss": 0.5}))
    assert [type(each) for each in actions] == [Finish, MoveStage, MoveTrial, Assign]
    assert actions[-1].stage_id == "own 0"


def test_the_last_stage_ends_trial_and_study():
    done = {"shared": {"state": S.SUCCEEDED}, "own 0": {"state": S.SUCCEEDED}, "score 0": {"state": S.RUNNING}}
    actions = after(snapshot(stages=done, attempts=[live("score 0")]), ended("score 0", result={}))
    assert [each.target for each in actions if isinstance(each, MoveTrial | MoveStudy)] == ["SUCCEEDED", "COMPLETED"]


@pytest.mark.parametrize(("state", "target"), [
    (A.USER_ERROR, S.FAILED), (A.DIVERGED, S.DIVERGED), (A.LOST, S.QUEUED), (A.RESOURCE, S.QUEUED), (A.STALLED, S.QUEUED),
    (A.PREEMPTED, S.QUEUED)])
def test_a_first_failure_is_retried_within_its_budget(state, target):
    finish, = of(Finish, after(snapshot(**running()), ended(state=state, failure={"hash": "x"})))
    assert finish.stage_to is target


@pytest.mark.parametrize("state", [state for state, budget in BUDGETS.items() if budget])
def test_a_spent_budget_fails_the_stage(state):
    past = tuple(PastAttempt(no, state, True, 5 * no) for no in range(1, BUDGETS[state] + 1))
    finish, = of(Finish, after(snapshot(**running(past=past)), ended(state=state, checkpoint_step=100)))
    assert finish.stage_to is S.FAILED


def test_kinds_of_failure_have_budgets_of_their_own():
    past = (PastAttempt(1, A.RESOURCE, True, 0), PastAttempt(2, A.LOST, True, 0))
    assert of(Finish, after(snapshot(**running(past=past)), ended(state=A.LOST)))[0].stage_to is S.QUEUED


def test_forgiven_attempts_do_not_count():
    past = (PastAttempt(1, A.RESOURCE, True, 0),)
    shot = snapshot(**running(past=past, charged_from=1))
    assert of(Finish, after(shot, ended(state=A.RESOURCE)))[0].stage_to is S.QUEUED


def test_what_the_driver_lost_is_not_charged_and_not_delayed():
    past = tuple(PastAttempt(no, A.LOST, False, no) for no in range(1, 4))
    finish, = of(Finish, after(snapshot(**running(past=past)), ended(state=A.LOST, is_charged=False, checkpoint_step=9)))
    assert (finish.stage_to, finish.not_before, finish.outcome.is_charged) == (S.QUEUED, 0.0, False)


def test_a_stage_that_kills_every_worker_is_given_up_though_nothing_is_charged():
    past = tuple(PastAttempt(no, A.LOST, False, 2) for no in range(1, CRASH_LOOP))
    stuck, moving = (of(Finish, after(snapshot(**running(past=past)), ended(state=A.LOST, is_charged=False, checkpoint_step=step)))
                     for step in (2, 4))
    assert (stuck[0].stage_to, moving[0].stage_to) == (S.FAILED, S.QUEUED)


def test_a_retry_waits_longer_each_time():
    finish, = of(Finish, after(snapshot(**running()), ended(state=A.LOST), retry_base_s=3.0))
    assert finish.not_before == 13.0
    assert [retry_delay_s(n, base_s=3.0) for n in (1, 2, 3, 50)] == [3.0, 6.0, 12.0, 60.0]


@pytest.mark.parametrize("value", [math.nan, math.inf, [1, {"x": -math.inf}]])
def test_a_success_with_a_non_finite_number_is_a_divergence(value):
    finish, = of(Finish, after(snapshot(**running()), ended(result={"score": value})))
    assert (finish.outcome.state, finish.stage_to, finish.outcome.result) == (A.DIVERGED, S.DIVERGED, None)


@given(st.recursive(st.floats(allow_nan=False, allow_infinity=False) | st.text() | st.none() | st.booleans(),
                    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_finite_plain_values_pass(value):
    assert is_finite(value)


def test_a_late_report_is_ignored():
    assert of(Finish, after(snapshot(**running()), Observed(outcomes=(Outcome("of long ago", A.SUCCEEDED),)))) == []


def test_a_failed_stage_skips_what_depends_on_it_and_nothing_else():
    failed = {"own 0": {"state": S.FAILED, "failure_hash": "x"}, "shared": {"state": S.SUCCEEDED}}
    moves = {each.stage_id: each.target for each in of(MoveStage, after(snapshot(trials=2, stages=failed)))}
    assert moves == {"score 0": S.SKIPPED, "own 1": S.QUEUED}


def test_a_diverged_shared_stage_decides_all_trials_that_need_it():
    actions = after(snapshot(trials=2, **running()), ended(state=A.DIVERGED))
    assert [each.target for each in of(MoveTrial, actions)] == [TrialState.DIVERGED] * 2
    assert of(MoveStudy, actions)[0].target is StudyState.FAILED


def test_the_same_error_in_several_stages_pauses_the_study():
    failed = {f"own {i}": {"state": S.FAILED, "failure_hash": "same"} for i in range(3)} | {"shared": {"state": S.SUCCEEDED}}
    move, = of(MoveStudy, after(snapshot(trials=5, stages=failed)))
    assert (move.target, move.reason) == (StudyState.PAUSED, "poisoned: 3 stages failed with the same error")


# ---- stopping ----


def test_what_nobody_wants_is_stopped_and_cancelled():
    shot = snapshot(state=StudyState.CANCELLED, **running())
    actions = after(shot)
    assert of(Stop, actions) == [Stop("shared/1", A.PREEMPTED)]
    assert {each.stage_id for each in of(MoveStage, actions)} == {"own 0", "score 0"}
    finish, = of(Finish, after(shot, ended(state=A.PREEMPTED)))
    assert (finish.outcome.state, finish.stage_to) == (A.CANCELLED, S.CANCELLED)


def test_a_paused_study_stops_and_keeps_its_place():
    shot = snapshot(state=StudyState.PAUSED, **running())
    assert of(Stop, after(shot)) == [Stop("shared/1", A.PREEMPTED)]
    assert of(Finish, after(shot, ended(state=A.PREEMPTED)))[0].stage_to is S.QUEUED


def test_an_attempt_is_asked_once_and_then_ended_by_force():
    shot = snapshot(state=StudyState.PAUSED, **running())
    asked = [of(Stop, after(shot, Observed(stopping={"shared/1": at}), now=10.0, stop_grace_s=5.0)) for at in (8.0, 4.0)]
    assert asked == [[], [Stop("shared/1", A.PREEMPTED, is_kill=True)]]


@pytest.mark.parametrize(("set_back_s", "is_ended"), [(3.0, False), (3600.0, True)])
def test_a_clock_set_back_does_not_spare_an_attempt_that_was_asked(set_back_s, is_ended):
    shot = snapshot(state=StudyState.PAUSED, **running())
    stops = of(Stop, after(shot, Observed(stopping={"shared/1": 10.0}), now=10.0 - set_back_s, stop_grace_s=5.0))
    assert bool(stops) is is_ended


def test_a_stalled_attempt_is_ended_by_force():
    actions = after(snapshot(**running()), Observed(stalled=frozenset({"shared/1"})))
    assert of(Stop, actions) == [Stop("shared/1", A.STALLED, is_kill=True)]


def test_a_first_report_starts_the_attempt():
    shot = snapshot(stages={"shared": {"state": S.LEASED}}, attempts=[live("shared")])
    assert of(Start, after(shot, Observed(started=frozenset({"shared/1"})))) == [Start("shared/1", "shared")]


# ---- searches ----


def search(trials, *, grows=True, parallel=2, **more):
    return snapshot(trials=trials, study=StudyView("study", StudyState.RUNNING, 1.0, grows=grows, parallel=parallel), **more)


@pytest.mark.parametrize(("trials", "slots", "expected"), [(0, 1, 1), (1, 4, 1), (2, 4, 0), (1, 1, 0)])
def test_a_search_proposes_while_there_is_room(trials, slots, expected):
    assert len(of(Propose, after(search(trials), Observed(slots=slots)))) == expected


def test_a_study_that_grows_is_not_over():
    done = {stage_id: {"state": S.SUCCEEDED} for stage_id in ("shared", "own 0", "score 0")}
    assert of(MoveStudy, after(search(1, stages=done))) == []
    assert of(MoveStudy, after(search(1, grows=False, stages=done)))[0].target is StudyState.COMPLETED


# ---- evolve ----


def test_a_decision_is_made_once():
    shot = snapshot(trials=3)
    writes = [each for each in after(shot) if not isinstance(each, Stop | Propose)]
    assert after(evolve(shot, writes)) == []


@pytest.mark.parametrize(("fail_fast", "target"), [(True, StudyState.PAUSED), (False, None)])
def test_a_study_that_asks_for_it_is_paused_by_its_first_failed_stage(fail_fast, target):
    study = StudyView("study", StudyState.RUNNING, 1.0, fail_fast=fail_fast)
    failed = {"shared": {"state": S.SUCCEEDED}, "own 0": {"state": S.FAILED, "failure_hash": "h"}}
    moves = of(MoveStudy, after(snapshot(trials=2, study=study, stages=failed)))
    assert [(move.target, move.reason) for move in moves] == ([(target, "fail_fast: a stage failed")] if target else [])
