"""Decide what the driver does next: `decide(snapshot, observed, now) -> actions, snapshot`, one pure function.

- The order: ended attempts, started attempts, stages that became ready or unreachable, trials, studies, attempts to
  stop, stages to assign.
- Each step sees the effects of the steps before it, so one call leads from an ended attempt to the assignment of its
  child stage: a stage costs one ledger transaction, not three.
- Studies take turns by `fair_share`. Within a study the stage that most unfinished trials need goes first, because it
  unblocks most of them; then plan order decides.
- A stage with several workers takes one slot for each. No other stage overtakes the one whose turn it is.
- A running stage is not QUEUED, so it is never assigned twice: every trial that needs it waits for it, in whatever
  study.
- Only what changed is examined (`index`); otherwise the end of a single trial would cost a pass over all 10,000.
"""

from __future__ import annotations

import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import takewhile

from orchestrator.scheduler.actions import (
    Action,
    Assign,
    Finish,
    MoveStage,
    MoveStudy,
    MoveTrial,
    Propose,
    Start,
    Stop,
    Write,
)
from orchestrator.scheduler.fair_share import assign_slots
from orchestrator.scheduler.snapshot import NextSnapshot, Observed, Snapshot
from orchestrator.scheduler.views import Outcome, PastAttempt, StageView
from orchestrator.states import (
    BUDGETS,
    CRASH_LOOP,
    LIVE_STUDIES,
    POISONED,
    AttemptState,
    StageState,
    StudyState,
    study_state,
)

LONGEST_WAIT_S = 60.0
_HARMLESS = frozenset({AttemptState.PREEMPTED, AttemptState.CANCELLED, AttemptState.FENCED})

FAILED_FAST = "fail_fast: a stage failed"
"""Why a study is paused that asks for it."""


def decide(snapshot: Snapshot, observed: Observed, now: float, *, retry_base_s: float = 1.0,
           stop_grace_s: float = 25.0) -> tuple[list[Action], Snapshot]:
    """Return the actions to perform now, in order, and the snapshot as it is once the ledger has accepted them.

    Args:
        snapshot: the live part of the ledger.
        observed: what the executor reported since the last decision.
        now: the time in seconds, by the ledger's clock.
        retry_base_s: the seconds before the first retry of a stage; doubled with each further one.
        stop_grace_s: the seconds that an attempt has to save its work after it was asked to stop.
    """
    work = _Decision(snapshot, observed, now)
    work.do(_finishes(work, retry_base_s))
    work.do(_starts(work))
    while work.draft.index.due:  # what is skipped makes its children moot
        work.do(_readiness(work))
    work.do(_trials(work))
    work.do(_studies(work))
    work.actions += _stops(work, stop_grace_s)
    if not observed.is_draining and not observed.hold:
        work.do(_claims(work))
        work.do(_trials(work))  # the first claim makes its trials RUNNING
        work.actions += _proposals(work)
    return work.actions, work.draft.snapshot()


def retry_delay_s(num_failed: int, *, base_s: float) -> float:
    """Return the seconds to wait before the next attempt: exponential, at most `LONGEST_WAIT_S`."""
    if num_failed < 1:
        raise ValueError(f"num_failed is {num_failed}; allowed: >= 1")
    return min(LONGEST_WAIT_S, base_s * 2.0 ** min(num_failed - 1, 30))


class _Decision:
    """A decision in progress: the actions so far, and the snapshot with their effects."""

    def __init__(self, snapshot: Snapshot, observed: Observed, now: float) -> None:
        self.draft, self.observed, self.now = NextSnapshot(snapshot), observed, now
        self.actions: list[Action] = []

    def do(self, writes: Sequence[Write]) -> None:
        self.actions += writes
        self.draft.apply(writes)


# ---- what ended, what started --------------------------------------------------------------------------------------


def _finishes(work: _Decision, retry_base_s: float) -> list[Write]:
    wanted = work.draft.index.wanted_open
    found: list[Write] = []
    # If an attempt's outcome was reported twice before the first was written, the first one counts.
    first = {outcome.attempt_id: outcome for outcome in reversed(work.observed.outcomes)}
    for outcome in [each for each in work.observed.outcomes if first[each.attempt_id] is each]:
        attempt = work.draft.attempts.get(outcome.attempt_id)
        if attempt is None:  # a late report of an attempt that was given up: its files stay, but it is not accepted
            continue
        stage = work.draft.stages[attempt.stage_id]
        outcome = _judged(outcome, stage, is_wanted=wanted.get(stage.stage_id, 0) > 0)
        target, why = _after(outcome, stage, is_wanted=wanted.get(stage.stage_id, 0) > 0)
        if why:
            message = (outcome.failure or {}).get("message", outcome.state)
            outcome = replace(outcome, failure={**(outcome.failure or {}), "message": f"{message}\ngiven up: {why}"})
        num_failed = _num_failed(outcome, stage) if target is StageState.QUEUED else 0
        not_before = work.now + retry_delay_s(num_failed, base_s=retry_base_s) if num_failed else 0.0
        found.append(Finish(outcome, stage.stage_id, attempt.attempt_no, stage.state, target, not_before))
    return found


