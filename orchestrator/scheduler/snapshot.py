"""The input of a decision: a snapshot of the ledger, and what the executor reported. Pure.

- `Snapshot` is the live part of the ledger: open studies, their trials and stages, live attempts. Only the driver
  writes it, so it is read again only after a person's command has changed the ledger.
- `Observed` is what the executor reported since the last decision.
- `evolve` applies writes to a snapshot exactly as the ledger's write side applies them to the tables; a test compares
  the two after every step. The snapshot's index (`index`) is updated along with it.
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
    """The live part of the ledger, by id."""

    studies: Mapping[str, StudyView] = field(default_factory=dict)
    trials: Mapping[TrialId, TrialView] = field(default_factory=dict)
    stages: Mapping[str, StageView] = field(default_factory=dict)
    attempts: Mapping[str, AttemptView] = field(default_factory=dict)
    """The live attempts; those that are over are in `StageView.past`."""
    _index: Index | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def index(self) -> Index:
        """The index of this snapshot, built at the first use."""
        if self._index is None:  # a cache, so it may be set although the dataclass is frozen
            object.__setattr__(self, "_index", Index(self.studies, self.trials, self.stages))
        assert self._index is not None
        return self._index


@dataclass(frozen=True, slots=True)
class Observed:
    """The state of the driver's process and of its executor."""

    epoch: int = 0
    """The fencing epoch of the driver's lease, which is part of new attempt ids."""
    slots: int = 1
    """The number of slots, free or not."""
    outcomes: tuple[Outcome, ...] = ()
    """The attempts that ended since the last decision."""
    started: frozenset[str] = frozenset()
    """The ids of attempts that have reported."""
    stalled: frozenset[str] = frozenset()
    """The ids of attempts that have not advanced for too long."""
    stopping: Mapping[str, float] = field(default_factory=dict)
    """Attempt id -> when it was asked to stop, in seconds by the ledger's clock."""
    hold: str = ""
    """Why no stage may be started for now, such as a full disk, although running ones continue; "" if there is no
    reason."""
    is_draining: bool = False
    """Whether the driver was asked to exit: it starts nothing and stops everything."""


def evolve(snapshot: Snapshot, writes: Sequence[Write]) -> Snapshot:
    """Return the snapshot after these writes, which the ledger has accepted."""
    draft = NextSnapshot(snapshot)
    draft.apply(writes)
    return draft.snapshot()


class NextSnapshot:
    """A mutable copy of a snapshot, to which writes are applied one by one."""

    def __init__(self, snapshot: Snapshot) -> None:
        """Copy the snapshot; the cost does not depend on how many writes follow."""
        self.studies, self.trials = dict(snapshot.studies), dict(snapshot.trials)
        self.stages, self.attempts = dict(snapshot.stages), dict(snapshot.attempts)
        self.index = snapshot.index.over(self.studies, self.trials, self.stages)

    def apply(self, writes: Sequence[Write]) -> None:
        """Apply writes as the ledger's write side applies them to the tables."""
        for write in writes:
            _APPLY[type(write)](self, write)

    def snapshot(self) -> Snapshot:
        """Return the result as a frozen snapshot. It shares this object's state: do not use this object afterwards."""
        snapshot = Snapshot(self.studies, self.trials, self.stages, self.attempts)
        object.__setattr__(snapshot, "_index", self.index)
        return snapshot

    def change_stage(self, stage_id: str, **values: Any) -> None:
        """Replace fields of a stage and update the index."""
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
