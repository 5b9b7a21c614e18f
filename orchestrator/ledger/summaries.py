"""Short queries about stages: what is done, running or failed, what it took, and how fast workers were. Read-only.

- A plan is shown before it is submitted; other studies may have finished some of its stages already.
- Progress of a study needs sums and the few stages that run, not thirty thousand rows every two seconds.
- A driver that needs a study's spec or state at every step reads one row, not the counts that a list of studies shows.
- A rate is FLOPs by formula per measured second, over the newest stages of a scale. It turns a plan's FLOPs into time.
"""

from __future__ import annotations

import json
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Engine, Select, bindparam, case, func, literal, select

from orchestrator.artifacts.garbage import StageFiles
from orchestrator.ledger import tables as t
from orchestrator.plan.estimate import rate_key
from orchestrator.states import LIVE_ATTEMPTS, LIVE_STAGES, AttemptState, StageState

_IMPORT = literal("import")
NEWEST = 400
"""How many of the newest finished stages the rates are computed from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyHead:
    """A study as it was submitted, with its present state."""

    study_id: str
    name: str
    scale: str
    state: str
    spec_hash: str
    spec: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageSum:
    """The stages of a study that share kind and state, added up; imports are not counted."""

    kind: str
    state: str
    number: int
    flops: float
    largest_flops: float
    seconds: float
    """Sum over the accepted attempts; 0 for stages that are not finished."""
    workers: int = 1
    """Slots that one of these stages takes; the maximum if they differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveStage:
    """A stage that is being executed, with its last report."""

    stage_id: str
    kind: str
    label: str
    flops: float
    attempt_no: int
    progress: dict[str, Any]
    """The last report; empty before the first."""
    workers: int = 1
    samples: int = 0

    @property
    def step(self) -> int | None:
        """The newest step, None before the first report."""
        return self.progress.get("step")

    @property
    def steps(self) -> int | None:
        """The number of steps that the stage will make."""
        return self.progress.get("steps")

    @property
    def loss(self) -> float | None:
        """The newest loss, None if the stage reports none."""
        return self.progress.get("loss")

    @property
    def samples_per_s(self) -> float | None:
        """The newest speed in samples per second, None if the stage reports none."""
        return self.progress.get("samples_per_s")

    @property
    def rate(self) -> float | None:
        """FLOPs per second by the last report, None if it has no speed."""
        return self.flops / self.samples * self.samples_per_s if self.samples_per_s and self.samples else None

    @property
    def fraction(self) -> float:
        """The fraction of the steps that is done, 0 to 1; 0 before the first report."""
        return min(self.step / self.steps, 1.0) if self.step is not None and self.steps else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedStage:
    """A stage whose newest attempt failed."""

    stage_id: str
    label: str
    state: str
    attempts_made: int
    failure: dict[str, Any]
    """Kind, message and traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptTotals:
    """What all attempts for a study took, by kind of stage."""

    seconds: dict[str, float]
    bytes: dict[str, int]
    """Bytes that were published."""
    wall_s: float
    """Seconds since the study was submitted, until it ended or until now."""
    flops: float
    """FLOPs by formula, over all kinds."""


def submitted(engine: Engine, study_id: str) -> StudyHead:
    """Return the study with this id.

    Raises:
        NoResultFound: the ledger holds none.
    """
    with engine.connect() as connection:
        row = connection.execute(_submitted(), {"study_id": study_id}).one()
    return StudyHead(**{**row._mapping, "spec": json.loads(row.spec)})


@cache
def _submitted() -> Select[Any]:
    study = t.studies.c
    return (select(study.study_id, study.name, study.scale, study.state, study.spec_hash, study.spec)
            .where(study.study_id == bindparam("study_id")))


def earlier_versions(engine: Engine, study_id: str) -> list[StudyHead]:
    """Return the earlier versions of this study at the same scale, oldest first."""
    c, this = t.studies.c, t.studies.alias("this").c
    query = (
        select(c.study_id, c.name, c.scale, c.state, c.spec_hash, c.spec)
        .join(this.study_id.table, (this.name == c.name) & (this.scale == c.scale) & (this.created_at > c.created_at))
        .where(this.study_id == study_id)
        .order_by(c.created_at)
    )
    with engine.connect() as connection:
        return [StudyHead(**{**row._mapping, "spec": json.loads(row.spec)}) for row in connection.execute(query)]


def stage_files(engine: Engine) -> dict[str, StageFiles]:
    """Return the files of every stage in the ledger, by stage id."""
    attempts: dict[str, dict[int, str]] = defaultdict(dict)
    names: dict[str, set[str]] = defaultdict(set)
    links, study = t.trial_stages.c, t.studies.c
    with engine.connect() as connection:
        for row in connection.execute(select(t.attempts.c.stage_id, t.attempts.c.attempt_no, t.attempts.c.state)):
            attempts[row.stage_id][row.attempt_no] = row.state
        named = select(links.stage_id, study.name).join(t.studies, study.study_id == links.study_id).distinct()
        for stage_id, name in connection.execute(named):
            names[stage_id].add(name)
        return {
            row.stage_id: StageFiles(state=row.state, artifact=row.artifact, attempts=attempts[row.stage_id],
                                     studies=tuple(sorted(names[row.stage_id])))
            for row in connection.execute(select(t.stages.c.stage_id, t.stages.c.state, t.stages.c.artifact))
        }


def stage_ids(engine: Engine) -> frozenset[str]:
    """Return the ids of all stages of the ledger."""
    with engine.connect() as connection:
        return frozenset(connection.execute(select(t.stages.c.stage_id)).scalars())


def published(engine: Engine) -> dict[str, str]:
    """Return the artifact of every finished stage that made one here, by the stage's id; those of imported records are left out."""
    c = t.stages.c
    is_ours = c.artifact.startswith("stages/", autoescape=True)
    query = select(c.stage_id, c.artifact).where(c.state == StageState.SUCCEEDED, is_ours)
    with engine.connect() as connection:
        return {row.stage_id: row.artifact for row in connection.execute(query)}


