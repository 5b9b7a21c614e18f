"""What the driver knows when it decides. Pure.

- `Snapshot` is the ledger's part: live studies, their trials and stages, live attempts. One driver writes all of it, so
  it need not be read again until a person rings the bell.
- `Observed` is the world's part: what the executor said since the last decision.
- `evolve` applies actions to a snapshot exactly as the ledger's write side applies them to the tables; a test compares
  the two after every step. What follows from a snapshot (`index`) is carried along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from orchestrator.scheduler.actions import Assign, Finish, MoveStage, MoveStudy, MoveTrial, Start, Write
from orchestrator.scheduler.index import Index
from orchestrator.scheduler.views import AttemptView, Outcome, PastAttempt, StageView, StudyView, TrialId, TrialView
from orchestrator.states import AttemptState, StageState


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The ledger's part."""

    studies: Mapping[str, StudyView] = field(default_factory=dict)
    trials: Mapping[TrialId, TrialView] = field(default_factory=dict)
    stages: Mapping[str, StageView] = field(default_factory=dict)
    attempts: Mapping[str, AttemptView] = field(default_factory=dict)
    _index: Index | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def index(self) -> Index:
        """What follows from it; made when it is first asked for."""
        if self._index is None:
            object.__setattr__(self, "_index", Index(self.studies, self.trials, self.stages))
        assert self._index is not None
        return self._index


@dataclass(frozen=True, slots=True)
class Observed:
    """The world's part."""

    epoch: int = 0
    slots: int = 1
    outcomes: tuple[Outcome, ...] = ()
    started: frozenset[str] = frozenset()
    """Attempts that have reported."""
    stalled: frozenset[str] = frozenset()
    """Attempts without a step for too long."""
    stopping: Mapping[str, float] = field(default_factory=dict)
    """Attempts asked to stop, and since when."""
    hold: str = ""
    """Why nothing may be handed out for now, though what runs goes on: the disk is full."""
    is_draining: bool = False
    """The driver was asked to leave: hand out nothing, stop everything."""


def evolve(snapshot: Snapshot, writes: Sequence[Write]) -> Snapshot:
    """Return the snapshot after these writes, which the ledger accepted."""
    draft = NextSnapshot(snapshot)
    draft.apply(writes)
    return draft.snapshot()


class NextSnapshot:
    """A copy of a snapshot that writes are applied to, one after the other."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Copy it once, whatever number of writes follows."""
        self.studies, self.trials = dict(snapshot.studies), dict(snapshot.trials)
        self.stages, self.attempts = dict(snapshot.stages), dict(snapshot.attempts)
        self.index = snapshot.index.over(self.studies, self.trials, self.stages)

    def apply(self, writes: Sequence[Write]) -> None:
        """Change it as the ledger's write side changes the tables."""
        for write in writes:
            _APPLY[type(write)](self, write)

    def snapshot(self) -> Snapshot:
        """Return it as a snapshot; the draft is not to be used any more."""
        snapshot = Snapshot(self.studies, self.trials, self.stages, self.attempts)
        object.__setattr__(snapshot, "_index", self.index)
        return snapshot

    def change_stage(self, stage_id: str, **values: Any) -> None:
        """Replace values of a stage, its state among them."""
        self.stages[stage_id] = replace(self.stages[stage_id], **values)
        self.index.stage_changed(stage_id)


def _start(draft: NextSnapshot, write: Start) -> None:
    draft.attempts[write.attempt_id] = replace(draft.attempts[write.attempt_id], state=AttemptState.RUNNING)
    draft.change_stage(write.stage_id, state=StageState.RUNNING)


def _finish(draft: NextSnapshot, write: Finish) -> None:
    outcome = write.outcome
    past = PastAttempt(write.attempt_no, outcome.state, outcome.is_charged, outcome.checkpoint_step)
    failure_hash = str((outcome.failure or {}).get("hash", ""))
    draft.change_stage(write.stage_id, state=write.stage_to, not_before=write.not_before,
                       past=(*draft.stages[write.stage_id].past, past), failure_hash=failure_hash)
    del draft.attempts[outcome.attempt_id]


def _move_stage(draft: NextSnapshot, write: MoveStage) -> None:
    draft.change_stage(write.stage_id, state=write.target)


def _move_trial(draft: NextSnapshot, write: MoveTrial) -> None:
    key = (write.study_id, write.trial_key)
    draft.trials[key] = replace(draft.trials[key], state=write.target)
    draft.index.trial_changed(key)


def _move_study(draft: NextSnapshot, write: MoveStudy) -> None:
    before = draft.studies[write.study_id].state
    draft.studies[write.study_id] = replace(draft.studies[write.study_id], state=write.target)
    draft.index.study_changed(write.study_id, before)


def _claim(draft: NextSnapshot, write: Assign) -> None:
    draft.attempts[write.attempt_id] = AttemptView(write.attempt_id, write.stage_id, write.attempt_no, write.study_id,
                                                   AttemptState.LEASED, write.at)
    draft.change_stage(write.stage_id, state=StageState.LEASED, attempts_made=write.attempt_no)


_APPLY: dict[type, Any] = {Start: _start, Finish: _finish, MoveStage: _move_stage, MoveTrial: _move_trial,
                           MoveStudy: _move_study, Assign: _claim}