def _num_failed(outcome: Outcome, stage: StageView) -> int:
    """Count the failures that set the wait before the next attempt.

    After a preemption these are the consecutive preemptions before it: the first one is retried at once. Otherwise they
    are the charged failures.
    """
    counted = _counted(stage)
    if outcome.state is AttemptState.PREEMPTED:
        return sum(1 for _ in takewhile(lambda past: past.state is AttemptState.PREEMPTED, reversed(counted)))
    return sum(past.is_charged for past in counted) + outcome.is_charged


def _judged(outcome: Outcome, stage: StageView, *, is_wanted: bool) -> Outcome:
    """Correct an outcome: a non-finite result is DIVERGED, a stop of an unneeded stage CANCELLED; charge no stop."""
    if outcome.state is AttemptState.SUCCEEDED and not is_finite(outcome.result):
        message = f"{stage.kind} returned a number that is not finite"
        outcome = replace(outcome, state=AttemptState.DIVERGED, result=None,
                          failure={"kind": "DIVERGED", "message": message, "hash": "not-finite"})
    if outcome.state is AttemptState.PREEMPTED and not is_wanted:
        outcome = replace(outcome, state=AttemptState.CANCELLED)
    is_harmless = outcome.state in _HARMLESS or outcome.state is AttemptState.SUCCEEDED
    return replace(outcome, is_charged=outcome.is_charged and not is_harmless)


def _after(outcome: Outcome, stage: StageView, *, is_wanted: bool) -> tuple[StageState, str]:
    """Return the next state of the stage, and why it is given up, "" if there is nothing to add to the failure.

    A result is final; a failure is retried within the budget of its kind.
    """
    if outcome.state in (AttemptState.SUCCEEDED, AttemptState.DIVERGED):
        return StageState(outcome.state), ""
    if not is_wanted:
        return StageState.CANCELLED, ""
    if _is_crash_loop(stage, outcome):
        return StageState.FAILED, (f"lost {CRASH_LOOP} times in a row without a new checkpoint; it is in quarantine "
                                   "until `ablate resume`")
    if (outcome.failure or {}).get("is_certain"):
        return StageState.FAILED, "it would fail again just so"
    budget = BUDGETS[outcome.state]
    spent = outcome.is_charged + sum(past.is_charged and past.state is outcome.state for past in _counted(stage))
    if budget is None or spent <= budget:
        return StageState.QUEUED, ""
    return StageState.FAILED, f"the {budget} retries that {outcome.state} has are spent" if budget else ""


def _counted(stage: StageView) -> list[PastAttempt]:
    return [past for past in stage.past if past.attempt_no > stage.charged_from]


def _is_crash_loop(stage: StageView, outcome: Outcome) -> bool:
    """Return whether the last `CRASH_LOOP` attempts of the stage were lost without a new checkpoint."""
    if outcome.state is not AttemptState.LOST:
        return False
    last = _counted(stage)[-(CRASH_LOOP - 1):]
    return (len(last) == CRASH_LOOP - 1 and all(past.state is AttemptState.LOST for past in last)
            and last[0].checkpoint_step >= outcome.checkpoint_step)


def is_finite(value: object) -> bool:
    """Return whether a plain value contains neither NaN nor infinity, at any depth."""
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, Mapping):
        return all(is_finite(item) for item in value.values())
    return all(is_finite(item) for item in value) if isinstance(value, list | tuple) else True


def _starts(work: _Decision) -> list[Write]:
    attempts = (work.draft.attempts.get(attempt_id) for attempt_id in sorted(work.observed.started))
    return [Start(each.attempt_id, each.stage_id) for each in attempts if each and each.state is AttemptState.LEASED]


# ---- what became ready or moot, trials, studies --------------------------------------------------------------------


def _readiness(work: _Decision) -> list[Write]:
    """Queue stages whose parents succeeded, skip those with a failed parent, cancel those that no open study needs."""
    stages, index = work.draft.stages, work.draft.index
    due = sorted((stages[stage_id] for stage_id in index.due), key=lambda stage: (stage.position, stage.stage_id))
    return [MoveStage(stage.stage_id, stage.state, index.readied(stage.stage_id)) for stage in due]


def _trials(work: _Decision) -> list[Write]:
    trials, index = work.draft.trials, work.draft.index
    return [MoveTrial(*trial_id, trials[trial_id].state, index.derived(trial_id)) for trial_id in sorted(index.moved)]