def stage_sums(engine: Engine, study_id: str) -> list[StageSum]:
    """Return the stages of a study, added up by kind and state."""
    c, mine = t.stages.c, select(t.trial_stages.c.stage_id).where(t.trial_stages.c.study_id == study_id)
    columns = (c.kind, c.state, func.count().label("number"), func.sum(c.flops).label("flops"),
               func.max(c.flops).label("largest_flops"), func.coalesce(func.sum(c.seconds), 0.0).label("seconds"),
               func.max(c.workers).label("workers"))
    query = select(*columns).where(c.stage_id.in_(mine), c.kind != _IMPORT).group_by(c.kind, c.state)
    with engine.connect() as connection:
        return [StageSum(**row._mapping) for row in connection.execute(query)]


def trial_counts(engine: Engine) -> dict[str, dict[str, int]]:
    """Return study id -> trial state -> number of trials; short trainings of a search are counted too."""
    c = t.trials.c
    query = select(c.study_id, c.state, func.count().label("n")).group_by(c.study_id, c.state)
    found: dict[str, dict[str, int]] = {}
    with engine.connect() as connection:
        for row in connection.execute(query):
            found.setdefault(row.study_id, {})[row.state] = row.n
    return found


def live_stages(engine: Engine, study_id: str) -> list[LiveStage]:
    """Return the stages of a study that are being executed, in the order of the plan."""
    c, a = t.stages.c, t.attempts.c
    mine = select(t.trial_stages.c.stage_id).where(t.trial_stages.c.study_id == study_id)
    query = (
        select(c.stage_id, c.kind, c.label, c.flops, c.workers, c.samples, a.attempt_no, a.progress)
        .join(t.attempts, (a.stage_id == c.stage_id) & (a.attempt_no == c.attempts_made))
        .where(c.state.in_(LIVE_STAGES), a.state.in_(LIVE_ATTEMPTS), c.stage_id.in_(mine))
        .order_by(c.position, c.label)
    )
    with engine.connect() as connection:
        return [
            LiveStage(**{**row._mapping, "progress": json.loads(row.progress or "{}")})
            for row in connection.execute(query)
        ]


def failed_stages(engine: Engine, study_id: str) -> list[FailedStage]:
    """Return the stages of a study whose newest attempt failed, whether they will be retried or not."""
    c, a = t.stages.c, t.attempts.c
    mine = select(t.trial_stages.c.stage_id).where(t.trial_stages.c.study_id == study_id)
    query = (select(c.stage_id, c.label, c.state, c.attempts_made, a.failure)
             .join(t.attempts, (a.stage_id == c.stage_id) & (a.attempt_no == c.attempts_made))
             .where(a.failure.is_not(None), c.stage_id.in_(mine)).order_by(c.position, c.label))
    with engine.connect() as connection:
        return [
            FailedStage(**{**row._mapping, "failure": json.loads(row.failure)}) for row in connection.execute(query)
        ]


def stage_states(engine: Engine, stage_ids: Sequence[str]) -> dict[str, str]:
    """Return the states of those of the given stages that the ledger holds."""
    states: dict[str, str] = {}
    with engine.connect() as connection:
        for some in t.chunks(stage_ids):
            mine = t.stages.c.stage_id.in_(some)
            query = select(t.stages.c.stage_id, t.stages.c.state).where(mine)
            states.update({row.stage_id: row.state for row in connection.execute(query)})
    return states


