"""What the ledger already knows about stages that a plan asks for, and how fast its workers were. Read-only.

- A plan is looked at before it is submitted: its stages may have been finished by other studies.
- Rates are FLOPs by formula per measured second, for each kind of stage: they turn a plan's FLOPs into time.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Engine, func, select

from orchestrator.ledger import tables as t
from orchestrator.states import StageState

_CHUNK = 500
"""Ids in one statement; engines limit the number of bound values."""


def stage_states(engine: Engine, stage_ids: Sequence[str]) -> dict[str, str]:
    """Return the state of each of these stages that the ledger holds."""
    states: dict[str, str] = {}
    with engine.connect() as connection:
        for start in range(0, len(stage_ids), _CHUNK):
            mine = t.stages.c.stage_id.in_(stage_ids[start:start + _CHUNK])
            query = select(t.stages.c.stage_id, t.stages.c.state).where(mine)
            states.update({row.stage_id: row.state for row in connection.execute(query)})
    return states


def flops_per_s(engine: Engine) -> dict[str, float]:
    """Return the FLOPs per second that finished stages of each kind reached."""
    query = (select(t.stages.c.kind, func.sum(t.stages.c.flops).label("flops"),
                    func.sum(t.stages.c.seconds).label("seconds"))
             .where(t.stages.c.state == StageState.SUCCEEDED, t.stages.c.seconds > 0, t.stages.c.flops > 0)
             .group_by(t.stages.c.kind))
    with engine.connect() as connection:
        return {row.kind: row.flops / row.seconds for row in connection.execute(query)}
