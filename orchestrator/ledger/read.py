"""The read side: frozen rows for the command line, the dashboard and the analysis.

- It writes nothing and takes no locks.
- Each function is one short read transaction with few statements, whatever the number of trials.
- `rows.py` defines what is returned.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import chain
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    Subquery,
    bindparam,
    case,
    distinct,
    func,
    literal,
    select,
)

from orchestrator.errors import StudyError
from orchestrator.ledger import tables as t
from orchestrator.ledger.rows import (
    ArmRow,
    AttemptRow,
    DriverRow,
    EventRow,
    Plain,
    RowCache,
    ScoreRow,
    StageRow,
    StudyRow,
    TrialRow,
)
from orchestrator.ledger.tables import CLOCK_SLACK_S, now_s
from orchestrator.states import EVALUATE, LIVE_ATTEMPTS, LIVE_STAGES, RESULTS, TERMINAL_TRIALS


def studies(engine: Engine) -> list[StudyRow]:
    """Return all studies, newest first."""
    with engine.connect() as connection:
        return _studies(connection)


def study(engine: Engine, name: str, scale: str | None = None) -> StudyRow:
    """Return the newest version of the study with this name, or the study with this id.

    Raises:
        StudyError: no study of this name (and scale) was submitted; the message lists those that were.
    """
    rows = studies(engine)
    for row in rows:
        if row.study_id == name:
            return row
    named = [row for row in rows if row.name == name and scale in (None, row.scale)]
    if not named:
        known = ", ".join(sorted({f"{row.name} ({row.scale})" for row in rows})) or "none"
        raise StudyError(name, 0, f"the ledger holds no study of this name{f' at scale {scale}' if scale else ''}; "
                                  f"known: {known}", "`ablate submit` adds one")
    newest = named[0]
    return max((row for row in named if row.scale == newest.scale), key=lambda row: row.version)


def arms(engine: Engine, study_id: str) -> list[ArmRow]:
    """Return the arms of a study in the order of the plan, then those that a search proposed."""
    with engine.connect() as connection:
        return [ArmRow(key=row.arm_key, name=row.name, levels=json.loads(row.levels), stopped=_json(row.stopped))
                for row in connection.execute(_arms(), {"study_id": study_id})]


def trials(engine: Engine, study_id: str, known: RowCache | None = None) -> list[TrialRow]:
    """Return the trials of a study in the order of the plan.

    Args:
        engine: the ledger.
        study_id: the study.
        known: rows of this study from earlier reads. Configuration and stages of a trial never change, so they are read
            once.
    """
    links, query = _trials()
    known = RowCache() if known is None else known
    with engine.connect() as connection:
        rows = connection.execute(query, {"study_id": study_id}).all()
        known.links.update(
            _links(connection, links, study_id, [row.trial_key for row in rows if row.trial_key not in known.links])
        )
    return [TrialRow(trial_key=row.trial_key, arm_key=row.arm_key, arm_name=row.arm_name, seed=row.seed,
                     levels=json.loads(row.levels), state=row.state, config=_config(row, known.configs),
                     rung=row.rung, stopped=_json(row.stopped), stage_ids=known.links[row.trial_key]) for row in rows]


def stages(engine: Engine, study_id: str, known: RowCache | None = None) -> list[StageRow]:
    """Return the distinct stages of a study, parents before children.

    Args:
        engine: the ledger.
        study_id: the study.
        known: rows of this study from `trials` and earlier reads. Stages that had a result are not read again.
    """
    known = RowCache() if known is None else known
    with engine.connect() as connection:
        found = {
            row.stage_id: row
            for row in _stages(connection, study_id, _changed(connection, known) if known.stages else None)
        }
    if found.keys() <= known.stages.keys():
        known.stages.update(found)
    else:
        inserted = sorted((known.stages | found).values(), key=lambda row: (row.position, row.label, row.stage_id))
        known.stages.clear()
        known.stages.update({row.stage_id: row for row in inserted})
    return list(known.stages.values())


def attempts(engine: Engine, study_id: str) -> list[AttemptRow]:
    """Return all attempts of a study's stages, in the order in which they started."""
    a, mine = t.attempts.c, select(t.trial_stages.c.stage_id).where(t.trial_stages.c.study_id == study_id)
    query = (select(a.stage_id, t.stages.c.label, a.attempt_no, a.state, a.started_at, a.ended_at, a.failure)
             .join(t.stages, t.stages.c.stage_id == a.stage_id)
             .where(a.stage_id.in_(mine)).order_by(a.started_at, t.stages.c.position, a.attempt_no))
    with engine.connect() as connection:
        return [AttemptRow(**{**row._mapping, "failure": _json(row.failure)}) for row in connection.execute(query)]


