"""The actions that the driver can decide on: writes to the ledger, stop requests, requests for more trials."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.scheduler.views import Outcome
from orchestrator.states import AttemptState, StageState, StudyState, TrialState


@dataclass(frozen=True, slots=True)
class Start:
    """Mark an attempt and its stage as RUNNING, because the worker has reported."""

    attempt_id: str
    stage_id: str


@dataclass(frozen=True, slots=True)
class Finish:
    """Record the outcome of an attempt, and move its stage to a final state or back to QUEUED."""

    outcome: Outcome
    stage_id: str
    attempt_no: int
    stage_from: StageState
    stage_to: StageState
    not_before: float = 0.0
    """The time before which the stage is not started again, in seconds by the ledger's clock."""


@dataclass(frozen=True, slots=True)
class MoveStage:
    """Move a stage to QUEUED, SKIPPED or CANCELLED."""

    stage_id: str
    source: StageState
    target: StageState


@dataclass(frozen=True, slots=True)
class MoveTrial:
    """Write the new state of a trial, as derived from its stages."""

    study_id: str
    trial_key: str
    source: TrialState
    target: TrialState


@dataclass(frozen=True, slots=True)
class MoveStudy:
    """Start, pause or finish a study."""

    study_id: str
    source: StudyState
    target: StudyState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Assign:
    """Assign a stage to free slots: record a new attempt, which is then submitted to the executor."""

    attempt_id: str
    stage_id: str
    attempt_no: int
    study_id: str
    """The study that the slots count for, of all studies that need the stage."""
    at: float
    """The time of the decision, in seconds by the ledger's clock."""


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask an attempt to save a checkpoint and stop, or kill it."""

    attempt_id: str
    target: AttemptState
    """The state that the attempt ends in if it has no result: PREEMPTED or STALLED."""
    is_kill: bool = False
    """Whether to kill it, because it has stalled or did not stop in time."""


@dataclass(frozen=True, slots=True)
class Propose:
    """Ask an adaptive study for more trials, because it has fewer open arms than it allows."""

    study_id: str


Write = Start | Finish | MoveStage | MoveTrial | MoveStudy | Assign
Action = Write | Stop | Propose
