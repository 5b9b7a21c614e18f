"""An index of a snapshot, updated with every write, so that a decision costs as much as changed, not as much as exists.

- All of it follows from studies, trials and stages; a test compares it after every step with an index made from
  scratch.
- Which trials need a stage, and which stages are its children, is fixed for a snapshot; the rest follows the states.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import defaultdict
from collections.abc import Iterable, Mapping

from orchestrator.scheduler.views import StageView, StudyView, TrialId, TrialView
from orchestrator.states import (
    LIVE_STAGES,
    LIVE_STUDIES,
    TERMINAL_STAGES,
    TERMINAL_TRIALS,
    StageState,
    StudyState,
    TrialState,
    state_of_trial,
)

OPEN_STUDIES = LIVE_STUDIES | {StudyState.PAUSED}


Place = tuple[int, int, str]
"""A sort key of ready stages, see `place_of`."""


def place_of(stage: StageView, num_wanted: int) -> Place:
    """Return the sort key of a ready stage: most unfinished trials that need it first, then plan order."""
    return -num_wanted, stage.position, stage.stage_id


class Index:
    """The index of one `Snapshot` or `NextSnapshot`, whose mappings it reads and never changes."""

    __slots__ = ("_places", "_stages", "_studies", "_trials", "children", "due", "failed", "moved", "needed_by",
                 "open_trials", "queued", "ready", "wanted_live", "wanted_open")

    def __init__(self, studies: Mapping[str, StudyView], trials: Mapping[TrialId, TrialView],
                 stages: Mapping[str, StageView]) -> None:
        """Build the index from scratch."""
        self._studies, self._trials, self._stages = studies, trials, stages
        self.needed_by: Mapping[str, list[TrialId]] = _needed_by(trials)
        """Stage id -> the trials that need the stage, finished ones included."""
        self.children: Mapping[str, list[str]] = _children(stages)
        """Stage id -> the stages that have it as a parent."""
        self.open_trials: dict[str, set[TrialId]] = {study_id: set() for study_id in studies}
        """Study id -> its unfinished trials."""
        self.wanted_live: dict[str, int] = {}
        """Stage id -> the number of unfinished trials that need it, in studies that are queued or running."""
        self.wanted_open: dict[str, int] = {}
        """The same number, with the trials of paused studies."""
        self.queued = {stage_id for stage_id, stage in stages.items() if stage.state is StageState.QUEUED}
        self.failed = {stage_id for stage_id, stage in stages.items() if stage.state is StageState.FAILED}
        self.ready: list[Place] = []
        """The sort keys of queued stages that a queued or running study needs, sorted."""
        self._places: dict[str, Place] = {}
        self.due: set[str] = set()
        """The stages that became ready or unreachable: `readied` returns another state than the one they have."""
        self.moved: set[TrialId] = set()
        """The unfinished trials for which `derived` returns another state than the one they have."""
        for trial_id, trial in trials.items():
            if trial.state not in TERMINAL_TRIALS:
                self.open_trials[trial.study_id].add(trial_id)
                self._count(trial, 1, studies[trial.study_id].state)
                self._judge(trial_id)
        for stage_id in stages:
            self._look(stage_id)
            self._place(stage_id)

    def over(self, studies: Mapping[str, StudyView], trials: Mapping[TrialId, TrialView],
             stages: Mapping[str, StageView]) -> Index:
        """Return a copy of this index that reads these mappings, which must equal the present ones."""
        copy = object.__new__(Index)
        copy._studies, copy._trials, copy._stages = studies, trials, stages
        copy.needed_by, copy.children = self.needed_by, self.children
        copy.open_trials = {study_id: set(trial_ids) for study_id, trial_ids in self.open_trials.items()}
        copy.wanted_live, copy.wanted_open = dict(self.wanted_live), dict(self.wanted_open)
        copy.ready, copy._places = list(self.ready), dict(self._places)
        copy.queued, copy.failed = set(self.queued), set(self.failed)
        copy.due, copy.moved = set(self.due), set(self.moved)
        return copy

    def wanting(self, stage_id: str) -> frozenset[str]:
        """Return the queued and running studies with an unfinished trial that needs the stage."""
        return frozenset(study_id for study_id in {self._trials[each].study_id for each in self._open(stage_id)}
                         if self._studies[study_id].state in LIVE_STUDIES)

    def needing(self, stage_id: str) -> set[str]:
        """Return the studies with any trial that needs the stage, finished trials included."""
        return {self._trials[each].study_id for each in self.needed_by.get(stage_id, ())}

    # ---- updates after a write ---------------------------------------------------------------------------------------

    def stage_changed(self, stage_id: str) -> None:
        """Update the index for the new state of a stage: its children, and the trials that need it."""
        state = self._stages[stage_id].state
        for stage_ids, member_state in ((self.queued, StageState.QUEUED), (self.failed, StageState.FAILED)):
            (stage_ids.add if state is member_state else stage_ids.discard)(stage_id)
        self._look(stage_id)
        self._place(stage_id)
        for child in self.children.get(stage_id, ()) if state in TERMINAL_STAGES else ():
            self._look(child)
        for trial_id in self._open(stage_id):
            self._judge(trial_id)

    def trial_changed(self, trial_id: TrialId) -> None:
        """Update the index for the new state of a trial; a finished trial needs none of its stages any more."""
        trial = self._trials[trial_id]
        if trial.state in TERMINAL_TRIALS:
            self.open_trials[trial.study_id].discard(trial_id)
            self.moved.discard(trial_id)
            self._count(trial, -1, self._studies[trial.study_id].state)
            self._look_at(trial.stage_ids)
        else:
            self._judge(trial_id)

    def study_changed(self, study_id: str, before: StudyState) -> None:
        """Update the index for the new state of a study; stages that only paused studies need are not ready."""
        after = self._studies[study_id].state
        if (before in LIVE_STUDIES, before in OPEN_STUDIES) == (after in LIVE_STUDIES, after in OPEN_STUDIES):
            return
        for trial_id in self.open_trials[study_id]:
            self._count(self._trials[trial_id], -1, before)
            self._count(self._trials[trial_id], 1, after)
            self._look_at(self._trials[trial_id].stage_ids)

    def _open(self, stage_id: str) -> Iterable[TrialId]:
        return (each for each in self.needed_by.get(stage_id, ()) if self._trials[each].state not in TERMINAL_TRIALS)

    def _count(self, trial: TrialView, change: int, state: StudyState) -> None:
        for counts, among in ((self.wanted_live, LIVE_STUDIES), (self.wanted_open, OPEN_STUDIES)):
            for stage_id in trial.stage_ids if state in among else ():
                counts[stage_id] = counts.get(stage_id, 0) + change
        for stage_id in trial.stage_ids:
            self._place(stage_id)

    def _place(self, stage_id: str) -> None:
        """Insert, move or remove a stage in the sorted list of ready stages."""
        stage, before = self._stages[stage_id], self._places.pop(stage_id, None)
        wanted = self.wanted_live.get(stage_id, 0)
        if before is not None:
            del self.ready[bisect_left(self.ready, before)]
        if stage.state is StageState.QUEUED and wanted:
            self._places[stage_id] = place_of(stage, wanted)
            insort(self.ready, self._places[stage_id])

    def _look_at(self, stage_ids: Iterable[str]) -> None:
        for stage_id in stage_ids:
            self._look(stage_id)

    def _look(self, stage_id: str) -> None:
        (self.due.add if self.readied(stage_id) is not self._stages[stage_id].state else self.due.discard)(stage_id)

    def _judge(self, trial_id: TrialId) -> None:
        has_moved = self.derived(trial_id) is not self._trials[trial_id].state
        (self.moved.add if has_moved else self.moved.discard)(trial_id)

    # ---- derived states ----------------------------------------------------------------------------------------------

    def readied(self, stage_id: str) -> StageState:
        """Return the state that a stage should have, by its parents and the studies that need it.

        It is QUEUED if its parents succeeded, SKIPPED if one of them did not, CANCELLED if no open study needs the
        stage; a live, finished or still waiting stage keeps its state.
        """
        stage = self._stages[stage_id]
        if stage.state in TERMINAL_STAGES or stage.state in LIVE_STAGES:
            return stage.state
        if not self.wanted_open.get(stage_id):
            return StageState.CANCELLED
        if stage.state is StageState.QUEUED:
            return stage.state
        parents = [self._stages[parent_id].state for parent_id in stage.parent_ids]
        if all(parent is StageState.SUCCEEDED for parent in parents):
            return StageState.QUEUED
        is_moot = any(parent in TERMINAL_STAGES and parent is not StageState.SUCCEEDED for parent in parents)
        return StageState.SKIPPED if is_moot else stage.state

    def derived(self, trial_id: TrialId) -> TrialState:
        """Return the state of a trial as it follows from its stages; a finished import does not make it RUNNING."""
        stages = (self._stages[stage_id] for stage_id in self._trials[trial_id].stage_ids)
        return state_of_trial([(stage.kind, stage.state) for stage in stages])


def _needed_by(trials: Mapping[TrialId, TrialView]) -> dict[str, list[TrialId]]:
    trial_ids: dict[str, list[TrialId]] = defaultdict(list)
    for trial_id, trial in trials.items():
        for stage_id in trial.stage_ids:
            trial_ids[stage_id].append(trial_id)
    return dict(trial_ids)


def _children(stages: Mapping[str, StageView]) -> dict[str, list[str]]:
    child_ids: dict[str, list[str]] = defaultdict(list)
    for stage in stages.values():
        for parent_id in stage.parent_ids:
            child_ids[parent_id].append(stage.stage_id)
    return dict(child_ids)
