import pytest

from orchestrator.errors import IllegalTransition
from orchestrator.states import (
    ALLOWED,
    BUDGETS,
    LIVE_ATTEMPTS,
    REOPENED,
    TERMINAL_STAGES,
    TERMINAL_STUDIES,
    AttemptState,
    StageState,
    StudyState,
    TrialState,
    first_final,
    require,
    state_of_trial,
    study_state,
    trial_state,
)

S, T = StageState, TrialState


@pytest.mark.parametrize(("kind", "final"), [(StudyState, TERMINAL_STUDIES), (StageState, TERMINAL_STAGES),
                                             (AttemptState, frozenset(AttemptState) - LIVE_ATTEMPTS)])
def test_a_final_state_becomes_nothing(kind, final):
    assert set(ALLOWED[kind]) == set(kind) - final


def test_a_result_is_not_reopened():
    assert {S.SUCCEEDED, S.DIVERGED} & set(REOPENED[StageState]) == set()


def test_every_failure_has_a_budget():
    assert set(BUDGETS) == set(AttemptState) - LIVE_ATTEMPTS - {AttemptState.SUCCEEDED}


def test_a_refusal_names_what_is_allowed():
    with pytest.raises(IllegalTransition, match="StudyState PAUSED cannot become RUNNING; allowed: CANCELLED, QUEUED"):
        require(StudyState.PAUSED, StudyState.RUNNING)


@pytest.mark.parametrize(("stages", "state"), [
    ([S.PLANNED, S.PLANNED], T.PLANNED),
    ([S.QUEUED, S.PLANNED], T.PLANNED),
    ([S.SUCCEEDED, S.PLANNED], T.RUNNING),
    ([S.LEASED, S.PLANNED], T.RUNNING),
    ([S.SUCCEEDED, S.SUCCEEDED], T.SUCCEEDED),
    ([S.SUCCEEDED, S.FAILED, S.QUEUED], T.RUNNING),  # other benchmarks still count
    ([S.SUCCEEDED, S.FAILED, S.SUCCEEDED], T.FAILED),
    ([S.DIVERGED, S.SKIPPED], T.DIVERGED),
    ([S.CANCELLED, S.SUCCEEDED], T.CANCELLED),
])
def test_a_trial_is_what_its_stages_are(stages, state):
    assert trial_state(stages) is state


@pytest.mark.parametrize(("early", "final", "state"), [
    (S.FAILED, S.SUCCEEDED, T.SUCCEEDED),
    (S.CANCELLED, S.SUCCEEDED, T.SUCCEEDED),
    (S.FAILED, S.QUEUED, T.RUNNING),
    (S.QUEUED, S.SUCCEEDED, T.RUNNING),
    (S.SUCCEEDED, S.FAILED, T.FAILED),
    (S.FAILED, S.DIVERGED, T.DIVERGED),
])
def test_an_evaluation_at_a_branching_point_decides_nothing(early, final, state):
    """The trial waits for it, and its failure is not the trial's."""
    done = S.SUCCEEDED
    chain = [("import", done), ("sft", done), ("evaluate", early), ("sft", done), ("evaluate", final)]
    assert state_of_trial(chain) is state
    assert first_final([kind for kind, _ in chain]) == 4


@pytest.mark.parametrize(("trials", "state"), [
    ([T.SUCCEEDED, T.SUCCEEDED], StudyState.COMPLETED),
    ([T.SUCCEEDED, T.DIVERGED], StudyState.COMPLETED_WITH_FAILURES),
    ([T.FAILED, T.SKIPPED], StudyState.FAILED),
])
def test_a_study_is_what_its_trials_are(trials, state):
    assert study_state(trials) is state
