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
    require,
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


@pytest.mark.parametrize(("trials", "state"), [
    ([T.SUCCEEDED, T.SUCCEEDED], StudyState.COMPLETED),
    ([T.SUCCEEDED, T.DIVERGED], StudyState.COMPLETED_WITH_FAILURES),
    ([T.FAILED, T.SKIPPED], StudyState.FAILED),
])
def test_a_study_is_what_its_trials_are(trials, state):
    assert study_state(trials) is state
