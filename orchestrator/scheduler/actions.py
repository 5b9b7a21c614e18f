"""What the driver may decide: writes to the ledger, requests to the executor, and asking a search for more trials."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.scheduler.views import Outcome
from orchestrator.states import AttemptState, StageState, StudyState, TrialState


@dataclass(frozen=True, slots=True)
class Start:
    """The worker has reported: LEASED becomes RUNNING."""

    attempt_id: str
    stage_id: str


@dataclass(frozen=True, slots=True)
class Finish:
    """An attempt is over; its stage is too, or is queued again."""

    outcome: Outcome
    stage_id: str
    attempt_no: int
    stage_from: StageState
    stage_to: StageState
    not_before: float = 0.0


@dataclass(frozen=True, slots=True)
class MoveStage:
    """A stage becomes ready, skipped or cancelled."""

    stage_id: str
    source: StageState
    target: StageState


@dataclass(frozen=True, slots=True)
class MoveTrial:
    """A trial's derived state changed."""

    study_id: str
    trial_key: str
    source: TrialState
    target: TrialState


@dataclass(frozen=True, slots=True)
class MoveStudy:
    """A study begins, pauses itself or is over."""

    study_id: str
    source: StudyState
    target: StudyState
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Assign:
    """A stage is handed to a free slot."""

    attempt_id: str
    stage_id: str
    attempt_no: int
    study_id: str
    at: float


@dataclass(frozen=True, slots=True)
class Stop:
    """Ask an attempt to save and end; `is_kill` if it was asked and did not, or is stalled."""

    attempt_id: str
    target: AttemptState
    is_kill: bool = False


@dataclass(frozen=True, slots=True)
class Propose:
    """A study that grows has room for more trials."""

    study_id: str


Write = Start | Finish | MoveStage | MoveTrial | MoveStudy | Assign
Action = Write | Stop | Propose