def stage_label(engine: Engine, stage_id: str) -> str | None:
    """Return the readable label of a stage, None if the ledger has no such stage."""
    with engine.connect() as connection:
        return connection.execute(select(t.stages.c.label).where(t.stages.c.stage_id == stage_id)).scalar()


def scores(engine: Engine, study_id: str, trial_keys: Sequence[str] | None = None) -> list[ScoreRow]:
    """Return one row for each trial and benchmark with a final score. If trials are named, return only theirs."""
    with engine.connect() as connection:
        query = _scores() if not _asks_at_branches(connection, study_id) else _scores(is_final=True)
        queries = [query] if trial_keys is None else [
            query.where(t.trials.c.trial_key.in_(some)) for some in t.chunks(trial_keys)]
        return [
            ScoreRow(**row._mapping) for query in queries for row in connection.execute(query, {"study_id": study_id})
        ]


def branch_scores(engine: Engine, study_id: str) -> list[ScoreRow]:
    """Return the scores of intermediate checkpoints: a row for each trial, branching point and benchmark."""
    with engine.connect() as connection:
        if not _asks_at_branches(connection, study_id):
            return []
        return [ScoreRow(**row._mapping) for row in connection.execute(_scores(is_final=False), {"study_id": study_id})]


def events(engine: Engine, study_id: str | None = None, limit: int = 100) -> list[EventRow]:
    """Return events, newest first: of one study with its trials and stages, or of the whole ledger."""
    query = select(t.events).order_by(t.events.c.id.desc()).limit(limit)
    if study_id is not None:
        mine = select(t.trial_stages.c.stage_id).where(t.trial_stages.c.study_id == study_id)
        of_stage = (t.events.c.entity == "stage") & t.events.c.entity_id.in_(mine)
        query = query.where((t.events.c.study_id == study_id) | of_stage)
    with engine.connect() as connection:
        return [EventRow(event_id=row.id, at=row.at, study_id=row.study_id, entity=row.entity, entity_id=row.entity_id,
                         from_state=row.from_state, to_state=row.to_state, actor=row.actor,
                         detail=json.loads(row.detail)) for row in connection.execute(query)]


def submitter(engine: Engine, study_id: str) -> str:
    """Return who submitted a study, "" if its ledger does not know it."""
    c = t.events.c
    query = select(c.actor).where(c.entity == "study", c.entity_id == study_id).order_by(c.id).limit(1)
    with engine.connect() as connection:
        return connection.execute(query).scalar() or ""


def newest_event(engine: Engine) -> int:
    """Return the number of the newest event, 0 if there is none. It grows with every change of state."""
    with engine.connect() as connection:
        return connection.execute(select(func.max(t.events.c.id))).scalar() or 0


def driver(engine: Engine) -> DriverRow | None:
    """Return the driver that held the lease last, None if no driver ever ran."""
    lease = t.driver_lease
    query = select(lease, (lease.c.lease_expires_at - now_s()).label("expires_in_s")).where(lease.c.epoch > 0)
    with engine.connect() as connection:
        row = connection.execute(query).one_or_none()
    if row is None:
        return None
    is_live = 0 < row.expires_in_s <= row.ttl_s + CLOCK_SLACK_S
    return DriverRow(driver_id=row.driver_id, epoch=row.epoch, is_live=is_live, expires_at=row.lease_expires_at,
                     ttl_s=row.ttl_s, expires_in_s=row.expires_in_s, holder=json.loads(row.holder))


def driving_since(engine: Engine, driver_id: str) -> float | None:
    """Return when a driver took the lease that it held last; None if the ledger's events do not say."""
    event = t.events.c
    query = (select(event.at).where(event.entity == "driver", event.entity_id == driver_id, event.from_state == "")
             .order_by(event.id.desc()).limit(1))
    with engine.connect() as connection:
        return connection.execute(query).scalar()


def outbox_lag(engine: Engine) -> int:
    """Return how many tracking messages wait to be sent."""
    query = select(func.count()).select_from(t.tracking_outbox).where(t.tracking_outbox.c.sent_at.is_(None))
    with engine.connect() as connection:
        return connection.execute(query).scalar_one()


def bell(engine: Engine) -> int:
    """Return the counter that moves whenever a person submits, pauses, resumes or cancels a study."""
    with engine.connect() as connection:
        return connection.execute(_bell()).scalar() or 0


