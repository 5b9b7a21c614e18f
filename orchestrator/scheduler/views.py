"""The frozen values that a decision reads: studies, trials, stages, attempts, and the outcomes of attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.states import AttemptState, StageState, StudyState, TrialState

TrialId = tuple[str, str]
"""A study id and a trial key."""


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study that is not finished."""

    study_id: str
    state: StudyState
    created_at: float
    grows: bool = False
    """Whether trials may still be added: arms of a search, or seeds for arms that are too close to call."""
    parallel: int = 1
    """The number of open arms from which on no trials are added."""
    priority: int = 0
    """Studies with a higher number go first."""
    max_slots: int = 0
    """The largest number of slots that its attempts may hold at once; 0 for no limit."""
    fail_fast: bool = False
    """Whether the first stage that fails for good pauses it."""


@dataclass(frozen=True, slots=True)
class TrialView:
    """A trial of a study that is not finished."""

    study_id: str
    trial_key: str
    arm_key: str
    state: TrialState
    stage_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """A finished attempt, as far as retry budgets need it."""

    attempt_no: int
    state: AttemptState
    is_charged: bool
    """Whether it counts against the budget."""
    checkpoint_step: int
    """The step of the newest checkpoint when it ended, 0 if there was none."""


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage that a trial of an unfinished study needs, or that is not finished itself."""

    stage_id: str
    kind: str
    state: StageState
    position: int
    """The order of first use in the plan."""
    parent_ids: tuple[str, ...] = ()
    not_before: float = 0.0
    """The time before which it is not started again, in seconds by the ledger's clock."""
    attempts_made: int = 0
    charged_from: int = 0
    """The number of the attempt after which the budgets count: `resume` sets it, so that they start afresh."""
    past: tuple[PastAttempt, ...] = ()
    failure_hash: str = ""
    """A hash that equal errors share; "" if the last attempt did not fail."""
    workers: int = 1
    """The number of slots that an attempt takes."""


@dataclass(frozen=True, slots=True)
class AttemptView:
    """An attempt that is live (leased or running) in the ledger."""

    attempt_id: str
    stage_id: str
    attempt_no: int
    study_id: str
    state: AttemptState
    started_at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of an attempt, from its result file or from the executor."""

    attempt_id: str
    state: AttemptState
    result: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None
    """The failure record (kind, message, traceback, hash); None on success."""
    seconds: float = 0.0
    checkpoint_step: int = 0
    """The step of the newest checkpoint, 0 if there is none."""
    bytes: int = 0
    """The size of the directory that it published, in bytes."""
    is_charged: bool = True
    """Whether it counts against the retry budget; False if the driver, not the stage, caused the end."""
    notes: tuple[str, ...] = ()
    """Problems that the attempt recovered from, such as a corrupt checkpoint."""