def spent_sums(engine: Engine, study_id: str) -> AttemptTotals:
    """Add up what all attempts for a study took; running attempts count up to now."""
    a, s = t.attempts.c, t.studies.c
    # What runs is alive until its lease: while nobody drives, no time is spent.
    now = case((a.lease_expires_at < t.now_s(), a.lease_expires_at), else_=t.now_s())
    took = func.sum(func.coalesce(a.ended_at, now) - a.started_at).label("seconds")
    whole = func.sum(case((_is_whole(), t.stages.c.flops), else_=0.0)).label("flops")
    query = (select(t.stages.c.kind, took, func.sum(a.bytes).label("bytes"), whole)
             .join(t.stages, t.stages.c.stage_id == a.stage_id).where(a.study_id == study_id).group_by(t.stages.c.kind))
    wall = select(func.coalesce(s.ended_at, t.now_s()) - s.created_at).where(s.study_id == study_id)
    with engine.connect() as connection:
        rows = connection.execute(query).all()
        return AttemptTotals(
            seconds={row.kind: float(row.seconds) for row in rows},
            bytes={row.kind: int(row.bytes) for row in rows},
            wall_s=float(connection.execute(wall).scalar_one()),
            flops=math.fsum(row.flops for row in rows) + _flops_of_parts(connection, study_id),
        )


def _is_whole() -> ColumnElement[bool]:
    """Return whether an attempt executed its stage from beginning to end, so that its FLOPs are the stage's."""
    a = t.attempts.c
    return ((a.attempt_no == 1) & (a.state == AttemptState.SUCCEEDED)) | (a.state == AttemptState.IMPORTED)


def _flops_of_parts(connection: Connection, study_id: str) -> float:
    """Return the FLOPs of the attempts that executed only part of their stage."""
    a, before, flops = t.attempts.c, t.attempts.alias("before").c, t.stages.c.flops
    of_stage = t.attempts.join(t.stages, t.stages.c.stage_id == a.stage_id)
    earlier = of_stage.outerjoin(
        before.stage_id.table, (before.stage_id == a.stage_id) & (before.attempt_no == a.attempt_no - 1)
    )
    query = (
        select(flops, a.state, a.progress, before.checkpoint_step)
        .select_from(earlier)
        .where(a.study_id == study_id, ~_is_whole())
    )
    return math.fsum(
        row.flops * _part(row.state, row.progress, row.checkpoint_step) for row in connection.execute(query)
    )


def _part(state: str, progress: str | None, began_at: int | None) -> float:
    """Return the fraction of a stage's steps that an attempt made, 0 to 1.

    An attempt begins at the checkpoint of the attempt before it.
    """
    report, is_done = json.loads(progress or "{}"), state == AttemptState.SUCCEEDED
    if not report.get("steps"):
        return float(is_done)
    end = report["steps"] if is_done else report.get("step", 0)
    return float(min(1.0, max(0.0, (end - (began_at or 0)) / report["steps"])))


def keep_estimate(engine: Engine, study_id: str, estimate: dict[str, Any]) -> None:
    """Store the expected cost of a study, unless it is stored already."""
    with engine.begin() as connection:
        mine = (t.studies.c.study_id == study_id) & t.studies.c.estimate.is_(None)
        connection.execute(t.studies.update().where(mine).values(estimate=json.dumps(estimate)))


def measured_rates(engine: Engine, scale: str) -> dict[str, float]:
    """Return the FLOPs per second of the newest finished stages of a scale, on the class of device that was used last.

    Returns:
        Rate by `rate_key` of the stages, and rate by kind over all stages of that kind.
    """
    c, a = t.stages.c, t.attempts.c
    at_scale = (select(t.trial_stages.c.stage_id).join(t.studies, t.studies.c.study_id == t.trial_stages.c.study_id)
                .where(t.studies.c.scale == scale))
    query = (select(c.kind, c.spec, c.flops, c.seconds, c.result)
             .join(t.attempts, (a.stage_id == c.stage_id) & (a.attempt_no == c.attempts_made))
             .where(c.state == StageState.SUCCEEDED, c.seconds > 0, c.flops > 0, c.stage_id.in_(at_scale),
                    a.state == AttemptState.SUCCEEDED)  # an imported stage tells how fast another machine was
             .order_by(a.ended_at.desc()).limit(NEWEST))
    with engine.connect() as connection:
        rows = connection.execute(query).all()
    devices = [(json.loads(row.result or "{}").get("environment") or {}).get("device", "") for row in rows]
    flops: dict[str, float] = defaultdict(float)
    seconds: dict[str, float] = defaultdict(float)
    for row, device in zip(rows, devices, strict=True):
        for key in (rate_key(row.kind, json.loads(row.spec)), row.kind) if device == devices[0] else ():
            flops[key] += row.flops
            seconds[key] += row.seconds
    return {key: flops[key] / seconds[key] for key in flops}