def _links(
    connection: Connection, query: Select[Any], study_id: str, trial_keys: Sequence[str]
) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {key: [] for key in trial_keys}
    for some in t.chunks(trial_keys):
        mine = t.trial_stages.c.trial_key.in_(some)
        for link in connection.execute(query.where(mine), {"study_id": study_id}):
            found[link.trial_key].append(link.stage_id)
    return {key: tuple(stage_ids) for key, stage_ids in found.items()}


def _changed(connection: Connection, known: RowCache) -> list[str]:
    """Return the stages that may differ from the cached rows.

    These are the stages that are not cached, those with a new state or attempt, and those with a live attempt, whose
    progress changes.
    """
    needed = set(chain.from_iterable(known.links.values()))
    changed = list(needed - known.stages.keys())
    without_result = [each for each, row in known.stages.items() if row.state not in RESULTS]
    for some in t.chunks(without_result):
        query = select(t.stages.c.stage_id, t.stages.c.state, t.stages.c.attempts_made).where(
            t.stages.c.stage_id.in_(some)
        )
        for stage_id, state, attempts_made in connection.execute(query):
            row = known.stages[stage_id]
            if state in LIVE_STAGES or (state, attempts_made) != (row.state, row.attempts_made):
                changed.append(stage_id)
    return changed


def _stages(connection: Connection, study_id: str, stage_ids: Sequence[str] | None) -> Iterator[StageRow]:
    """Read stages by their ids, or all stages of a study."""
    if stage_ids is None:
        mine = select(t.trial_stages.c.stage_id).where(t.trial_stages.c.study_id == study_id)
        yield from map(_stage, connection.execute(_stage_rows().where(t.stages.c.stage_id.in_(mine))))
        return
    for some in t.chunks(stage_ids):
        yield from map(_stage, connection.execute(_stage_rows().where(t.stages.c.stage_id.in_(some))))


def _config(row: Row[Any], known: dict[str, Plain]) -> Plain:
    if row.trial_key not in known:
        known[row.trial_key] = json.loads(row.config)
    return known[row.trial_key]


def _stage(row: Row[Any]) -> StageRow:
    is_live = row.attempt_state in LIVE_ATTEMPTS
    return StageRow(
        stage_id=row.stage_id, kind=row.kind, label=row.label, position=row.position, state=row.state, parent_id=row.parent_id,
        spec=json.loads(row.spec), flops=row.flops, samples=row.samples, attempts_made=row.attempts_made,
        progress=_json(row.progress) if is_live else None, seconds=row.seconds, started_at=row.started_at,
        artifact=row.artifact, result=_json(row.result), failure=_json(row.failure))


def _json(text: str | None) -> Plain | None:
    value: Plain | None = None if text is None else json.loads(text)
    return value


def _studies(connection: Connection) -> list[StudyRow]:
    rows = {row.study_id: _study(row) for row in connection.execute(
        select(t.studies).order_by(t.studies.c.created_at.desc(), t.studies.c.version.desc()))}
    trained = select(t.trials.c.study_id, func.count(distinct(t.trials.c.arm_key)).label("n")).group_by(
        t.trials.c.study_id
    )
    for count in connection.execute(trained):
        rows[count.study_id] = replace(rows[count.study_id], num_arms=count.n)
    done = func.sum(case((t.trials.c.state.in_(TERMINAL_TRIALS), 1), else_=0)).label("done")
    by_study = select(t.trials.c.study_id, func.count().label("n"), done).group_by(t.trials.c.study_id)
    for count in connection.execute(by_study):
        rows[count.study_id] = replace(rows[count.study_id], num_trials=count.n, trials_done=count.done)
    for study_id, counts in _stage_counts(connection).items():
        rows[study_id] = replace(rows[study_id], **counts)
    return list(rows.values())


def _stage_counts(connection: Connection) -> dict[str, dict[str, Any]]:
    links, stage = t.trial_stages.c, t.stages.c
    query = (select(links.study_id, stage.state, func.count(distinct(links.stage_id)).label("n"))
             .join(t.stages, stage.stage_id == links.stage_id)
             .where(stage.kind != literal("import")).group_by(links.study_id, stage.state))
    counts: dict[str, dict[str, Any]] = {}
    for row in connection.execute(query):
        mine = counts.setdefault(row.study_id, {"stages_total": 0, "stages_done": 0, "stages_running": 0,
                                                "stages_failed": 0})
        mine["stages_total"] += row.n
        mine["stages_done"] += row.n * (row.state == "SUCCEEDED")
        mine["stages_running"] += row.n * (row.state in LIVE_STAGES)
        mine["stages_failed"] += row.n * (row.state in ("FAILED", "DIVERGED", "SKIPPED", "CANCELLED"))
    return counts


