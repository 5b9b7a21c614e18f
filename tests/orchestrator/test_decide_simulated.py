"""The pure core under a simulated world: random ends, crashes, pauses, cancellations, late reports. Invariants hold after each."""

from collections import Counter
from dataclasses import replace

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from orchestrator.decide import decide
from orchestrator.snapshot import (
    Claim,
    Finish,
    MoveStudy,
    Observed,
    Outcome,
    Propose,
    Snapshot,
    StageView,
    Stop,
    StudyView,
    TrialView,
    evolve,
)
from orchestrator.snapshot_index import Index
from orchestrator.states import (
    BUDGETS,
    LIVE_STAGES,
    TERMINAL_STAGES,
    TERMINAL_STUDIES,
    TERMINAL_TRIALS,
    AttemptState,
    StageState,
    StudyState,
    TrialState,
)

SLOTS = 2
ENDS = [AttemptState.SUCCEEDED] * 4 + [AttemptState.LOST, AttemptState.RESOURCE, AttemptState.USER_ERROR, AttemptState.DIVERGED,
                                       AttemptState.STALLED, AttemptState.PREEMPTED]


FOLLOWS = ("children", "due", "failed", "moved", "needed_by", "open_trials", "queued", "ready", "wanted_live", "wanted_open")


def followed(index, name):
    """Return a part of an index; a count of 0 is none."""
    value = getattr(index, name)
    return {key: count for key, count in value.items() if count} if name.startswith("wanted") else value


