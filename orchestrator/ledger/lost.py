"""Artifacts that a restored ledger points to, but that are lost: the stages that somebody still needs are done again.

- A finished stage whose checkpoint is lost stays finished, as long as no unfinished stage needs it: its scores and those
  of its children are in the ledger.
- One that is needed becomes planned again, as do its lost parents and the children that were queued or ran. Its old
  attempt counts as lost, uncharged; the new one gets the next number.
- This changes final states, which nothing else in the product does. The events name `restore` as the actor, and
  `ablate ledger verify` lets it pass for that actor alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, select

from orchestrator.ledger import tables as t
from orchestrator.ledger.backup import RESTORE
from orchestrator.ledger.engine import Engine, transaction
from orchestrator.ledger.insert import database_now
from orchestrator.ledger.journal import Journal
from orchestrator.ledger.lease import notify
from orchestrator.states import LIVE_ATTEMPTS, LIVE_STAGES, RESULTS, AttemptState, StageState

_MESSAGE = "what it had published, or its parent had, was lost before the ledger was restored from a backup"


def plan_again(engine: Engine, lost: Collection[str]) -> list[str]:
    """Plan stages again whose artifact is lost and that an unfinished stage needs; return their ids, sorted.

    Args:
        engine: a ledger without a driver.
        lost: ids of finished stages whose artifact is not in the store.
    """
    with transaction(engine) as connection:
        states = {row.stage_id: StageState(row.state) for row in connection.execute(select(t.stages.c.stage_id, t.stages.c.state))}
        parents: dict[str, list[str]] = defaultdict(list)
        for stage_id, parent_id in connection.execute(select(t.stage_parents.c.stage_id, t.stage_parents.c.parent_id)):
            parents[stage_id].append(parent_id)
        again = _needed(states, parents, frozenset(lost))
        waiting = {child for child, above in parents.items() if again.intersection(above) and _is_before_its_end(states[child])}
        record = Journal(connection, now=database_now(connection), actor=RESTORE)
        for stage_id in sorted(again | waiting):
            _give_up_attempt(connection, record, stage_id)
            _replan(connection, record, stage_id, states[stage_id])
        record.flush()
        notify(connection)
    return sorted(again)


def _needed(states: dict[str, StageState], parents: dict[str, list[str]], lost: frozenset[str]) -> set[str]:
    """Return the lost stages that a stage without a result needs, directly or through other lost ones."""
    found: set[str] = set()
    waiting = [stage_id for stage_id, state in states.items() if state not in RESULTS]
    while waiting:
        fresh = {parent for stage_id in waiting for parent in parents[stage_id]} & lost - found
        found |= fresh
        waiting = list(fresh)
    return found


def _is_before_its_end(state: StageState) -> bool:
    return state is StageState.QUEUED or state in LIVE_STAGES


def _give_up_attempt(connection: Connection, record: Journal, stage_id: str) -> None:
    """Note that the attempt that published, or that runs, is lost."""
    c = t.attempts.c
    ended = c.state.in_((*LIVE_ATTEMPTS, AttemptState.SUCCEEDED))
    row = connection.execute(select(c.attempt_id, c.attempt_no, c.state).where(c.stage_id == stage_id, ended)).one_or_none()
    if row is None:
        return
    connection.execute(t.attempts.update().where(c.attempt_id == row.attempt_id).values(
        state=str(AttemptState.LOST), is_charged=False, ended_at=record.now))
    record.event("attempt", row.attempt_id, row.state, AttemptState.LOST, detail={"is_charged": False})
    if row.state in LIVE_ATTEMPTS:
        record.message(f"attempt:{row.attempt_id}", "attempt_finished", _told(connection, row, stage_id))


def _told(connection: Connection, row: Any, stage_id: str) -> dict[str, Any]:
    stage = connection.execute(select(t.stages.c.kind, t.stages.c.label).where(t.stages.c.stage_id == stage_id)).one()
    return {"attempt_id": row.attempt_id, "attempt_no": row.attempt_no, "stage_id": stage_id, "kind": stage.kind,
            "label": stage.label, "state": str(AttemptState.LOST), "seconds": 0.0, "result": None, "artifact": None,
            "failure": {"kind": str(AttemptState.LOST), "message": _MESSAGE, "hash": "", "traceback": ""}}


def _replan(connection: Connection, record: Journal, stage_id: str, state: StageState) -> None:
    connection.execute(t.stages.update().where(t.stages.c.stage_id == stage_id).values(
        state=str(StageState.PLANNED), artifact=None, result=None, seconds=None, not_before=0.0))
    record.event("stage", stage_id, state, StageState.PLANNED, detail={"reason": _MESSAGE})