def _study(row: Row[Any]) -> StudyRow:
    return StudyRow(study_id=row.study_id, name=row.name, scale=row.scale, version=row.version, state=row.state,
                    reason=row.reason, spec_hash=row.spec_hash, spec=json.loads(row.spec), created_at=row.created_at,
                    ended_at=row.ended_at, requested_stages=row.requested_stages, priority=row.priority,
                    max_slots=row.max_slots, estimate=_json(row.estimate), grows=row.grows, num_arms=0, num_trials=0,
                    trials_done=0, stages_total=0, stages_done=0, stages_running=0, stages_failed=0)


# ---- statements, built once because a driver uses them again and again ---------------------------------------------


@cache
def _bell() -> Select[Any]:
    return select(t.driver_lease.c.bell)


@cache
def _arms() -> Select[Any]:
    return select(t.arms).where(t.arms.c.study_id == bindparam("study_id")).order_by(t.arms.c.number, t.arms.c.arm_key)


@cache
def _trials() -> tuple[Select[Any], Select[Any]]:
    """Return the statements that select the stages of a study's trials, and the trials."""
    links = t.trial_stages.c
    study_id: BindParameter[str] = bindparam("study_id")
    return (
        select(links.trial_key, links.stage_id)
        .where(links.study_id == study_id)
        .order_by(links.trial_key, links.position),
        select(t.trials, t.arms.c.name.label("arm_name"), t.arms.c.levels, t.arms.c.stopped)
        .join(t.arms, _of_arm())
        .where(t.trials.c.study_id == study_id)
        .order_by(t.trials.c.number),
    )


@cache
def _stage_rows() -> Select[Any]:
    newest = (t.attempts.c.stage_id == t.stages.c.stage_id) & (t.attempts.c.attempt_no == t.stages.c.attempts_made)
    return (select(t.stages, t.stage_parents.c.parent_id, t.attempts.c.progress, t.attempts.c.started_at,
                   t.attempts.c.failure, t.attempts.c.state.label("attempt_state"))
            .outerjoin(t.stage_parents, t.stage_parents.c.stage_id == t.stages.c.stage_id)
            .outerjoin(t.attempts, newest))


@cache
def _scores(*, is_final: bool | None = None) -> Select[Any]:
    """Return the statement for the scores of a study: all of them, the final ones, or those at branching points.

    A final score is of a stage after which the trial trains no more (`states.first_final`).
    """
    links, last = t.trial_stages.c, _last_checkpoints()
    who = (t.trials.c.trial_key, t.trials.c.arm_key, t.arms.c.name.label("arm_name"), t.trials.c.seed)
    query = (select(*who, t.scores)
            .select_from(t.trial_stages)
            .join(t.trials, (t.trials.c.study_id == links.study_id) & (t.trials.c.trial_key == links.trial_key))
            .join(t.arms, _of_arm())
            .join(t.scores, t.scores.c.stage_id == links.stage_id)
            .where(links.study_id == bindparam("study_id"))
            .order_by(t.trials.c.number, links.position, t.scores.c.benchmark))
    if is_final is None:
        return query
    query = query.join(last, last.c.trial_key == links.trial_key)
    return query.where(links.position > last.c.position if is_final else links.position < last.c.position)


def _last_checkpoints() -> Subquery:
    """Return trial_key -> position of the stage whose checkpoint the trial's final evaluations read."""
    links = t.trial_stages.c
    return (select(links.trial_key, func.max(links.position).label("position"))
            .join(t.stages, t.stages.c.stage_id == links.stage_id)
            .where(links.study_id == bindparam("study_id"), t.stages.c.kind != EVALUATE)
            .group_by(links.trial_key).subquery())


def _asks_at_branches(connection: Connection, study_id: str) -> bool:
    """Return whether a study asks benchmarks at branching points; without any, all of its scores are final."""
    spec = connection.execute(_spec(), {"study_id": study_id}).scalar()
    return bool((json.loads(spec or "{}").get("study", {}).get("evaluate") or {}).get("at_branches"))


@cache
def _spec() -> Select[Any]:
    return select(t.studies.c.spec).where(t.studies.c.study_id == bindparam("study_id"))


def _of_arm() -> ColumnElement[bool]:
    return (t.arms.c.study_id == t.trials.c.study_id) & (t.arms.c.arm_key == t.trials.c.arm_key)
