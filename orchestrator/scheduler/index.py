"""What follows from a snapshot, kept up to date write by write: a decision then costs what changed, not what there is.

- Everything here is a function of studies, trials and stages alone; a test compares it with one made anew after every step.
- Who needs a stage and which stages wait for it is fixed for a snapshot; the rest moves with the states.
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
    trial_state,
)

OPEN_STUDIES = LIVE_STUDIES | {StudyState.PAUSED}


Place = tuple[int, int, str]


def place_of(stage: StageView, num_wanted: int) -> Place:
    """Return where a stage stands among those that are ready: first what most unfinished trials wait for, then the order of the plan."""
    return -num_wanted, stage.position, stage.stage_id


class Index:
    """Of the parts of one snapshot or draft, which it reads and never changes."""

    __slots__ = ("_places", "_stages", "_studies", "_trials", "children", "due", "failed", "moved", "needed_by", "open_trials", "queued",
                 "ready", "wanted_live", "wanted_open")

    def __init__(self, studies: Mapping[str, StudyView], trials: Mapping[TrialId, TrialView], stages: Mapping[str, StageView]) -> None:
        """Look at everything once."""
        self._studies, self._trials, self._stages = studies, trials, stages
        self.needed_by: Mapping[str, list[TrialId]] = _needed_by(trials)
        """Stage -> trials that need it, finished ones too."""
        self.children: Mapping[str, list[str]] = _children(stages)
        """Stage -> stages that wait for it."""
        self.open_trials: dict[str, set[TrialId]] = {study_id: set() for study_id in studies}
        """Study -> its unfinished trials."""
        self.wanted_live: dict[str, int] = {}
        """Stage -> unfinished trials that need it, of studies that run or are queued."""
        self.wanted_open: dict[str, int] = {}
        """The same, with those of paused studies."""
        self.queued = {stage_id for stage_id, stage in stages.items() if stage.state is StageState.QUEUED}
        self.failed = {stage_id for stage_id, stage in stages.items() if stage.state is StageState.FAILED}
        self.ready: list[Place] = []
        """Queued stages that a study wants which runs or is queued, in the order in which they go."""
        self._places: dict[str, Place] = {}
        self.due: set[str] = set()
        """Stages that became ready or moot: `readied` gives another state than they have."""
        self.moved: set[TrialId] = set()
        """Unfinished trials whose stages give another state than they have."""
        for trial_id, trial in trials.items():
            if trial.state not in TERMINAL_TRIALS:
                self.open_trials[trial.study_id].add(trial_id)
                self._count(trial, 1, studies[trial.study_id].state)
                self._judge(trial_id)
        for stage_id in stages:
            self._look(stage_id)
            self._place(stage_id)

    def over(self, studies: Mapping[str, StudyView], trials: Mapping[TrialId, TrialView], stages: Mapping[str, StageView]) -> Index:
        """Return a copy that reads these parts, which are equal to its own so far."""
        copy = object.__new__(Index)
        copy._studies, copy._trials, copy._stages = studies, trials, stages
        copy.needed_by, copy.children = self.needed_by, self.children
        copy.open_trials = {study_id: set(mine) for study_id, mine in self.open_trials.items()}
        copy.wanted_live, copy.wanted_open = dict(self.wanted_live), dict(self.wanted_open)
        copy.ready, copy._places = list(self.ready), dict(self._places)
        copy.queued, copy.failed, copy.due, copy.moved = set(self.queued), set(self.failed), set(self.due), set(self.moved)
        return copy

    def wanting(self, stage_id: str) -> frozenset[str]:
        """Return the studies that run or are queued and of which an unfinished trial needs the stage."""
        return frozenset(study_id for study_id in {self._trials[each].study_id for each in self._open(stage_id)}
                         if self._studies[study_id].state in LIVE_STUDIES)

    def needing(self, stage_id: str) -> set[str]:
        """Return the studies of which any trial needs the stage."""
        return {self._trials[each].study_id for each in self.needed_by.get(stage_id, ())}

    # ---- after a write -----------------------------------------------------------------------------------------------

    def stage_changed(self, stage_id: str) -> None:
        """Follow the new state of a stage to what waits for it and what needs it."""
        state = self._stages[stage_id].state
        for mine, own in ((self.queued, StageState.QUEUED), (self.failed, StageState.FAILED)):
            (mine.add if state is own else mine.discard)(stage_id)
        self._look(stage_id)
        self._place(stage_id)
        for child in self.children.get(stage_id, ()) if state in TERMINAL_STAGES else ():
            self._look(child)
        for trial_id in self._open(stage_id):
            self._judge(trial_id)

    def trial_changed(self, trial_id: TrialId) -> None:
        """Follow the new state of a trial: one that is over needs nothing any more."""
        trial = self._trials[trial_id]
        if trial.state in TERMINAL_TRIALS:
            self.open_trials[trial.study_id].discard(trial_id)
            self.moved.discard(trial_id)
            self._count(trial, -1, self._studies[trial.study_id].state)
            self._look_at(trial.stage_ids)
        else:
            self._judge(trial_id)

    def study_changed(self, study_id: str, before: StudyState) -> None:
        """Follow the new state of a study: what only paused studies want is not handed out."""
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
        """Put a stage where it stands among those that are ready, or take it out."""
        stage, before, wanted = self._stages[stage_id], self._places.pop(stage_id, None), self.wanted_live.get(stage_id, 0)
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
        (self.moved.add if self.derived(trial_id) is not self._trials[trial_id].state else self.moved.discard)(trial_id)

    # ---- what states give --------------------------------------------------------------------------------------------

    def readied(self, stage_id: str) -> StageState:
        """Return what a stage becomes by its parents: ready, moot, not wanted, or what it is."""
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
        """Return the state that a trial's stages give; an import begins nothing."""
        mine = (self._stages[stage_id] for stage_id in self._trials[trial_id].stage_ids)
        return trial_state([stage.state for stage in mine if stage.kind != "import"])


def _needed_by(trials: Mapping[TrialId, TrialView]) -> dict[str, list[TrialId]]:
    found: dict[str, list[TrialId]] = defaultdict(list)
    for trial_id, trial in trials.items():
        for stage_id in trial.stage_ids:
            found[stage_id].append(trial_id)
    return dict(found)


def _children(stages: Mapping[str, StageView]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = defaultdict(list)
    for stage in stages.values():
        for parent_id in stage.parent_ids:
            found[parent_id].append(stage.stage_id)
    return dict(found)