class World(RuleBasedStateMachine):
    """The ledger is a snapshot; workers are the set of attempts that were handed over and have not ended."""

    def __init__(self):
        super().__init__()
        self.snapshot, self.now, self.epoch = Snapshot(), 0.0, 1
        self.workers: set[str] = set()
        self.late: list[str] = []
        self.stopping: dict[str, float] = {}
        self.successes: Counter[str] = Counter()
        self.charged: Counter[tuple[str, AttemptState]] = Counter()
        self.final: dict[str, StageState] = {}

    def decide(self, *outcomes, draining=False):
        observed = Observed(epoch=self.epoch, slots=SLOTS, outcomes=outcomes, stopping=self.stopping, is_draining=draining)
        actions = decide(self.snapshot, observed, self.now)
        self.snapshot = evolve(self.snapshot, [each for each in actions if not isinstance(each, Stop | Propose)])
        for action in actions:
            self.note(action)

    def note(self, action):
        match action:
            case Claim():
                self.workers.add(action.attempt_id)
            case Finish():
                self.workers.discard(action.outcome.attempt_id)
                self.successes[action.stage_id] += action.outcome.state is AttemptState.SUCCEEDED
                self.charged[action.stage_id, action.outcome.state] += action.outcome.is_charged
            case Stop():
                self.stopping.setdefault(action.attempt_id, self.now)
            case _:
                pass

    @precondition(lambda self: len(self.snapshot.studies) < 3)
    @rule(num_trials=st.integers(1, 4))
    def submit(self, num_trials):
        """Studies share their first stage, and the first trial's second."""
        study_id, stages, trials = f"study {len(self.snapshot.studies)}", dict(self.snapshot.stages), dict(self.snapshot.trials)
        for i in range(num_trials):
            ids = ("shared", "own 0" if i == 0 else f"own {study_id} {i}", f"score {study_id} {i}")
            for position, stage_id in enumerate(ids):
                stages.setdefault(stage_id, StageView(stage_id, "sft", StageState.PLANNED, position, ids[position - 1:position],
                                                        workers=1 + (len(stage_id) + i) % SLOTS))
                if stages[stage_id].state in (StageState.FAILED, StageState.SKIPPED, StageState.CANCELLED):
                    stages[stage_id] = replace(stages[stage_id], state=StageState.PLANNED, charged_from=stages[stage_id].attempts_made)
                    self.final.pop(stage_id, None)
                    self.charged = Counter({key: n for key, n in self.charged.items() if key[0] != stage_id})
            trials[study_id, str(i)] = TrialView(study_id, str(i), str(i), TrialState.PLANNED, ids)
        study = StudyView(study_id, StudyState.QUEUED, self.now)
        self.snapshot = replace(self.snapshot, studies={**self.snapshot.studies, study_id: study}, stages=stages, trials=trials)

    @rule()
    def tick(self):
        self.now += 100
        self.decide()

    @precondition(lambda self: self.workers)
    @rule(data=st.data(), state=st.sampled_from(ENDS), step=st.integers(0, 3))
    def a_worker_ends(self, data, state, step):
        attempt_id = data.draw(st.sampled_from(sorted(self.workers)))
        self.late.append(attempt_id)
        self.decide(Outcome(attempt_id, state, result={}, failure={"hash": ""}, checkpoint_step=step))

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def a_zombie_reports_again(self, data):
        self.decide(Outcome(data.draw(st.sampled_from(self.late)), AttemptState.SUCCEEDED, result={}))

    @rule()
    def the_driver_is_replaced(self):
        """A new driver finds attempts it does not know, without results."""
        self.epoch += 1
        self.stopping = {}
        lost = [Outcome(attempt_id, AttemptState.LOST, is_charged=False) for attempt_id in self.snapshot.attempts]
        self.late += list(self.workers)
        self.workers = set()
        self.decide(*lost)

    @precondition(lambda self: self.snapshot.studies)
    @rule(data=st.data(), state=st.sampled_from([StudyState.PAUSED, StudyState.QUEUED, StudyState.CANCELLED]))
    def a_person_acts(self, data, state):
        study = self.snapshot.studies[data.draw(st.sampled_from(sorted(self.snapshot.studies)))]
        if study.state in TERMINAL_STUDIES:
            return
        self.snapshot = evolve(self.snapshot, [MoveStudy(study.study_id, study.state, state)])
        cancelled = {key: replace(trial, state=TrialState.CANCELLED) for key, trial in self.snapshot.trials.items()
                     if state is StudyState.CANCELLED and trial.study_id == study.study_id and trial.state not in TERMINAL_TRIALS}
        self.snapshot = replace(self.snapshot, trials={**self.snapshot.trials, **cancelled})

    # ---- what always holds ----

    @invariant()
    def what_is_carried_along_is_what_follows(self):
        shot = self.snapshot
        anew = Index(shot.studies, shot.trials, shot.stages)
        assert all(followed(shot.index, name) == followed(anew, name) for name in FOLLOWS)

    @invariant()
    def one_accepted_result_a_stage(self):
        assert all(count <= 1 for count in self.successes.values())

    @invariant()
    def no_more_workers_than_slots(self):
        assert sum(self.snapshot.stages[each.stage_id].workers for each in self.snapshot.attempts.values()) <= SLOTS

    @invariant()
    def a_live_stage_has_one_live_attempt(self):
        live = Counter(attempt.stage_id for attempt in self.snapshot.attempts.values())
        assert live == Counter(stage.stage_id for stage in self.snapshot.stages.values() if stage.state in LIVE_STAGES)

    @invariant()
    def the_executor_knows_every_live_attempt(self):
        assert set(self.snapshot.attempts) == self.workers

    @invariant()
    def final_states_stay(self):
        now = {stage.stage_id: stage.state for stage in self.snapshot.stages.values() if stage.state in TERMINAL_STAGES}
        assert all(now.get(stage_id) is state for stage_id, state in self.final.items())
        self.final = now

    @invariant()
    def retries_stay_within_budgets(self):
        assert all(count <= (BUDGETS[state] or 0) + 1 for (_, state), count in self.charged.items() if count)

    def teardown(self):
        """With faults off, everything ends."""
        for study in self.snapshot.studies.values():
            if study.state is StudyState.PAUSED:
                self.snapshot = evolve(self.snapshot, [MoveStudy(study.study_id, study.state, StudyState.QUEUED)])
        for _ in range(100):
            self.now += 100
            self.decide(*[Outcome(attempt_id, AttemptState.SUCCEEDED, result={}) for attempt_id in sorted(self.workers)])
        assert all(study.state in TERMINAL_STUDIES for study in self.snapshot.studies.values())
        assert all(trial.state in TERMINAL_TRIALS for trial in self.snapshot.trials.values())
        assert all(stage.state in TERMINAL_STAGES for stage in self.snapshot.stages.values())


World.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None,
                                   suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
TestWorld = World.TestCase
