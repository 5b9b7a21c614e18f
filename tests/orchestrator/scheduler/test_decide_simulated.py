"""The pure core under a simulated world, and the real flusher beside it. Invariants hold after each step.

Workers end in any way or report late, persons pause and cancel, the clock jumps, a transaction fails before or after its COMMIT, a driver
dies between the two, tracking is down, loses its reply, or cannot note what it sent.
"""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from orchestrator.ledger.outbox import Message
from orchestrator.ledger.tables import metadata
from orchestrator.scheduler.actions import Assign, Finish, MoveStage, MoveStudy, Propose, Stop
from orchestrator.scheduler.decide import decide
from orchestrator.scheduler.index import Index
from orchestrator.scheduler.snapshot import Observed, Snapshot, evolve
from orchestrator.scheduler.views import Outcome, StageView, StudyView, TrialView
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
from orchestrator.tracking import flusher
from tests.support.toy import toy_settings

NAMELESS = create_engine("sqlite://", poolclass=StaticPool)
"""A ledger in memory that nobody has named yet."""
metadata.create_all(NAMELESS)

SLOTS = 2
HOUR = 3600.0
FAULTS = ("before commit", "dies after commit")
ENDS = [AttemptState.SUCCEEDED] * 4 + [AttemptState.LOST, AttemptState.RESOURCE, AttemptState.USER_ERROR, AttemptState.DIVERGED,
                                       AttemptState.STALLED, AttemptState.PREEMPTED]


FOLLOWS = ("children", "due", "failed", "moved", "needed_by", "open_trials", "queued", "ready", "wanted_live", "wanted_open")


def followed(index, name):
    """Return a part of an index; a count of 0 is none."""
    value = getattr(index, name)
    return {key: count for key, count in value.items() if count} if name.startswith("wanted") else value


