"""What the driver's decision reads, a frozen value each: studies, trials, stages, attempts, and how an attempt ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.states import AttemptState, StageState, StudyState, TrialState

TrialId = tuple[str, str]
"""Study id, trial key."""


@dataclass(frozen=True, slots=True)
class StudyView:
    """A study that is not over."""

    study_id: str
    state: StudyState
    created_at: float
    grows: bool = False
    """Whether trials may still be added: arms of a search, seeds where they matter."""
    parallel: int = 1
    """Arms that may be open when trials are added."""
    priority: int = 0
    """Higher goes first."""
    max_slots: int = 0
    """Most slots that its attempts may hold; 0 for no cap."""


@dataclass(frozen=True, slots=True)
class TrialView:
    """A trial of a study that is not over."""

    study_id: str
    trial_key: str
    arm_key: str
    state: TrialState
    stage_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PastAttempt:
    """An attempt that is over, for the budgets."""

    attempt_no: int
    state: AttemptState
    is_charged: bool
    checkpoint_step: int


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage that some live trial needs, or that is not over."""

    stage_id: str
    kind: str
    state: StageState
    position: int
    parent_ids: tuple[str, ...] = ()
    not_before: float = 0.0
    attempts_made: int = 0
    charged_from: int = 0
    past: tuple[PastAttempt, ...] = ()
    failure_hash: str = ""
    workers: int = 1
    """Slots that an attempt of it takes."""


@dataclass(frozen=True, slots=True)
class AttemptView:
    """An attempt that is live by the ledger."""

    attempt_id: str
    stage_id: str
    attempt_no: int
    study_id: str
    state: AttemptState
    started_at: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended, by the executor or by its result file."""

    attempt_id: str
    state: AttemptState
    result: Mapping[str, Any] | None = None
    failure: Mapping[str, Any] | None = None
    """kind, message, traceback, hash; None on success."""
    seconds: float = 0.0
    checkpoint_step: int = 0
    bytes: int = 0
    """Size of what it published."""
    is_charged: bool = True
    """False when the driver, not the stage, is to blame."""
    notes: tuple[str, ...] = ()
    """What the attempt met and got over, such as a corrupt checkpoint."""
