"""Insert a plan into the ledger: study, arms, trials, stages, and which trial needs which stage. Idempotent.

- A stage is inserted once. A second study that needs it finds it, finished or in progress.
- A stage that an earlier study gave up (failed, skipped, cancelled) is reopened when another study needs it.
- A stage that imports a checkpoint is finished as soon as it is inserted.
- A training stage of which the ledger has only a record (`records`), without weights, is reopened when a stage needs
  its weights.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import Connection, Insert, Select, Table, Update, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from orchestrator.artifacts.store import RECORDS
from orchestrator.ledger import tables as t
from orchestrator.ledger.journal import Journal, dump
from orchestrator.ledger.lease import notify
from orchestrator.ledger.tables import now_s
from orchestrator.plan.plan import Arm, Plan, Trial
from orchestrator.states import LIVE_STAGES, REOPENED, RESULTS, StageState, StudyState, TrialState

_GIVEN_UP = (StageState.FAILED, StageState.SKIPPED, StageState.CANCELLED)


def known_versions(connection: Connection, name: str, scale: str) -> list[dict[str, Any]]:
    """Return id, version, hash and spec (as JSON text) of all versions of a study, newest first."""
    columns = (t.studies.c.study_id, t.studies.c.version, t.studies.c.spec_hash, t.studies.c.spec)
    query = (select(*columns).where(t.studies.c.name == name, t.studies.c.scale == scale)
             .order_by(t.studies.c.version.desc()))
    return [dict(row._mapping) for row in connection.execute(query)]


def make_newest(connection: Connection, study_id: str, version: int) -> None:
    """Give a known study a new version number, because its file was changed back to its earlier contents."""
    connection.execute(t.studies.update().where(t.studies.c.study_id == study_id).values(version=version))


def renew_prose(connection: Connection, plan: Plan, study_id: str) -> None:
    """Store the newest wording and budget of a study whose other contents are unchanged."""
    spec = dump(plan.spec)
    changed = connection.execute(
        t.studies.update().where(t.studies.c.study_id == study_id, t.studies.c.spec != spec).values(spec=spec)
    )
    if changed.rowcount:
        notify(connection)


def enter_study(connection: Connection, plan: Plan, study_id: str, version: int, *, actor: str) -> bool:
    """Insert a study and everything its plan holds. Return False if another process inserted it first."""
    now = database_now(connection)
    inserted = insert_new(connection, t.studies, [{
        "study_id": study_id, "name": plan.study.name, "scale": plan.scale, "version": version,
        "spec_hash": plan.spec_hash, "spec": dump(plan.spec), "state": str(StudyState.QUEUED), "reason": "",
        "requested_stages": 0, "grows": plan.study.grows,
        "parallel": plan.study.search.parallel if plan.study.search else 1, "created_at": now}])
    if inserted:
        record = Journal(connection, now=now, actor=actor)
        record.event("study", study_id, "", StudyState.QUEUED, study_id=study_id, detail={"version": version})
        record.flush()
        insert_plan(connection, plan, study_id, actor=actor)
    return bool(inserted)


def insert_plan(connection: Connection, plan: Plan, study_id: str, *, actor: str) -> None:
    """Insert the arms, trials and stages of a plan into a study that exists. Rows that exist stay unchanged."""
    record = Journal(connection, now=database_now(connection), actor=actor)
    known = set(connection.execute(select(t.trials.c.trial_key).where(t.trials.c.study_id == study_id)).scalars())
    trials = [trial for trial in plan.trials if trial.key not in known]
    _insert_arms(connection, study_id, plan.arms)
    insert_new(connection, t.trials, [
        {"study_id": study_id, "trial_key": trial.key, "arm_key": trial.arm_key, "seed": trial.seed,
         "rung": trial.rung, "number": len(known) + i, "config": dump(trial.config), "state": str(TrialState.PLANNED)}
        for i, trial in enumerate(trials)])
    _enter_stages(connection, plan, record)
    insert_new(connection, t.trial_stages, [
        {"study_id": study_id, "trial_key": trial.key, "position": i, "stage_id": stage_id}
        for trial in trials for i, stage_id in enumerate(trial.stage_ids)])
    requested = sum(plan.stages[stage_id].kind != "import" for trial in trials for stage_id in trial.stage_ids)
    connection.execute(t.studies.update().where(t.studies.c.study_id == study_id)
                       .values(requested_stages=t.studies.c.requested_stages + requested))
    _announce(connection, record, plan, study_id, trials)
    record.flush()
    notify(connection)


def _insert_arms(connection: Connection, study_id: str, arms: Sequence[Arm], *, stopped: str | None = None) -> None:
    num_known = connection.execute(
        select(func.count()).select_from(t.arms).where(t.arms.c.study_id == study_id)).scalar_one()
    insert_new(connection, t.arms, [
        {"study_id": study_id, "arm_key": arm.key, "number": num_known + i, "name": arm.name, "levels": dump(arm.levels),
         "stopped": stopped} for i, arm in enumerate(arms)])


def _announce(connection: Connection, record: Journal, plan: Plan, study_id: str, trials: list[Trial]) -> None:
    study = connection.execute(select(t.studies).where(t.studies.c.study_id == study_id)).one()
    arms = {arm.key: arm for arm in plan.arms}
    for trial in trials:
        arm = arms[trial.arm_key]
        record.message(f"trial:{study_id}:{trial.key}", "trial_created", {
            "study_id": study_id, "study": study.name, "scale": study.scale, "version": study.version,
            "spec_hash": study.spec_hash, "trial_key": trial.key, "arm_key": arm.key, "arm_name": arm.name,
            "levels": arm.levels, "seed": trial.seed, "rung": trial.rung, "config": trial.config, "stage_ids": list(trial.stage_ids)})


def stop_arm(connection: Connection, study_id: str, arm_key: str, why: dict[str, Any], *, actor: str) -> None:
    """Record that a search stopped an arm early, and why."""
    record = Journal(connection, now=database_now(connection), actor=actor)
    mine = (t.arms.c.study_id == study_id) & (t.arms.c.arm_key == arm_key) & t.arms.c.stopped.is_(None)
    if connection.execute(t.arms.update().where(mine).values(stopped=dump(why))).rowcount:
        record.event("arm", arm_key, "", "STOPPED", study_id=study_id, detail=why)
        record.flush()


def refuse_arm(connection: Connection, study_id: str, arm: Arm, why: dict[str, Any], *, actor: str) -> None:
    """Record an arm that is never trained because it violates a constraint, and why."""
    record = Journal(connection, now=database_now(connection), actor=actor)
    _insert_arms(connection, study_id, [arm], stopped=dump({"rung": 0, **why}))
    record.event("arm", arm.key, "", "INFEASIBLE", study_id=study_id, detail=why)
    record.flush()


def close_growth(connection: Connection, study_id: str, reason: str = "") -> None:
    """Let a study end with the trials that it has. A reason, if given, is stored with it."""
    values = {"grows": False} | ({"reason": reason} if reason else {})
    connection.execute(t.studies.update().where(t.studies.c.study_id == study_id).values(**values))
    if reason:
        record = Journal(connection, now=database_now(connection), actor="search")
        record.event("search", study_id, "", "ENDED", study_id=study_id, detail={"reason": reason})
        record.flush()
    notify(connection)


def database_now(connection: Connection) -> float:
    """Return seconds since the epoch by the database clock."""
    return float(connection.execute(_now()).scalar_one())


def reopen(connection: Connection, record: Journal, stage_ids: list[str]) -> None:
    """Open stages that were given up, forgiving their attempts, and the trainings whose weights are needed and not here.

    Other results stay as they are.
    """
    for some in t.chunks(stage_ids):
        for row in connection.execute(_given_up(), {"stage_ids": some}).all():
            target = REOPENED[StageState][StageState(row.state)]
            connection.execute(t.stages.update().where(t.stages.c.stage_id == row.stage_id).values(
                state=str(target), charged_from=t.stages.c.attempts_made, not_before=0.0))
            record.event("stage", row.stage_id, row.state, target)
    _train_again(connection, record, stage_ids)


def _train_again(connection: Connection, record: Journal, stage_ids: Sequence[str]) -> None:
    """Open the trainings that open stages start from and of which only a record is here, and what these start from in turn."""
    while stage_ids:
        lacking = [parent_id for some in t.chunks(stage_ids)
                   for parent_id in connection.execute(_without_weights(), {"stage_ids": some}).scalars()]
        for stage_id in lacking:
            connection.execute(t.stages.update().where(t.stages.c.stage_id == stage_id).values(
                state=str(StageState.PLANNED), charged_from=t.stages.c.attempts_made, not_before=0.0, artifact=None))
            record.event("stage", stage_id, StageState.SUCCEEDED, StageState.PLANNED, detail={"reason": "weights are needed"})
        stage_ids = lacking


def _enter_stages(connection: Connection, plan: Plan, record: Journal) -> None:
    now = database_now(connection)
    rows = []
    for stage in plan.stages.values():
        is_import = stage.kind == "import"
        rows.append({
            "stage_id": stage.stage_id, "kind": stage.kind, "label": stage.label, "spec": dump(stage.spec),
            "position": stage.position, "flops": stage.flops, "samples": stage.samples,
            "workers": stage.workers, "not_before": 0.0,
            "state": str(StageState.SUCCEEDED if is_import else StageState.PLANNED), "attempts_made": 0,
            "charged_from": 0, "artifact": stage.spec["path"] if is_import else None, "created_at": now})
    insert_new(connection, t.stages, rows)
    enter_workers(connection, plan)
    insert_new(connection, t.stage_parents, [{"stage_id": stage.stage_id, "parent_id": stage.parent_id}
                                              for stage in plan.stages.values() if stage.parent_id])
    reopen(connection, record, list(plan.stages))


def enter_workers(connection: Connection, plan: Plan) -> None:
    """Set how many workers train each stage to what the newest plan says, except for stages that run now."""
    wanted: dict[int, list[str]] = defaultdict(list)
    for stage in plan.stages.values():
        wanted[stage.workers].append(stage.stage_id)
    changed = 0
    for workers, stage_ids in wanted.items():
        for some in t.chunks(stage_ids):
            bound = {"stage_ids": some, "new_workers": workers}
            changed += connection.execute(_asking_for(), bound).rowcount
    if changed:
        notify(connection)


def insert_new(connection: Connection, table: Table, rows: Sequence[Mapping[str, Any]]) -> int:
    """Insert the rows whose key does not exist yet; return how many, as far as the database reports it."""
    if not rows:
        return 0
    return connection.execute(_inserting(table, connection.dialect.name), rows).rowcount


# ---- statements, built once: a search enters one arm at a time ------------------------------------------------------


@cache
def _inserting(table: Table, dialect: str) -> Insert:
    insert = sqlite.insert if dialect == "sqlite" else postgresql.insert
    return insert(table).on_conflict_do_nothing()


@cache
def _now() -> Select[Any]:
    return select(now_s())


@cache
def _given_up() -> Select[Any]:
    stages = t.stages.c
    return (select(stages.stage_id, stages.state)
            .where(stages.stage_id.in_(bindparam("stage_ids", expanding=True)), stages.state.in_(_GIVEN_UP)))


@cache
def _without_weights() -> Select[Any]:
    """Return the statement for the parents of open stages that are finished and have no weights here."""
    parent, links = t.stages.alias("parent").c, t.stage_parents.c
    return (select(parent.stage_id).distinct().select_from(t.stage_parents)
            .join(t.stages, t.stages.c.stage_id == links.stage_id).join(parent.stage_id.table, parent.stage_id == links.parent_id)
            .where(links.stage_id.in_(bindparam("stage_ids", expanding=True)), t.stages.c.state.not_in(RESULTS),
                   parent.state == StageState.SUCCEEDED, parent.artifact.startswith(RECORDS)))


@cache
def _asking_for() -> Update:
    stages = t.stages.c
    return (
        t.stages.update()
        .values(workers=bindparam("new_workers"))
        .where(
            stages.stage_id.in_(bindparam("stage_ids", expanding=True)),
            stages.workers != bindparam("new_workers"),
            stages.state.not_in(LIVE_STAGES),
        )
    )