class Tracker:
    """A store that takes a message twice without harm, and fails as it is told to; also what the ledger knows to be sent."""

    def __init__(self):
        self.mode = "up"
        self.outbox: list[Message] = []
        self.sent: set[int] = set()
        self.arrived: dict[str, list[int]] = {}

    def say(self, subject, kind):
        seq = 1 + sum(each.subject == subject for each in self.outbox)
        self.outbox.append(Message(message_id=len(self.outbox), subject=subject, seq=seq, kind=kind, payload={}, created_at=0.0))

    def pending(self, _engine, *, limit):
        return [each for each in self.outbox if each.message_id not in self.sent][:limit]

    def deliver(self, messages):
        if self.mode == "down":
            raise ConnectionError("nobody answers")
        for each in messages:
            if each.seq not in self.arrived.setdefault(each.subject, []):
                self.arrived[each.subject].append(each.seq)
        if self.mode == "reply lost":
            raise ConnectionError("the connection was cut")
        return 0

    def settle(self, message_ids):
        if self.mode == "not noted":
            raise ConnectionError("the ledger is away")
        self.sent |= set(message_ids)


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
        self.told: list[Outcome] = []
        self.killed: set[str] = set()
        self.replayed: dict[str, StageState] = {}
        self.tracker = Tracker()
        self.flusher = flusher.Flusher(toy_settings(Path("nowhere"), mlflow="simulated"), NAMELESS)
        self.flusher._store = self.tracker

    def decide(self, *outcomes, fault=""):
        """Decide, write and perform; with a fault the transaction fails, or its driver dies right after COMMIT."""
        self.told += outcomes
        observed = Observed(epoch=self.epoch, slots=SLOTS, outcomes=tuple(self.told), stopping=self.stopping)
        actions, then = decide(self.snapshot, observed, self.now)
        writes = [each for each in actions if not isinstance(each, Stop | Propose)]
        if fault == "before commit":
            assert decide(self.snapshot, observed, self.now)[0] == actions, "what was not written is decided again just so"
            return
        assert evolve(self.snapshot, writes) == then
        self.snapshot, self.told = then, []
        self.write_down(writes)
        if fault == "dies after commit":
            self.the_driver_is_replaced()
            return
        for action in actions:
            self.perform(action)

    def write_down(self, writes):
        """What the ledger has of a decision once it is committed: states, events, messages."""
        for write in writes:
            match write:
                case Assign():
                    self.event(write.stage_id, StageState.QUEUED, StageState.LEASED)
                    self.tracker.say(write.attempt_id, "attempt_started")
                case Finish():
                    self.event(write.stage_id, write.stage_from, write.stage_to)
                    self.tracker.say(write.outcome.attempt_id, "attempt_finished")
                    self.workers.discard(write.outcome.attempt_id)
                    self.successes[write.stage_id] += write.outcome.state is AttemptState.SUCCEEDED
                    self.charged[write.stage_id, write.outcome.state] += write.outcome.is_charged
                case MoveStage():
                    self.event(write.stage_id, write.source, write.target)
                case _:
                    pass

    def event(self, stage_id, source, target):
        assert self.replayed.get(stage_id, StageState.PLANNED) is source
        self.replayed[stage_id] = target

    def perform(self, action):
        match action:
            case Assign():
                self.workers.add(action.attempt_id)
            case Stop(is_kill=True):
                self.killed.add(action.attempt_id)
            case Stop():
                self.stopping.setdefault(action.attempt_id, self.now)
            case _:
                pass

    @property
    def unheard(self):
        """Workers of which no end was heard; one that ended is told until the ledger has it."""
        return sorted(self.workers - {each.attempt_id for each in self.told})

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
                    self.replayed[stage_id] = StageState.PLANNED
                    self.final.pop(stage_id, None)
                    self.charged = Counter({key: n for key, n in self.charged.items() if key[0] != stage_id})
            trials[study_id, str(i)] = TrialView(study_id, str(i), str(i), TrialState.PLANNED, ids)
        study = StudyView(study_id, StudyState.QUEUED, self.now)
        self.snapshot = replace(self.snapshot, studies={**self.snapshot.studies, study_id: study}, stages=stages, trials=trials)

    @rule()
    def tick(self):
        self.now += 100
        self.decide()

    @precondition(lambda self: self.unheard)
    @rule(data=st.data(), state=st.sampled_from(ENDS), step=st.integers(0, 3), fault=st.sampled_from(["", "", *FAULTS]))
    def a_worker_ends(self, data, state, step, fault):
        attempt_id = data.draw(st.sampled_from(self.unheard))
        self.late.append(attempt_id)
        self.decide(Outcome(attempt_id, state, result={}, failure={"hash": ""}, checkpoint_step=step), fault=fault)

    @rule(fault=st.sampled_from(FAULTS))
    def a_transaction_fails(self, fault):
        self.decide(fault=fault)

    @rule(by_s=st.sampled_from([-24 * HOUR, -HOUR, -10.0, 10.0, HOUR, 24 * HOUR]))
    def the_clock_jumps(self, by_s):
        self.now += by_s
        self.decide()

    @rule(mode=st.sampled_from(["up", "down", "reply lost", "not noted"]))
    def tracking_is_sent(self, mode):
        self.tracker.mode = mode
        with patch.object(flusher, "outbox", SimpleNamespace(pending=self.tracker.pending)):
            self.flusher.turn()

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def a_zombie_reports_again(self, data):
        self.decide(Outcome(data.draw(st.sampled_from(self.late)), AttemptState.SUCCEEDED, result={}))

    @rule()
    def the_driver_is_replaced(self):
        """A new driver finds attempts it does not know: what had ended has left its result, the others are given up."""
        self.epoch += 1
        self.stopping, self.killed = {}, set()
        left = {each.attempt_id: each for each in self.told}
        found = [left.get(attempt_id) or Outcome(attempt_id, AttemptState.LOST, is_charged=False) for attempt_id in self.snapshot.attempts]
        self.late += list(self.workers)
        self.told, self.workers = [], set()
        self.decide(*found)

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
    def states_are_what_the_events_say(self):
        assert all(self.replayed.get(each.stage_id, StageState.PLANNED) is each.state for each in self.snapshot.stages.values())

    @invariant()
    def tracking_hears_everything_in_order_and_once(self):
        assert all(seqs == list(range(1, len(seqs) + 1)) for seqs in self.tracker.arrived.values())
        assert all(each.seq in self.tracker.arrived[each.subject] for each in self.tracker.outbox if each.message_id in self.tracker.sent)

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
            deaf = [each for each in self.unheard if each in self.stopping]  # asked to save, they never answer: they are killed
            ended = [Outcome(each, AttemptState.PREEMPTED) for each in deaf if each in self.killed]
            self.decide(*ended, *[Outcome(each, AttemptState.SUCCEEDED, result={}) for each in self.unheard if each not in deaf])
        self.tracking_is_sent("up")
        assert self.tracker.pending(None, limit=1) == []
        assert {each.subject: each.seq for each in self.tracker.outbox} == {name: seqs[-1] for name, seqs in self.tracker.arrived.items()}
        assert all(study.state in TERMINAL_STUDIES for study in self.snapshot.studies.values())
        assert all(trial.state in TERMINAL_TRIALS for trial in self.snapshot.trials.values())
        assert all(stage.state in TERMINAL_STAGES for stage in self.snapshot.stages.values())


World.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None,
                                   suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
TestWorld = World.TestCase
