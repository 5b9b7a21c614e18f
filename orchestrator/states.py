"""All states, the transition table, and the retry budgets.

- The state columns of studies, trials and stages are the present; the ledger's events are the history.
- A trial's state is derived from the states of its stages, so it has no row in the transition table.
- The driver never changes a terminal state. A person may reopen a stage that did not succeed (`resume`): `ALLOWED` is
  the driver's table, `REOPENED` the person's. SUCCEEDED and DIVERGED are results, which are final for both.
- A diverged stage has not failed: divergence is a result. A stopped attempt has not failed either: its stage is queued
  again, and the stop does not count against the retry budget.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from orchestrator.errors import IllegalTransition


class StudyState(StrEnum):
    """The states of a study after it was submitted; a study that is only planned or checked is not in the ledger."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_FAILURES = "COMPLETED_WITH_FAILURES"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class StageState(StrEnum):
    """The states of a stage.

    A PLANNED stage waits for its parent, a QUEUED one for a slot. A LEASED stage was given to a slot, and the worker of
    a RUNNING one has reported. A SKIPPED stage has a parent that did not succeed.
    """

    PLANNED = "PLANNED"
    QUEUED = "QUEUED"
    LEASED = "LEASED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    DIVERGED = "DIVERGED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"


class TrialState(StrEnum):
    """The states of a trial, derived from those of its stages by `trial_state`."""

    PLANNED = "PLANNED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    DIVERGED = "DIVERGED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"


class AttemptState(StrEnum):
    """The states of one execution of a stage.

    All but LEASED and RUNNING are final. An IMPORTED attempt ran under another ledger, from which a record of its result
    came. The other final ones but SUCCEEDED say why the attempt did not succeed.
    """

    LEASED = "LEASED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    USER_ERROR = "USER_ERROR"
    DIVERGED = "DIVERGED"
    RESOURCE = "RESOURCE"
    LOST = "LOST"
    PREEMPTED = "PREEMPTED"
    STALLED = "STALLED"
    CANCELLED = "CANCELLED"
    FENCED = "FENCED"
    IMPORTED = "IMPORTED"


LIVE_ATTEMPTS = frozenset({AttemptState.LEASED, AttemptState.RUNNING})
LIVE_STUDIES = frozenset({StudyState.QUEUED, StudyState.RUNNING})
LIVE_STAGES = frozenset({StageState.LEASED, StageState.RUNNING})
TERMINAL_STUDIES = frozenset({StudyState.COMPLETED, StudyState.COMPLETED_WITH_FAILURES, StudyState.FAILED,
                              StudyState.CANCELLED})
TERMINAL_TRIALS = frozenset(TrialState) - {TrialState.PLANNED, TrialState.RUNNING}
TERMINAL_STAGES = frozenset({StageState.SUCCEEDED, StageState.FAILED, StageState.DIVERGED, StageState.SKIPPED,
                             StageState.CANCELLED})

RESULTS = frozenset({StageState.SUCCEEDED, StageState.DIVERGED})
"""The states that a stage never leaves, not even by `resume`. Only a stage whose training is here as a record alone, without
weights, is opened again when another stage needs them."""

EVALUATE = "evaluate"
"""The kind of stages that evaluate a checkpoint."""

_AFTER_LIVE = frozenset({StageState.QUEUED, StageState.SUCCEEDED, StageState.FAILED, StageState.DIVERGED,
                         StageState.CANCELLED})
_ENDS = frozenset(AttemptState) - LIVE_ATTEMPTS - {AttemptState.IMPORTED}

# One table for each type: members of two StrEnums with the same spelling would be the same key.
ALLOWED: dict[type[StrEnum], Mapping[StrEnum, frozenset[StrEnum]]] = {
    StudyState: {
        StudyState.QUEUED: frozenset({StudyState.RUNNING, StudyState.PAUSED}) | TERMINAL_STUDIES,
        StudyState.RUNNING: frozenset({StudyState.PAUSED}) | TERMINAL_STUDIES,
        StudyState.PAUSED: frozenset({StudyState.QUEUED, StudyState.CANCELLED}),
    },
    StageState: {
        StageState.PLANNED: frozenset({StageState.QUEUED, StageState.SKIPPED, StageState.CANCELLED}),
        StageState.QUEUED: frozenset({StageState.LEASED, StageState.CANCELLED}),
        StageState.LEASED: _AFTER_LIVE | {StageState.RUNNING},
        StageState.RUNNING: _AFTER_LIVE,
    },
    AttemptState: {
        AttemptState.LEASED: _ENDS | {AttemptState.RUNNING},  # a fast attempt may end before its first report arrives
        AttemptState.RUNNING: _ENDS,
    },
}
"""State -> the states that the driver may change it to; a state that is not a key is final."""

