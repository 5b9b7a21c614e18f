"""Read the snapshot that the driver decides from: all about the studies that have not ended, in six statements.

The statements are built once (`cache`): building one takes several times as long as running it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from functools import cache
from typing import Any

from sqlalchemy import Connection, Row, Select, bindparam, or_, select

from orchestrator.ledger import tables as t
from orchestrator.scheduler.snapshot import Snapshot
from orchestrator.scheduler.views import AttemptView, PastAttempt, StageView, StudyView, TrialId, TrialView
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
    """Return the snapshot of all studies that have not ended."""
    studies = {row.study_id: _study(row) for row in connection.execute(_open_studies())}
    return Snapshot(studies, _trials(connection), _stages(connection), _attempts(connection))


def _study(row: Row[Any]) -> StudyView:
    is_fast = bool(json.loads(row.spec)["study"].get("fail_fast"))
    return StudyView(row.study_id, StudyState(row.state), row.created_at, row.grows, row.parallel, row.priority, row.max_slots, is_fast)


def orders(connection: Connection, stage_ids: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what each stage's worker must know.

    Kind, label, spec (as JSON text), workers and the parent's artifact.
    """
    wanted = sorted(stage_ids)
    rows = connection.execute(_ordered(), {"stage_ids": wanted}) if wanted else ()
    return {row.stage_id: dict(row._mapping) for row in rows}


def _trials(connection: Connection) -> dict[TrialId, TrialView]:
    links, trials = _open_trials()
    stage_ids: dict[TrialId, list[str]] = defaultdict(list)
    for row in connection.execute(links):
        stage_ids[row.study_id, row.trial_key].append(row.stage_id)
    return {(row.study_id, row.trial_key): TrialView(row.study_id, row.trial_key, row.arm_key, TrialState(row.state),
                                                     tuple(stage_ids[row.study_id, row.trial_key]))
            for row in connection.execute(trials)}


def _stages(connection: Connection) -> dict[str, StageView]:
    of_parents, of_past, of_stages = _needed_stages()
    parents: dict[str, list[str]] = defaultdict(list)
    for row in connection.execute(of_parents):
        parents[row.stage_id].append(row.parent_id)
    past: dict[str, list[PastAttempt]] = defaultdict(list)
    hashes: dict[str, str] = {}
    for row in connection.execute(of_past):
        past[row.stage_id].append(
            PastAttempt(row.attempt_no, AttemptState(row.state), row.is_charged, row.checkpoint_step)
        )
        hashes[row.stage_id] = row.failure_hash  # the last ended attempt's hash remains
    return {row.stage_id: StageView(row.stage_id, row.kind, StageState(row.state), row.position,
                                    tuple(parents[row.stage_id]), row.not_before, row.attempts_made, row.charged_from,
                                    tuple(past[row.stage_id]), hashes.get(row.stage_id, ""), row.workers)
            for row in connection.execute(of_stages)}


def _attempts(connection: Connection) -> dict[str, AttemptView]:
    return {row.attempt_id: AttemptView(row.attempt_id, row.stage_id, row.attempt_no, row.study_id,
                                        AttemptState(row.state), row.started_at)
            for row in connection.execute(_live_attempts())}


# ---- statements ----------------------------------------------------------------------------------------------------


def _is_open() -> Any:
    return t.studies.c.state.not_in(TERMINAL_STUDIES)


@cache
def _open_studies() -> Select[Any]:
    return select(t.studies).where(_is_open())


@cache
def _open_trials() -> tuple[Select[Any], Select[Any]]:
    """Return the statements that select the stages of open trials, and the trials."""
    links, trials = t.trial_stages.c, t.trials.c
    return (select(t.trial_stages).join(t.studies, t.studies.c.study_id == links.study_id).where(_is_open())
            .order_by(links.study_id, links.trial_key, links.position),
            select(trials.study_id, trials.trial_key, trials.arm_key, trials.state)
            .join(t.studies, t.studies.c.study_id == trials.study_id).where(_is_open())
            .order_by(trials.study_id, trials.number))


@cache
def _needed_stages() -> tuple[Select[Any], Select[Any], Select[Any]]:
    """Return the statements for parents, ended attempts, and stages that are open or belong to an open study."""
    stages, parents, attempts, links = t.stages.c, t.stage_parents.c, t.attempts.c, t.trial_stages.c
    linked = select(links.stage_id).where(links.study_id.in_(select(t.studies.c.study_id).where(_is_open())))
    needed = or_(stages.stage_id.in_(linked), stages.state.not_in(TERMINAL_STAGES))
    ids = select(stages.stage_id).where(needed)
    return (select(t.stage_parents).where(parents.stage_id.in_(ids)).order_by(parents.parent_id),
            select(attempts.stage_id, attempts.attempt_no, attempts.state, attempts.is_charged, attempts.checkpoint_step,
                   attempts.failure_hash)
            .where(attempts.stage_id.in_(ids), attempts.state.not_in(LIVE_ATTEMPTS))
            .order_by(attempts.stage_id, attempts.attempt_no),
            select(stages.stage_id, stages.kind, stages.state, stages.position, stages.not_before, stages.attempts_made,
                   stages.charged_from, stages.workers)
            .where(needed).order_by(stages.created_at, stages.position))


@cache
def _live_attempts() -> Select[Any]:
    return select(t.attempts).where(t.attempts.c.state.in_(LIVE_ATTEMPTS))


@cache
def _ordered() -> Select[Any]:
    parent = t.stages.alias("parent")
    return (select(t.stages.c.stage_id, t.stages.c.kind, t.stages.c.label, t.stages.c.spec, t.stages.c.workers,
                   t.stage_parents.c.parent_id, parent.c.artifact)
            .outerjoin(t.stage_parents, t.stage_parents.c.stage_id == t.stages.c.stage_id)
            .outerjoin(parent, parent.c.stage_id == t.stage_parents.c.parent_id)
            .where(t.stages.c.stage_id.in_(bindparam("stage_ids", expanding=True))))