def _studies(work: _Decision) -> list[Write]:
    draft, poisoned = work.draft, _poisoned(work)
    found: list[Write] = []
    for study in draft.studies.values():
        if study.state not in LIVE_STUDIES:
            target, reason = study.state, ""
        elif not study.grows and not draft.index.open_trials[study.study_id]:
            states = [trial.state for trial in draft.trials.values() if trial.study_id == study.study_id]
            target, reason = study_state(states), ""
        elif study.study_id in poisoned:
            target, reason = StudyState.PAUSED, poisoned[study.study_id]
        else:
            is_begun = study.state is StudyState.RUNNING or bool(work.observed.slots)
            target, reason = (StudyState.RUNNING if is_begun else StudyState.QUEUED), ""
        if target is not study.state:
            found.append(MoveStudy(study.study_id, study.state, target, reason))
    return found


def _poisoned(work: _Decision) -> dict[str, str]:
    """Return the studies to pause for failed stages, each with the reason.

    Several stages failed with the same error, or one failed of a study that asks for `fail_fast`.
    """
    found = {study_id: FAILED_FAST for stage_id in work.draft.index.failed
             for study_id in work.draft.index.needing(stage_id)
             if study_id in work.draft.studies and work.draft.studies[study_id].fail_fast}
    hashes: dict[str, Counter[str]] = defaultdict(Counter)
    for stage_id in work.draft.index.failed:
        failure_hash = work.draft.stages[stage_id].failure_hash
        for study_id in work.draft.index.needing(stage_id) if failure_hash else ():
            hashes[study_id][failure_hash] += 1
    most = {study_id: max(counts.values()) for study_id, counts in hashes.items()}
    same = {study_id: f"poisoned: {count} stages failed with the same error" for study_id, count in most.items()
            if count >= POISONED}
    return found | same


# ---- whom to stop, what to hand out --------------------------------------------------------------------------------


def _stops(work: _Decision, stop_grace_s: float) -> list[Stop]:
    wanted = work.draft.index.wanted_live
    found = []
    for attempt in work.draft.attempts.values():
        asked = work.observed.stopping.get(attempt.attempt_id)
        if attempt.attempt_id in work.observed.stalled:
            found.append(Stop(attempt.attempt_id, AttemptState.STALLED, is_kill=True))
        elif asked is not None and not -stop_grace_s < work.now - asked < stop_grace_s:  # below: the clock was set back
            found.append(Stop(attempt.attempt_id, AttemptState.PREEMPTED, is_kill=True))
        elif asked is None and (work.observed.is_draining or not wanted.get(attempt.stage_id)):
            found.append(Stop(attempt.attempt_id, AttemptState.PREEMPTED))
    return found


def _claims(work: _Decision) -> list[Write]:
    num_free = work.observed.slots - _num_taken(work)
    if num_free <= 0:
        return []
    draft = work.draft
    in_use: Counter[str] = Counter()
    for attempt in draft.attempts.values():
        in_use[attempt.study_id] += draft.stages[attempt.stage_id].workers
    live = {study_id: study for study_id, study in draft.studies.items() if study.state in LIVE_STUDIES}
    found = assign_slots(partial(_ready, work), draft.index.wanting, live, in_use, num_free=num_free)
    return [_claim(work, stage, study_id) for stage, study_id in found]


def _ready(work: _Decision) -> Iterator[StageView]:
    """Yield the stages that could be assigned now, in order.

    A stage that needs more slots than there are is left out: it could never start, and would block those behind it.
    """
    for *_, stage_id in work.draft.index.ready:
        stage = work.draft.stages[stage_id]
        if _is_time(stage, work.now) and stage.workers <= work.observed.slots:
            yield stage


def _num_taken(work: _Decision) -> int:
    return sum(work.draft.stages[attempt.stage_id].workers for attempt in work.draft.attempts.values())


def _is_time(stage: StageView, now: float) -> bool:
    """Return whether the stage's wait is over; a wait beyond the longest possible one means the clock was set back."""
    return not now < stage.not_before <= now + LONGEST_WAIT_S


def _claim(work: _Decision, stage: StageView, study_id: str) -> Assign:
    attempt_no = stage.attempts_made + 1
    name = f"{stage.stage_id}/{attempt_no}/{work.observed.epoch}"
    return Assign(uuid.uuid5(uuid.NAMESPACE_OID, name).hex, stage.stage_id, attempt_no, study_id, work.now)


def _proposals(work: _Decision) -> list[Propose]:
    if work.observed.slots <= _num_taken(work):
        return []
    found = []
    for study in work.draft.studies.values():
        if study.state in LIVE_STUDIES and study.grows:
            is_open = {work.draft.trials[each].arm_key for each in work.draft.index.open_trials[study.study_id]}
            if len(is_open) < study.parallel:
                found.append(Propose(study.study_id))
    return found
