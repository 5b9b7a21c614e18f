"""A ledger with a study whose stages are finished by hand, so that results can be read from it."""

import json

from sqlalchemy import select

from orchestrator.ledger import read
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import open_ledger, transaction
from orchestrator.ledger.insert import enter_study

NOISE = (0.0, 3.0, -2.0)
WOBBLE = (0.3, -0.4, 0.1, 0.2, -0.2)


def enter(engine, plan, study_id="study-1"):
    with transaction(engine) as connection:
        enter_study(connection, plan, study_id, 1, actor="test")
    return study_id


def value_of(arm_number, seed, benchmark_number, gain):
    """Seeds shift all arms alike; what remains is small."""
    return 40 + gain * arm_number + NOISE[seed % 3] + WOBBLE[(arm_number + 2 * seed + benchmark_number) % 5]


def finish(engine, study_id="study-1", *, gain=8.0, skip=(), states=()):
    """Finish every stage; `skip` are trial keys that stay open, `states` maps trial keys to other final states."""
    trials = [trial for trial in read.trials(engine, study_id) if trial.trial_key not in skip]
    arms = list(dict.fromkeys(trial.arm_key for trial in read.trials(engine, study_id)))
    states = dict(states)
    with transaction(engine) as connection:
        for trial in trials:
            connection.execute(t.trials.update().where(t.trials.c.trial_key == trial.trial_key)
                               .values(state=states.get(trial.trial_key, "SUCCEEDED")))
        done = [trial for trial in trials if trial.trial_key not in states]
        for trial in done:
            _finish_stages(connection, trial, arms.index(trial.arm_key), gain)


def _finish_stages(connection, trial, arm_number, gain):
    rows = connection.execute(select(t.stages).where(t.stages.c.stage_id.in_(trial.stage_ids))).all()
    for number, row in enumerate(sorted(rows, key=lambda row: row.label)):
        connection.execute(t.stages.update().where(t.stages.c.stage_id == row.stage_id, t.stages.c.kind != "import")
                           .values(state="SUCCEEDED", seconds=2.0, attempts_made=1))
        known = connection.execute(select(t.scores.c.stage_id).where(t.scores.c.stage_id == row.stage_id)).first()
        if row.kind == "evaluate" and known is None:
            connection.execute(t.scores.insert().values(
                stage_id=row.stage_id, benchmark=_benchmark(row), value=value_of(arm_number, trial.seed, number, gain),
                num_items=200, num_unparseable=1, is_complete=True, tokens_per_image=16.0 * (1 + arm_number % 2)))


def _benchmark(row):
    return json.loads(row.spec)["benchmark"]


def ledger(tmp_path):
    return open_ledger(f"sqlite:///{tmp_path}/ledger.db")
