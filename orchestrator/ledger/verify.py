"""Check the ledger: replay the events and compare them with the rows, then check the rows' invariants. Read-only.

- A state is a projection of the events. For every study, trial, stage and attempt, the last event must name the state
  of the row, each event must start where the previous one ended, and each step must be in the transition table.
- The invariants: a stage has at most one accepted and one live attempt, attempts are numbered without gaps, retries
  stay within their budgets, every live attempt has a lease, and scores and outbox messages belong to what they should.
- A difference is a bug, or somebody edited the database. Nothing is repaired here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, func, select

from orchestrator.ledger import tables as t
from orchestrator.ledger.backup import RESTORE
from orchestrator.states import (
    ALLOWED,
    BUDGETS,
    LIVE_ATTEMPTS,
    LIVE_STAGES,
    REOPENED,
    RESULTS,
    TERMINAL_TRIALS,
    AttemptState,
    StageState,
    StudyState,
    TrialState,
)

_STATES: dict[str, type[StrEnum]] = {
    "study": StudyState,
    "trial": TrialState,
    "stage": StageState,
    "attempt": AttemptState,
}
_KNOWN = {entity: frozenset(map(str, states)) for entity, states in _STATES.items()}
_BORN = {"study": "", "trial": str(TrialState.PLANNED), "stage": str(StageState.PLANNED), "attempt": ""}
"""State before the first event: stages and trials are inserted as PLANNED without an event."""
Key = tuple[str, str]
"""Entity, id; a trial's id is `study_id/trial_key`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerDifference:
    """One inconsistency."""

    entity: str
    entity_id: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """How much was checked, and the inconsistencies that were found."""

    num_events: int
    num_rows: int
    differences: tuple[LedgerDifference, ...]


def verify(engine: Engine) -> Verified:
    """Compare the whole ledger with its event history, in one read transaction."""
    with engine.connect() as connection:
        replayed, num_events, broken = _replay(connection)
        rows = dict(_rows(connection))
        found = [*broken, *_projections(replayed, rows), *_attempts(connection), *_trials(connection),
                 *_scores(connection), *_outbox(connection)]
    return Verified(num_events=num_events, num_rows=len(rows), differences=tuple(found))


# ---- events against rows -------------------------------------------------------------------------------------------


def _replay(connection: Connection) -> tuple[dict[Key, str], int, list[LedgerDifference]]:
    """Follow every entity through its events. Return its last state, and each step that is missing or not allowed."""
    ends: dict[Key, str] = {}
    broken: list[LedgerDifference] = []
    number = 0
    for event in connection.execution_options(yield_per=1000).execute(select(t.events).order_by(t.events.c.id)):
        number += 1
        if event.to_state not in _KNOWN.get(event.entity, ()):
            continue  # a driver's event, or a note such as CHECKPOINT_CORRUPT
        entity_id = f"{event.study_id}/{event.entity_id}" if event.entity == "trial" else event.entity_id
        key = (event.entity, entity_id)
        before = ends.get(key, _BORN[event.entity])
        if event.from_state != before:
            broken.append(_at(key, f"event {event.id} starts from {event.from_state or 'nothing'}, but the event before "
                                   f"it ended in {before or 'nothing'}"))
        elif event.actor != RESTORE and not _may(event.entity, before, event.to_state):
            broken.append(_at(key, f"event {event.id}: {before} cannot become {event.to_state}"))
        ends[key] = event.to_state
    return ends, number, broken


def _may(entity: str, source: str, target: str) -> bool:
    kind = _STATES[entity]
    if source == "":
        return True
    if kind is StageState and _is_import(source, target):
        return True
    if kind is TrialState:  # derived from its stages; final, unless a person reopens it
        return TrialState(source) not in TERMINAL_TRIALS or target == TrialState.PLANNED
    reopened = REOPENED.get(kind, {}).get(kind(source))
    return kind(target) in ALLOWED[kind].get(kind(source), frozenset()) or target == reopened


def _is_import(source: str, target: str) -> bool:
    """Say whether a stage may have taken a result from a record, or was opened again since a record has no weights."""
    return (source not in LIVE_STAGES and target in RESULTS) or (source, target) == (StageState.SUCCEEDED, StageState.PLANNED)


def _rows(connection: Connection) -> Iterator[tuple[Key, str]]:
    for study in connection.execute(select(t.studies.c.study_id, t.studies.c.state)):
        yield ("study", study.study_id), study.state
    for trial in connection.execute(select(t.trials.c.study_id, t.trials.c.trial_key, t.trials.c.state)):
        yield ("trial", f"{trial.study_id}/{trial.trial_key}"), trial.state
    for stage in connection.execute(select(t.stages.c.stage_id, t.stages.c.state).where(t.stages.c.kind != "import")):
        yield ("stage", stage.stage_id), stage.state
    for attempt in connection.execute(select(t.attempts.c.attempt_id, t.attempts.c.state)):
        yield ("attempt", attempt.attempt_id), attempt.state


def _projections(replayed: dict[Key, str], rows: dict[Key, str]) -> Iterator[LedgerDifference]:
    for key, state in rows.items():
        told = replayed.get(key, _BORN[key[0]])
        if told != state:
            yield _at(key, f"the row says {state}, the events say {told or 'nothing'}")
    for key in replayed.keys() - rows.keys():
        yield _at(key, "has events, but no row")


