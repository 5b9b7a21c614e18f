"""The write side of the driver, and who may change what.

- Only the driver changes stages, attempts, trials and scores, inside `fenced`. Studies and their trials are also
  changed by persons, through `actions.py`. A row in a final state is not changed again, unless a person reopens it.
- Every change is a compare-and-set on the state from which the decision was made. If the row is in another state,
  nothing is changed: somebody else was faster, and the driver reads again. The conflict is reported, never overridden.
- Each change writes an event, and a message to the outbox where tracking needs one, in the same transaction.
- Statements are built once (`cache`) and values are bound: building one takes several times as long as running it, and
  a take-over runs thousands.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Double,
    Select,
    Table,
    Text,
    Update,
    bindparam,
    case,
    func,
    or_,
    select,
)

from orchestrator.errors import StaleWrite
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import Fence, FencedTransaction
from orchestrator.ledger.journal import Journal, dump
from orchestrator.scheduler.actions import Assign, Finish, MoveStage, MoveStudy, MoveTrial, Start, Write
from orchestrator.states import (
    LIVE_ATTEMPTS,
    TERMINAL_STUDIES,
    TERMINAL_TRIALS,
    AttemptState,
    StageState,
    first_final,
    require,
)


def apply(tx: FencedTransaction, fence: Fence, writes: Sequence[Write], *,
          artifact_of: Callable[[str, int], str]) -> None:
    """Perform the driver's writes: all of them, or none.

    Args:
        tx: the open transaction.
        fence: the driver's fence.
        writes: the changes, in the order of the decision.
        artifact_of: returns the name of the artifact that an attempt of a stage publishes.

    Raises:
        StaleWrite: a row was not in the state from which the decision was made; roll the transaction back.
    """
    described = _described(tx.connection, [write.stage_id for write in writes if isinstance(write, Assign | Finish)])
    writer = _Writer(tx, fence, artifact_of, described)
    for write in writes:
        writer.do(write)
    writer.record.flush()


def record_progress(tx: FencedTransaction, fence: Fence, progress: Mapping[str, dict[str, Any]], alive: Iterable[str]) -> None:
    """Extend the leases of the live attempts, and store their last report for those who watch.

    The lease of an attempt is as long as its driver's. It says until when the attempt was surely at work: one whose
    driver died is charged to a budget up to then, not until somebody drives again.
    """
    bound = [
        {
            "key_attempt_id": attempt_id,
            "new_lease_expires_at": tx.now + fence.ttl_s,
            "new_progress": dump(progress[attempt_id]) if attempt_id in progress else None,
        }
        for attempt_id in sorted(alive)
    ]
    if bound:
        tx.connection.execute(_noting(), bound)


class _Writer:
    """The writes of one transaction, with their events and messages."""

    def __init__(
        self,
        tx: FencedTransaction,
        fence: Fence,
        artifact_of: Callable[[str, int], str],
        described: Mapping[str, dict[str, Any]],
    ) -> None:
        self._tx, self._fence, self._artifact_of = tx, fence, artifact_of
        self._described = described
        self.record = Journal(tx.connection, now=tx.now, actor=f"driver {fence.driver_id}")
        self._verbs: dict[type, Callable[[Any], None]] = {
            Start: self._start, Finish: self._finish, MoveStage: self._move_stage, MoveTrial: self._move_trial,
            MoveStudy: self._move_study, Assign: self._claim,
        }

    def do(self, write: Write) -> None:
        self._verbs[type(write)](write)

    def _move(self, table: Table, key: dict[str, Any], source: Any, target: Any, **values: Any) -> None:
        """Change a state as the transition table allows, and other values with it."""
        require(source, target)
        self._swap(table, key, source, target, **values)

    def _swap(self, table: Table, key: dict[str, Any], source: Any, target: Any, **values: Any) -> None:
        """Change a state, and other values with it, if it is still the state that the decision saw."""
        bound = {**{f"key_{name}": value for name, value in key.items()}, "key_state": str(source),
                 **{f"new_{name}": value for name, value in values.items()}, "new_state": str(target)}
        changed = self._tx.connection.execute(_swapping(table, tuple(key), tuple(values)), bound)
        if changed.rowcount != 1:
            raise StaleWrite(f"{table.name} {key}: the state is no longer {source}, so it was not changed to {target}")

    def _start(self, write: Start) -> None:
        self._move(t.attempts, {"attempt_id": write.attempt_id}, AttemptState.LEASED, AttemptState.RUNNING)
        self._move(t.stages, {"stage_id": write.stage_id}, StageState.LEASED, StageState.RUNNING)
        self.record.event("attempt", write.attempt_id, AttemptState.LEASED, AttemptState.RUNNING)
        self.record.event("stage", write.stage_id, StageState.LEASED, StageState.RUNNING)

    def _finish(self, write: Finish) -> None:
        outcome = write.outcome
        attempt_from = AttemptState.RUNNING if write.stage_from is StageState.RUNNING else AttemptState.LEASED
        self._end_attempt(write)
        self.record.event(
            "attempt", outcome.attempt_id, attempt_from, outcome.state, detail={"is_charged": outcome.is_charged}
        )
        is_accepted = outcome.state is AttemptState.SUCCEEDED
        artifact = self._artifact_of(write.stage_id, write.attempt_no) if is_accepted else None
        values: dict[str, Any] = {"not_before": write.not_before}
        if is_accepted:
            values |= {"seconds": outcome.seconds, "artifact": artifact, "result": dump(outcome.result)}
        self._move(t.stages, {"stage_id": write.stage_id}, write.stage_from, write.stage_to, **values)
        stage = self._described[write.stage_id]
        if is_accepted and stage["kind"] == "evaluate":
            self._score(write.stage_id, dict(outcome.result or {}))
        failure = None if outcome.failure is None else dict(outcome.failure)
        for note in outcome.notes:
            self.record.event("stage", write.stage_id, "", "CHECKPOINT_CORRUPT", detail={"message": note})
        self.record.event("stage", write.stage_id, write.stage_from, write.stage_to,
                          detail={"attempt_no": write.attempt_no, "failure": _short(failure)})
        self.record.message(f"attempt:{outcome.attempt_id}", "attempt_finished", {
            "attempt_id": outcome.attempt_id, "attempt_no": write.attempt_no, "stage_id": write.stage_id,
            "kind": stage["kind"], "label": stage["label"], "state": str(outcome.state), "seconds": outcome.seconds,
            "result": outcome.result, "failure": failure, "artifact": artifact})

    def _end_attempt(self, write: Finish) -> None:
        outcome = write.outcome
        changed = self._tx.connection.execute(_ending(), {
            "key_attempt_id": outcome.attempt_id, "key_attempt_no": write.attempt_no, "key_epoch": self._fence.epoch,
            "new_state": str(outcome.state), "now": self._tx.now, "seconds": outcome.seconds, "new_is_charged": outcome.is_charged,
            "new_failure": None if outcome.failure is None else dump(outcome.failure),
            "new_failure_hash": str((outcome.failure or {}).get("hash", "")), "new_checkpoint_step": outcome.checkpoint_step,
            "new_bytes": outcome.bytes, "new_result": None if outcome.result is None else dump(outcome.result)})
        if changed.rowcount != 1:
            raise StaleWrite(f"attempt {outcome.attempt_id} no longer belongs to this driver; its outcome {outcome.state} is not accepted")

    def _score(self, stage_id: str, result: dict[str, Any]) -> None:
        self._tx.connection.execute(t.scores.insert(), {
            "stage_id": stage_id, "benchmark": result["benchmark"], "value": result["score"],
            "value_lenient": result.get("score_lenient"), "num_items": result["num_items"],
            "num_unparseable": result.get("num_unparseable", 0), "is_complete": result.get("is_complete", True),
            "tokens_per_image": result.get("tokens_per_image")})

    def _move_stage(self, write: MoveStage) -> None:
        self._move(t.stages, {"stage_id": write.stage_id}, write.source, write.target)
        self.record.event("stage", write.stage_id, write.source, write.target)

    def _move_trial(self, write: MoveTrial) -> None:
        key = {"study_id": write.study_id, "trial_key": write.trial_key}
        ended_at = self._tx.now if write.target in TERMINAL_TRIALS else None
        self._swap(t.trials, key, write.source, write.target, ended_at=ended_at)
        self.record.event("trial", write.trial_key, write.source, write.target, study_id=write.study_id)
        if write.target in TERMINAL_TRIALS:
            finish_trial(self._tx.connection, self.record, write.study_id, write.trial_key, str(write.target))

    def _move_study(self, write: MoveStudy) -> None:
        ended_at = self._tx.now if write.target in TERMINAL_STUDIES else None
        reason = {"reason": write.reason} if write.reason else {}  # an empty reason keeps what a search wrote when it ended
        self._move(t.studies, {"study_id": write.study_id}, write.source, write.target, **reason, ended_at=ended_at)
        self.record.event("study", write.study_id, write.source, write.target, study_id=write.study_id,
                          detail={"reason": write.reason})

    def _claim(self, write: Assign) -> None:
        self._move(t.stages, {"stage_id": write.stage_id}, StageState.QUEUED, StageState.LEASED,
                   attempts_made=write.attempt_no)
        self._tx.connection.execute(t.attempts.insert(), {
            "attempt_id": write.attempt_id, "stage_id": write.stage_id, "attempt_no": write.attempt_no, "study_id": write.study_id,
            "driver_id": self._fence.driver_id, "epoch": self._fence.epoch, "state": str(AttemptState.LEASED),
            "lease_expires_at": self._tx.now + self._fence.ttl_s, "started_at": write.at, "is_charged": False, "checkpoint_step": 0,
            "failure_hash": ""})
        stage = self._described[write.stage_id]
        self.record.event(
            "attempt",
            write.attempt_id,
            "",
            AttemptState.LEASED,
            detail={"stage_id": write.stage_id, "attempt_no": write.attempt_no, "epoch": self._fence.epoch},
        )
        self.record.event("stage", write.stage_id, StageState.QUEUED, StageState.LEASED,
                          detail={"attempt_no": write.attempt_no, "attempt_id": write.attempt_id})
        self.record.message(f"attempt:{write.attempt_id}", "attempt_started", {
            "attempt_id": write.attempt_id, "attempt_no": write.attempt_no, "stage_id": write.stage_id,
            "study_id": write.study_id, **stage})


def take_over(tx: FencedTransaction, fence: Fence) -> None:
    """Assign the live attempts of an earlier driver to this one, so that it may end them.

    It reads the results of those that have finished and gives up the others.
    ! f"attempt {outcome.attempt_id} no longer belongs to this driver; its outcome {outcome.state} is not accepted")
    f"attempt {outcome.attempt_id} no longer belongs to this driver; "
                                 f"its outcome {outcome.state} is not accepted")
    ! # an empty reason keeps what a search wrote when it ended
    # else the reason that a search wrote stays
    ! # an expanding IN is not possible in executemany
    # executemany cannot expand IN
    """
    tx.connection.execute(t.attempts.update().where(t.attempts.c.state.in_(LIVE_ATTEMPTS))
                          .values(epoch=fence.epoch, driver_id=fence.driver_id))


def finish_trial(connection: Connection, record: Journal, study_id: str, trial_key: str, state: str) -> None:
    """Tell tracking in which state a trial ended, and its final scores."""
    linked, scored = _results_of_trial()
    links = connection.execute(linked, {"study_id": study_id, "trial_key": trial_key}).all()
    stage_ids = [link.stage_id for link in links]
    rows = connection.execute(scored, {"stage_ids": stage_ids[first_final([link.kind for link in links]):]})
    record.message(f"trial:{study_id}:{trial_key}", "trial_finished", {
        "study_id": study_id, "trial_key": trial_key, "state": state, "stage_ids": stage_ids,
        "scores": {row.benchmark: {name: value for name, value in row._mapping.items() if name != "benchmark"}
                   for row in rows}})


def _short(failure: dict[str, Any] | None) -> dict[str, Any] | None:
    return failure and {name: failure[name] for name in ("kind", "message", "hash") if name in failure}


# ---- statements ----------------------------------------------------------------------------------------------------


@cache
def _swapping(table: Table, keys: tuple[str, ...], names: tuple[str, ...]) -> Update:
    where = [table.c[name] == bindparam(f"key_{name}") for name in (*keys, "state")]
    return table.update().where(*where).values({name: bindparam(f"new_{name}") for name in (*names, "state")})


@cache
def _noting() -> Update:
    attempts = t.attempts.c
    is_live = or_(*(attempts.state == str(state) for state in sorted(LIVE_ATTEMPTS)))  # an expanding IN is not possible in executemany
    return (t.attempts.update().where(attempts.attempt_id == bindparam("key_attempt_id"), is_live)
            .values(lease_expires_at=bindparam("new_lease_expires_at"),
                    progress=func.coalesce(bindparam("new_progress", type_=Text), attempts.progress)))


@cache
def _ending() -> Update:
    where = [t.attempts.c[name] == bindparam(f"key_{name}") for name in ("attempt_id", "attempt_no", "epoch")]
    names = ("state", "is_charged", "failure", "failure_hash", "checkpoint_step", "bytes", "result")
    return (t.attempts.update().where(*where, t.attempts.c.state.in_(LIVE_ATTEMPTS))
            .values({name: bindparam(f"new_{name}") for name in names} | {"ended_at": _end_of_attempt()}))


def _end_of_attempt() -> ColumnElement[float]:
    """Return when an attempt ended: now; if its driver had died, when its lease ran out, or when its own record says."""
    now, recorded = bindparam("now", type_=Double), t.attempts.c.started_at + bindparam("seconds", type_=Double)
    lease = t.attempts.c.lease_expires_at
    last = case((recorded > lease, recorded), else_=lease)
    return case((last < now, last), else_=now)


@cache
def _results_of_trial() -> tuple[Select[Any], Select[Any]]:
    links = t.trial_stages.c
    mine = (links.study_id == bindparam("study_id")) & (links.trial_key == bindparam("trial_key"))
    return (select(links.stage_id, t.stages.c.kind).join(t.stages, t.stages.c.stage_id == links.stage_id).where(mine)
            .order_by(links.position),
            select(t.scores).where(t.scores.c.stage_id.in_(bindparam("stage_ids", expanding=True))))


@cache
def _describing() -> tuple[Select[Any], Select[Any]]:
    stages, parents = t.stages.c, t.stage_parents.c
    wanted: BindParameter[Any] = bindparam("stage_ids", expanding=True)
    return (select(stages.stage_id, stages.kind, stages.label, stages.spec, stages.flops, stages.samples)
            .where(stages.stage_id.in_(wanted)),
            select(parents.stage_id, parents.parent_id).where(parents.stage_id.in_(wanted)))


def _described(connection: Connection, stage_ids: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return what tracking is told about each stage: kind, label, spec, flops, samples and parent_ids."""
    about, parents = _describing()
    found: dict[str, dict[str, Any]] = {}
    for some in t.chunks(stage_ids):
        wanted = {"stage_ids": some}
        parent_ids: dict[str, list[str]] = defaultdict(list)
        for stage_id, parent_id in connection.execute(parents, wanted):
            parent_ids[stage_id].append(parent_id)
        found |= {row.stage_id: {"kind": row.kind, "label": row.label, "spec": json.loads(row.spec), "flops": row.flops,
                                 "samples": row.samples, "parent_ids": parent_ids[row.stage_id]}
                  for row in connection.execute(about, wanted)}
    return found
