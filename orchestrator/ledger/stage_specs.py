"""Read what stages are made of, and which study asked for each first: what `ablate explain` compares. Read-only."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Engine, or_, select

from orchestrator.errors import StudyError
from orchestrator.ledger import tables as t
from orchestrator.plan.novelty import KnownStage

_DIGITS = set("0123456789abcdef")


@dataclass(frozen=True, slots=True, kw_only=True)
class StageUser:
    """The study that asked for a stage first, and the arm that it did so for."""

    study: str
    scale: str
    version: int
    spec: dict[str, Any]
    levels: dict[str, Any]


def known_stages(engine: Engine) -> list[KnownStage]:
    """Return all stages of the ledger, in the order in which they were entered."""
    c, parents, links = t.stages.c, t.stage_parents, t.trial_stages.c
    query = (select(c.stage_id, c.kind, c.label, c.spec, parents.c.parent_id)
             .outerjoin(parents, parents.c.stage_id == c.stage_id).order_by(c.created_at, c.position, c.stage_id))
    studies = select(links.stage_id, links.study_id).distinct()
    with engine.connect() as connection:
        data = {row.study_id: json.loads(row.spec).get("data", {})
                for row in connection.execute(select(t.studies.c.study_id, t.studies.c.spec))}
        of_stage = {row.stage_id: data[row.study_id] for row in connection.execute(studies)} if any(data.values()) else {}
        return [KnownStage(stage_id=row.stage_id, kind=row.kind, label=row.label, spec=json.loads(row.spec),
                           parent_id=row.parent_id, data=of_stage.get(row.stage_id, {})) for row in connection.execute(query)]


def named_stage(engine: Engine, text: str) -> str:
    """Return the id of the stage with this label, or whose id begins with these digits.

    Raises:
        StudyError: there is none, or there are several; the message lists them.
    """
    c = t.stages.c
    fits: list[ColumnElement[bool]] = [c.label == text]
    if len(text) >= 4 and set(text) <= _DIGITS:
        fits.append(c.stage_id.startswith(text))
    with engine.connect() as connection:
        rows = connection.execute(select(c.stage_id, c.label).where(or_(*fits), c.kind != "import").order_by(c.created_at)).all()
    if len(rows) == 1:
        return str(rows[0].stage_id)
    if rows:
        shown = ", ".join(f"{row.stage_id[:12]} ({row.label})" for row in rows[:6])
        raise StudyError(text, 0, f"{len(rows)} stages of the ledger fit: {shown}", "the first digits of the id tell them apart")
    raise StudyError(text, 0, "no stage of the ledger has this label, or an id that begins so",
                     "`ablate plan STUDY --why` explains the stages of a study that was not submitted yet")


def first_users(engine: Engine, stage_ids: Iterable[str]) -> dict[str, StageUser]:
    """Return for each stage the study that asked for it first, with the levels of the arm."""
    links, s, trials, arms = t.trial_stages.c, t.studies.c, t.trials.c, t.arms.c
    query = (
        select(links.stage_id, s.name, s.scale, s.version, s.spec, arms.levels)
        .join(t.studies, s.study_id == links.study_id)
        .join(t.trials, (trials.study_id == links.study_id) & (trials.trial_key == links.trial_key))
        .join(t.arms, (arms.study_id == trials.study_id) & (arms.arm_key == trials.arm_key))
        .order_by(s.created_at.desc(), trials.number.desc())
    )
    with engine.connect() as connection:
        return {row.stage_id: StageUser(study=row.name, scale=row.scale, version=row.version, spec=json.loads(row.spec),
                                        levels=json.loads(row.levels))
                for some in t.chunks(list(stage_ids)) for row in connection.execute(query.where(links.stage_id.in_(some)))}