REOPENED: dict[type[StrEnum], Mapping[StrEnum, StrEnum]] = {
    StudyState: dict.fromkeys((StudyState.FAILED, StudyState.COMPLETED_WITH_FAILURES, StudyState.CANCELLED),
                              StudyState.QUEUED),
    StageState: dict.fromkeys((StageState.FAILED, StageState.SKIPPED, StageState.CANCELLED), StageState.PLANNED),
}
"""State -> the state that a person may reopen it to, by `resume` or by submitting a study that needs the stage."""

BUDGETS: dict[AttemptState, int | None] = {
    AttemptState.LOST: 3,
    AttemptState.PREEMPTED: None,
    AttemptState.RESOURCE: 1,
    AttemptState.USER_ERROR: 0,
    AttemptState.DIVERGED: 0,
    AttemptState.STALLED: 1,
    AttemptState.CANCELLED: None,
    AttemptState.FENCED: None,
    AttemptState.IMPORTED: None,
}
"""The number of retries of a stage for each kind of failure, chosen by judgement; None means no limit."""

CRASH_LOOP = 5
"""The number of consecutive lost attempts without a new checkpoint, charged or not, after which a stage fails."""

POISONED = 3
"""The number of stages of one study that must fail with the same traceback before the study is paused."""


def require(current: StrEnum, target: StrEnum) -> None:
    """Check that a transition is in the driver's table.

    Raises:
        IllegalTransition: it is not; the message names both states and what is allowed.
    """
    allowed = ALLOWED[type(current)].get(current, frozenset())
    if target not in allowed:
        names = ", ".join(sorted(allowed)) or "nothing, it is final"
        raise IllegalTransition(f"{type(current).__name__} {current} cannot become {target}; allowed: {names}")


def trial_state(stages: list[StageState]) -> TrialState:
    """Derive a trial's state from those of its stages.

    The trial is over when all its stages are: a failed benchmark does not stop the others. Then the worst state
    decides.
    """
    if any(state not in TERMINAL_STAGES for state in stages):
        is_begun = any(state in LIVE_STAGES or state in TERMINAL_STAGES for state in stages)
        return TrialState.RUNNING if is_begun else TrialState.PLANNED
    for decisive in (StageState.DIVERGED, StageState.FAILED, StageState.CANCELLED, StageState.SKIPPED):
        if decisive in stages:
            return TrialState(decisive)
    return TrialState.SUCCEEDED


def first_final(kinds: Sequence[str]) -> int:
    """Return the number of a trial's stages before its final evaluations: those that no training follows.

    Args:
        kinds: the kinds of its stages, in order of execution.
    """
    return max((number for number, kind in enumerate(kinds, 1) if kind != EVALUATE), default=0)


def state_of_trial(stages: Sequence[tuple[str, StageState]]) -> TrialState:
    """Derive a trial's state from kind and state of its stages, in order of execution; imports count for nothing.

    An evaluation at a branching point that failed does not make the trial fail: its final scores need it not.
    """
    state = trial_state([state for kind, state in stages if kind != "import"])
    if state is TrialState.SUCCEEDED or state not in TERMINAL_TRIALS:
        return state
    end = first_final([kind for kind, _ in stages])
    return trial_state([state for number, (kind, state) in enumerate(stages)
                        if kind != "import" and not (kind == EVALUATE and number < end)])


def study_state(trials: list[TrialState]) -> StudyState:
    """Derive the final state of a study from those of its trials, which must all be terminal."""
    num_succeeded = sum(state is TrialState.SUCCEEDED for state in trials)
    if num_succeeded == len(trials):
        return StudyState.COMPLETED
    return StudyState.COMPLETED_WITH_FAILURES if num_succeeded else StudyState.FAILED
