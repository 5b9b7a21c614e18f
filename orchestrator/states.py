"""All states, the one transition table, and the budgets of retries.

- Logical things (study, trial, stage) have states that are projections; the events are the history.
- A trial's state is derived from its stages, so it has no row in the transition table.
- Terminal states never change by the driver. A person may reopen a stage that did not succeed (`resume`): the driver's
  table is `ALLOWED`, the person's is `REOPENED`; SUCCEEDED and DIVERGED are results, final for everybody.
- Diverged is not failed: it is a result. Stopped is not failed either: it is requeued uncharged.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from orchestrator.errors import IllegalTransition


class StudyState(StrEnum):
    """A question on its way; drafts and validation happen before the ledger knows it."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    PAUSED = "PAUSED"
    COMPLETED = "COMPLETED"
    COMPLETED_WITH_FAILURES = "COMPLETED_WITH_FAILURES"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


class StageState(StrEnum):
    """PLANNED waits for its parent, QUEUED for a slot; LEASED is handed out, RUNNING has reported."""

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
    """Derived from the trial's stages by `trial_state`."""

    PLANNED = "PLANNED"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    DIVERGED = "DIVERGED"
    SKIPPED = "SKIPPED"
    CANCELLED = "CANCELLED"


class AttemptState(StrEnum):
    """One execution; every state after RUNNING is final and, but for SUCCEEDED, is a kind of failure."""

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


LIVE_ATTEMPTS = frozenset({AttemptState.LEASED, AttemptState.RUNNING})
LIVE_STUDIES = frozenset({StudyState.QUEUED, StudyState.RUNNING})
LIVE_STAGES = frozenset({StageState.LEASED, StageState.RUNNING})
TERMINAL_STUDIES = frozenset({StudyState.COMPLETED, StudyState.COMPLETED_WITH_FAILURES, StudyState.FAILED,
                              StudyState.CANCELLED})
TERMINAL_TRIALS = frozenset(TrialState) - {TrialState.PLANNED, TrialState.RUNNING}
TERMINAL_STAGES = frozenset({StageState.SUCCEEDED, StageState.FAILED, StageState.DIVERGED, StageState.SKIPPED,
                             StageState.CANCELLED})

RESULTS = frozenset({StageState.SUCCEEDED, StageState.DIVERGED})
"""What a stage never leaves again, whoever wishes it."""

_AFTER_LIVE = frozenset({StageState.QUEUED, StageState.SUCCEEDED, StageState.FAILED, StageState.DIVERGED,
                         StageState.CANCELLED})
_ENDS = frozenset(AttemptState) - LIVE_ATTEMPTS

# A table for each type: members of two StrEnums with one spelling are one key.
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
        AttemptState.LEASED: _ENDS | {AttemptState.RUNNING},  # a fast attempt ends before its start is heard of
        AttemptState.RUNNING: _ENDS,
    },
}
"""What each state may become; a state that is not a key is final."""

REOPENED: dict[type[StrEnum], Mapping[StrEnum, StrEnum]] = {
    StudyState: dict.fromkeys((StudyState.FAILED, StudyState.COMPLETED_WITH_FAILURES, StudyState.CANCELLED),
                              StudyState.QUEUED),
    StageState: dict.fromkeys((StageState.FAILED, StageState.SKIPPED, StageState.CANCELLED), StageState.PLANNED),
}
"""What a person, and nobody else, may bring back: with `resume`, or by another study that needs the stage."""

BUDGETS: dict[AttemptState, int | None] = {
    AttemptState.LOST: 3,
    AttemptState.PREEMPTED: None,
    AttemptState.RESOURCE: 1,
    AttemptState.USER_ERROR: 0,
    AttemptState.DIVERGED: 0,
    AttemptState.STALLED: 1,
    AttemptState.CANCELLED: None,
    AttemptState.FENCED: None,
}
"""Retries of a stage for each kind of failure, defaults of judgement; None is without limit."""

CRASH_LOOP = 5
"""Lost attempts in a row without a new checkpoint, charged or not, after which the stage is given up."""

POISONED = 3
"""Stages of one study that fail with the same traceback before the study is paused."""


def require(current: StrEnum, target: StrEnum) -> None:
    """Refuse a transition that is not in the table.

    Raises:
        IllegalTransition: names both states and what is allowed.
    """
    allowed = ALLOWED[type(current)].get(current, frozenset())
    if target not in allowed:
        names = ", ".join(sorted(allowed)) or "nothing, it is final"
        raise IllegalTransition(f"{type(current).__name__} {current} cannot become {target}; allowed: {names}")


def trial_state(stages: list[StageState]) -> TrialState:
    """Derive a trial's state: once all stages are over, the worst decides; one failed benchmark does not stop others."""
    if any(state not in TERMINAL_STAGES for state in stages):
        is_begun = any(state in LIVE_STAGES or state in TERMINAL_STAGES for state in stages)
        return TrialState.RUNNING if is_begun else TrialState.PLANNED
    for decisive in (StageState.DIVERGED, StageState.FAILED, StageState.CANCELLED, StageState.SKIPPED):
        if decisive in stages:
            return TrialState(decisive)
    return TrialState.SUCCEEDED


def study_state(trials: list[TrialState]) -> StudyState:
    """Derive the final state of a study whose trials are all terminal."""
    num_succeeded = sum(state is TrialState.SUCCEEDED for state in trials)
    if num_succeeded == len(trials):
        return StudyState.COMPLETED
    return StudyState.COMPLETED_WITH_FAILURES if num_succeeded else StudyState.FAILED