# ---- rows against the promises -------------------------------------------------------------------------------------


def _attempts(connection: Connection) -> Iterator[LedgerDifference]:
    attempts: dict[str, list[Any]] = defaultdict(list)
    c = t.attempts.c
    columns = (c.stage_id, c.attempt_id, c.attempt_no, c.state, c.is_charged, c.lease_expires_at, c.epoch)
    for row in connection.execute(select(*columns).order_by(c.stage_id, c.attempt_no)):
        attempts[row.stage_id].append(row)
    epoch = connection.execute(select(t.driver_lease.c.epoch)).scalar_one()
    s = t.stages.c
    for stage in connection.execute(select(s.stage_id, s.kind, s.state, s.attempts_made, s.charged_from)):
        if stage.kind == "import":
            continue
        mine = attempts[stage.stage_id]
        yield from (_at(("stage", stage.stage_id), what) for what in _of_stage(stage, mine))
        for row in mine:
            if row.epoch > epoch or (row.state in LIVE_ATTEMPTS and row.lease_expires_at <= 0):
                yield _at(
                    ("attempt", row.attempt_id), f"epoch {row.epoch} of {epoch}, lease until {row.lease_expires_at}"
                )


def _of_stage(stage: Any, attempts: list[Any]) -> Iterator[str]:
    states = Counter(row.state for row in attempts)
    num_live = sum(states[state] for state in LIVE_ATTEMPTS)
    if num_live != (stage.state in LIVE_STAGES):
        yield f"is {stage.state} with {num_live} live attempts"
    num_accepted = states[AttemptState.SUCCEEDED] or (stage.state == StageState.SUCCEEDED and states[AttemptState.IMPORTED])
    if num_accepted != (stage.state == StageState.SUCCEEDED):
        yield f"is {stage.state} with {num_accepted} accepted attempts"
    if [row.attempt_no for row in attempts] != list(range(1, stage.attempts_made + 1)):
        yield f"has made {stage.attempts_made} attempts, but its rows are numbered {[row.attempt_no for row in attempts]}"
    charged = Counter(row.state for row in attempts if row.is_charged and row.attempt_no > stage.charged_from)
    for state, number in charged.items():
        budget = BUDGETS.get(AttemptState(state))
        if budget is not None and number > budget + 1:
            yield f"has {number} charged attempts that ended {state}; its budget is {budget} retries"


def _trials(connection: Connection) -> Iterator[LedgerDifference]:
    links, trials = t.trial_stages.c, t.trials.c
    event = t.events.c
    again = select(event.entity_id).where(event.entity == "stage", event.actor == RESTORE)  # its artifact was lost
    imported = select(t.attempts.c.stage_id).where(t.attempts.c.state == AttemptState.IMPORTED)
    query = (select(trials.study_id, trials.trial_key, links.stage_id, t.stages.c.state)
             .join(t.trial_stages, (links.study_id == trials.study_id) & (links.trial_key == trials.trial_key))
             .join(t.stages, t.stages.c.stage_id == links.stage_id)
             .where(trials.state == TrialState.SUCCEEDED, t.stages.c.state != StageState.SUCCEEDED,
                    t.stages.c.stage_id.not_in(imported), links.stage_id.not_in(again)))
    for row in connection.execute(query):
        yield _at(
            ("trial", f"{row.study_id}/{row.trial_key}"), f"succeeded, but its stage {row.stage_id[:12]} is {row.state}"
        )


def _scores(connection: Connection) -> Iterator[LedgerDifference]:
    scored = set(connection.execute(select(t.scores.c.stage_id)).scalars())
    query = select(t.stages.c.stage_id).where(t.stages.c.kind == "evaluate", t.stages.c.state == StageState.SUCCEEDED)
    done = set(connection.execute(query).scalars())
    for stage_id in sorted(scored ^ done):
        yield _at(
            ("stage", stage_id), "has a score without success" if stage_id in scored else "succeeded without a score"
        )


def _outbox(connection: Connection) -> Iterator[LedgerDifference]:
    """Check that each subject's messages are numbered 1, 2, 3, and that an attempt has one for start and end each."""
    c = t.tracking_outbox.c
    query = select(c.subject, func.count().label("n"), func.min(c.seq).label("low"), func.max(c.seq).label("high"))
    told: dict[str, int] = {}
    for row in connection.execute(query.group_by(c.subject)):
        told[row.subject] = row.n
        if (row.low, row.high) != (1, row.n):
            yield _at(("message", row.subject), f"{row.n} messages are numbered {row.low} to {row.high}")
    ran_here = t.attempts.c.state != AttemptState.IMPORTED
    for row in connection.execute(select(t.attempts.c.attempt_id, t.attempts.c.state).where(ran_here)):
        expected = 1 if row.state in LIVE_ATTEMPTS else 2
        if told.get(f"attempt:{row.attempt_id}", 0) != expected:
            yield _at(
                ("attempt", row.attempt_id),
                f"is {row.state} with {told.get(f'attempt:{row.attempt_id}', 0)} messages "
                f"for tracking; expected {expected}",
            )


def _at(key: Key, what: str) -> LedgerDifference:
    return LedgerDifference(entity=key[0], entity_id=key[1], what=what)
