"""Read what the driver decides from: everything about studies that are not over, in six statements."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, or_, select

from orchestrator.ledger import tables as t
from orchestrator.snapshot import AttemptView, PastAttempt, Snapshot, StageView, StudyView, TrialId, TrialView
from orchestrator.states import (
    LIVE_ATTEMPTS,
    TERMINAL_STAGES,
    TERMINAL_STUDIES,
    AttemptState,
    StageState,
    StudyState,
    TrialState,
)


def read_snapshot(connection: Connection) -> Snapshot:
    """Return the driver's view of the ledger."""
    rows = connection.execute(select(t.studies).where(_is_open()))
    studies = {row.study_id: StudyView(row.study_id, StudyState(row.state), row.created_at, row.grows, row.parallel, row.priority,
                                       row.max_slots) for row in rows}
    return Snapshot(studies, _trials(connection), _stages(connection), _attempts(connection))


def orders(connection: Connection, stage_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return for each stage what its worker must know: kind, label, spec (as JSON text), workers and the parent's artifact."""
    parent = t.stages.alias("parent")
    query = (select(t.stages.c.stage_id, t.stages.c.kind, t.stages.c.label, t.stages.c.spec, t.stages.c.workers,
                    t.stage_parents.c.parent_id, parent.c.artifact)
             .outerjoin(t.stage_parents, t.stage_parents.c.stage_id == t.stages.c.stage_id)
             .outerjoin(parent, parent.c.stage_id == t.stage_parents.c.parent_id)
             .where(t.stages.c.stage_id.in_(sorted(stage_ids))))
    return {row.stage_id: dict(row._mapping) for row in connection.execute(query)}


def _is_open() -> Any:
    return t.studies.c.state.not_in(TERMINAL_STUDIES)


def _linked() -> Any:
    open_studies = select(t.studies.c.study_id).where(_is_open())
    return select(t.trial_stages.c.stage_id).where(t.trial_stages.c.study_id.in_(open_studies))


def _trials(connection: Connection) -> dict[TrialId, TrialView]:
    stage_ids: dict[TrialId, list[str]] = defaultdict(list)
    links = (select(t.trial_stages).join(t.studies, t.studies.c.study_id == t.trial_stages.c.study_id).where(_is_open())
             .order_by(t.trial_stages.c.study_id, t.trial_stages.c.trial_key, t.trial_stages.c.position))
    for row in connection.execute(links):
        stage_ids[row.study_id, row.trial_key].append(row.stage_id)
    columns = (t.trials.c.study_id, t.trials.c.trial_key, t.trials.c.arm_key, t.trials.c.state)
    query = (select(*columns).join(t.studies, t.studies.c.study_id == t.trials.c.study_id).where(_is_open())
             .order_by(t.trials.c.study_id, t.trials.c.number))
    return {(row.study_id, row.trial_key): TrialView(row.study_id, row.trial_key, row.arm_key, TrialState(row.state),
                                                     tuple(stage_ids[row.study_id, row.trial_key]))
            for row in connection.execute(query)}


def _stages(connection: Connection) -> dict[str, StageView]:
    needed = or_(t.stages.c.stage_id.in_(_linked()), t.stages.c.state.not_in(TERMINAL_STAGES))
    ids = select(t.stages.c.stage_id).where(needed)
    parents: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(select(t.stage_parents).where(t.stage_parents.c.stage_id.in_(ids))
                                  .order_by(t.stage_parents.c.parent_id)):
        parents[row.stage_id].append(row.parent_id)
    past, hashes = _past(connection, ids)
    stages = t.stages.c
    columns = (stages.stage_id, stages.kind, stages.state, stages.position, stages.not_before, stages.attempts_made,
               stages.charged_from, stages.workers)
    query = select(*columns).where(needed).order_by(stages.created_at, stages.position)
    return {row.stage_id: StageView(row.stage_id, row.kind, StageState(row.state), row.position,
                                    tuple(parents[row.stage_id]), row.not_before, row.attempts_made, row.charged_from,
                                    tuple(past[row.stage_id]), hashes.get(row.stage_id, ""), row.workers)
            for row in connection.execute(query)}


def _past(connection: Connection, ids: Any) -> tuple[dict[str, list[PastAttempt]], dict[str, str]]:
    """Return the attempts that are over of each stage, and the error hash of the last of them."""
    past: dict[str, list[PastAttempt]] = defaultdict(list)
    hashes: dict[str, str] = {}
    attempts = t.attempts.c
    query = (select(attempts.stage_id, attempts.attempt_no, attempts.state, attempts.is_charged,
                    attempts.checkpoint_step, attempts.failure_hash)
             .where(attempts.stage_id.in_(ids), attempts.state.not_in(LIVE_ATTEMPTS))
             .order_by(attempts.stage_id, attempts.attempt_no))
    for row in connection.execute(query):
        past[row.stage_id].append(
            PastAttempt(row.attempt_no, AttemptState(row.state), row.is_charged, row.checkpoint_step))
        hashes[row.stage_id] = row.failure_hash
    return past, hashes


def _attempts(connection: Connection) -> dict[str, AttemptView]:
    query = select(t.attempts).where(t.attempts.c.state.in_(LIVE_ATTEMPTS))
    return {row.attempt_id: AttemptView(row.attempt_id, row.stage_id, row.attempt_no, row.study_id,
                                        AttemptState(row.state), row.started_at)
            for row in connection.execute(query)}
