"""The results of a study as a record of plain values, which is read from one ledger and inserted into another.

- A record contains only results: finished and diverged stages. A stage that failed or never ran is inserted as still to
  be executed.
- An inserted stage has one attempt in the state IMPORTED, which ran under another ledger, and the record as its
  artifact: it has scores, but no weights. If another stage needs the weights of an inserted training stage, that one is
  reopened and trained here (`insert.reopen`); its scores stay.
- Results that this ledger has computed itself are never replaced.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Engine, select

from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import retrying, transaction
from orchestrator.ledger.insert import database_now, insert_new, known_versions
from orchestrator.ledger.journal import Journal, dump
from orchestrator.ledger.lease import notify
from orchestrator.ledger.write import finish_trial
from orchestrator.states import (
    LIVE_STAGES,
    RESULTS,
    TERMINAL_TRIALS,
    AttemptState,
    StageState,
    StudyState,
    TrialState,
    state_of_trial,
    study_state,
)

UNFINISHED = "imported before it was finished; `ablate resume` goes on with it"
_STUDY = ("study_id", "name", "scale", "version", "spec_hash", "spec", "requested_stages", "grows", "parallel",
          "estimate", "created_at", "ended_at")
_ARM = ("arm_key", "number", "name", "levels", "stopped")
_TRIAL = ("trial_key", "arm_key", "seed", "rung", "number", "config")
_STAGE = ("stage_id", "kind", "label", "spec", "position", "flops", "samples", "workers", "state", "seconds", "result",
          "created_at")
_JSON = frozenset({"spec", "estimate", "levels", "stopped", "config", "result"})
Plain = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """The results of a study as plain values; the names are those of the ledger's columns."""

    study: Plain
    arms: list[Plain]
    trials: list[Plain]
    """Each with `stage_ids` in order."""
    stages: list[Plain]
    """Each with `parent_id`, and `started_at` and `ended_at` of its accepted attempt."""
    scores: list[Plain]

    @property
    def num_results(self) -> int:
        """The number of training and evaluation stages with a result."""
        return sum(stage["state"] in RESULTS and stage["kind"] != "import" for stage in self.stages)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entered:
    """The outcome of inserting a record."""

    study_id: str
    state: str
    """The state of the study."""
    num_stages: int
    """Stages whose result came from the record."""
    num_known: int
    """Stages whose result this ledger had already."""


def gather(engine: Engine, study_id: str) -> Record:
    """Read the results of a study, in one read transaction."""
    mine = select(t.trial_stages.c.stage_id).where(t.trial_stages.c.study_id == study_id)
    with engine.connect() as connection:
        (study,) = _rows(connection, t.studies, _STUDY, t.studies.c.study_id == study_id)
        arms = _rows(connection, t.arms, _ARM, t.arms.c.study_id == study_id)
        trials = _rows(connection, t.trials, _TRIAL, t.trials.c.study_id == study_id)
        stages = _rows(connection, t.stages, _STAGE, t.stages.c.stage_id.in_(mine))
        scores = _rows(connection, t.scores, tuple(t.scores.c.keys()), t.scores.c.stage_id.in_(mine))
        times, parents, links = _times(connection, mine), _parents(connection, mine), _links(connection, study_id)
    return Record(study=study, arms=sorted(arms, key=lambda arm: arm["number"]),
                  trials=sorted(({**trial, "stage_ids": links[trial["trial_key"]]} for trial in trials),
                                key=lambda trial: trial["number"]),
                  stages=sorted(({**_only_results(stage, times), "parent_id": parents.get(stage["stage_id"])}
                                 for stage in stages), key=lambda stage: (stage["position"], stage["stage_id"])),
                  scores=sorted(scores, key=lambda score: score["stage_id"]))


def _rows(connection: Connection, table: Any, names: tuple[str, ...], where: Any) -> list[Plain]:
    rows = connection.execute(select(*(table.c[name] for name in names)).where(where))
    return [{name: _read(value) if name in _JSON else value for name, value in row._mapping.items()} for row in rows]


def _read(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _times(connection: Connection, stage_ids: Any) -> dict[str, tuple[float, float | None]]:
    """Return when the accepted attempt of each stage began and ended."""
    a = t.attempts.c
    accepted = a.state.in_([AttemptState.SUCCEEDED, AttemptState.DIVERGED, AttemptState.IMPORTED])
    query = select(a.stage_id, a.started_at, a.ended_at).where(a.stage_id.in_(stage_ids), accepted)
    return {row.stage_id: (row.started_at, row.ended_at) for row in connection.execute(query.order_by(a.attempt_no))}


def _parents(connection: Connection, stage_ids: Any) -> dict[str, str]:
    query = select(t.stage_parents).where(t.stage_parents.c.stage_id.in_(stage_ids))
    return {row.stage_id: row.parent_id for row in connection.execute(query)}


def _links(connection: Connection, study_id: str) -> dict[str, list[str]]:
    c, found = t.trial_stages.c, dict[str, list[str]]()
    for row in connection.execute(select(c.trial_key, c.stage_id).where(c.study_id == study_id).order_by(c.position)):
        found.setdefault(row.trial_key, []).append(row.stage_id)
    return found


def _only_results(stage: Plain, times: Mapping[str, tuple[float, float | None]]) -> Plain:
    if stage["state"] in RESULTS:
        began, ended = times.get(stage["stage_id"], (stage["created_at"], None))
        return {**stage, "started_at": began, "ended_at": ended}
    return {**stage, "state": str(StageState.PLANNED), "seconds": None, "result": None, "started_at": None, "ended_at": None}


def enter(engine: Engine, record: Record, artifact: str, *, actor: str) -> Entered:
    """Insert a record. Repeating it changes nothing.

    Args:
        engine: the ledger.
        record: the record, from `results.record.load`.
        artifact: the name of the record among the artifacts.
        actor: who inserts it; written into the events.
    """
    def attempt() -> Entered:
        with transaction(engine) as connection:
            journal = Journal(connection, now=database_now(connection), actor=actor)
            is_new = _enter_study(connection, record)
            _enter_plan(connection, record)
            taken, num_known = _take_results(connection, journal, record, artifact)
            _end_trials(connection, journal, record, is_new=is_new)
            state = _end_study(connection, journal, record, is_new=is_new)
            journal.flush()
            notify(connection)
            return Entered(study_id=record.study["study_id"], state=state, num_stages=taken, num_known=num_known)

    return retrying(attempt)


def _enter_study(connection: Connection, record: Record) -> bool:
    study = record.study
    known = known_versions(connection, study["name"], study["scale"])
    if any(each["study_id"] == study["study_id"] for each in known):
        return False
    version = known[0]["version"] + 1 if known else study["version"]
    row = {**_dumped(study), "version": version, "state": str(StudyState.PAUSED), "reason": UNFINISHED}
    insert_new(connection, t.studies, [row])
    return True


def _enter_plan(connection: Connection, record: Record) -> None:
    """Insert the arms, trials and stages that are missing. All stages are PLANNED except imported checkpoints."""
    study = {"study_id": record.study["study_id"]}
    insert_new(connection, t.arms, [study | _dumped(arm) for arm in record.arms])
    insert_new(connection, t.trials, [
        study | _dumped({name: trial[name] for name in _TRIAL}) | {"state": str(TrialState.PLANNED)} for trial in record.trials])
    insert_new(connection, t.stages, [_planned(stage) for stage in record.stages])
    insert_new(connection, t.stage_parents, [{"stage_id": stage["stage_id"], "parent_id": stage["parent_id"]}
                                             for stage in record.stages if stage["parent_id"]])
    insert_new(connection, t.trial_stages, [
        study | {"trial_key": trial["trial_key"], "position": position, "stage_id": stage_id}
        for trial in record.trials for position, stage_id in enumerate(trial["stage_ids"])])


def _planned(stage: Plain) -> Plain:
    is_import = stage["kind"] == "import"
    row = _dumped({name: stage[name] for name in _STAGE if name not in ("seconds", "result")})
    return row | {"state": str(StageState.SUCCEEDED if is_import else StageState.PLANNED), "not_before": 0.0,
                  "attempts_made": 0, "charged_from": 0, "artifact": stage["spec"]["path"] if is_import else None}


def _take_results(connection: Connection, journal: Journal, record: Record, artifact: str) -> tuple[int, int]:
    """Give stages without a result here the record's. Return how many there were, and how many had a result already."""
    theirs = {stage["stage_id"]: stage for stage in record.stages
              if stage["state"] in RESULTS and stage["kind"] != "import"}
    rows = _states(connection, theirs)
    taken = {row.stage_id: row for row in rows if row.state not in RESULTS and row.state not in LIVE_STAGES}
    for stage_id, row in taken.items():
        _take(connection, journal, row, theirs[stage_id], record, artifact)
    insert_new(connection, t.scores, [score for score in record.scores if score["stage_id"] in taken])
    return len(taken), sum(row.state in RESULTS for row in rows)


def _states(connection: Connection, stage_ids: Iterable[str]) -> list[Any]:
    columns = (t.stages.c.stage_id, t.stages.c.state, t.stages.c.attempts_made)
    return [row for some in t.chunks(sorted(stage_ids))
            for row in connection.execute(select(*columns).where(t.stages.c.stage_id.in_(some)))]


def _take(connection: Connection, journal: Journal, row: Any, stage: Plain, record: Record, artifact: str) -> None:
    number = row.attempts_made + 1
    attempt_id = f"import-{row.stage_id[:24]}-{number}"
    connection.execute(t.stages.update().where(t.stages.c.stage_id == row.stage_id).values(
        state=stage["state"], seconds=stage["seconds"], attempts_made=number, artifact=artifact,
        result=None if stage["result"] is None else dump(stage["result"])))
    connection.execute(t.attempts.insert(), {
        "attempt_id": attempt_id, "stage_id": row.stage_id, "attempt_no": number, "study_id": record.study["study_id"],
        "driver_id": "import", "epoch": 0, "state": str(AttemptState.IMPORTED), "lease_expires_at": 0.0,
        "started_at": stage["started_at"], "ended_at": stage["ended_at"] or stage["started_at"], "is_charged": False,
        "checkpoint_step": 0, "failure_hash": ""})
    journal.event("attempt", attempt_id, "", AttemptState.IMPORTED, detail={"record": artifact})
    journal.event("stage", row.stage_id, row.state, stage["state"], detail={"record": artifact})


def _end_trials(connection: Connection, journal: Journal, record: Record, *, is_new: bool) -> None:
    """Move the study's trials to the states that follow from their stages, and tell tracking."""
    study_id = record.study["study_id"]
    states = {row.stage_id: StageState(row.state)
              for row in _states(connection, {each for trial in record.trials for each in trial["stage_ids"]})}
    kinds = {stage["stage_id"]: stage["kind"] for stage in record.stages}
    here = {row.trial_key: row.state for row in connection.execute(
        select(t.trials.c.trial_key, t.trials.c.state).where(t.trials.c.study_id == study_id))}
    arms = {arm["arm_key"]: arm for arm in record.arms}
    for trial in record.trials:
        before = TrialState(here[trial["trial_key"]])
        after = state_of_trial([(kinds[stage_id], states[stage_id]) for stage_id in trial["stage_ids"]])
        if is_new:
            _announce(journal, record.study, trial, arms[trial["arm_key"]])
        if before in TERMINAL_TRIALS or after not in TERMINAL_TRIALS:
            continue
        connection.execute(t.trials.update().where(
            t.trials.c.study_id == study_id, t.trials.c.trial_key == trial["trial_key"],
        ).values(state=str(after), ended_at=record.study["ended_at"] or journal.now))
        journal.event("trial", trial["trial_key"], before, after, study_id=study_id)
        finish_trial(connection, journal, study_id, trial["trial_key"], str(after))


def _announce(journal: Journal, study: Plain, trial: Plain, arm: Plain) -> None:
    journal.message(f"trial:{study['study_id']}:{trial['trial_key']}", "trial_created", {
        **{name: study[name] for name in ("study_id", "scale", "version", "spec_hash")}, "study": study["name"],
        **{name: trial[name] for name in ("trial_key", "arm_key", "seed", "rung", "config", "stage_ids")},
        "arm_name": arm["name"], "levels": arm["levels"]})


def _end_study(connection: Connection, journal: Journal, record: Record, *, is_new: bool) -> str:
    """Return the state of the study. A new study has ended if all its trials have, and is paused otherwise."""
    mine = t.studies.c.study_id == record.study["study_id"]
    if not is_new:
        return str(connection.execute(select(t.studies.c.state).where(mine)).scalar_one())
    trials = [TrialState(state) for state in connection.execute(
        select(t.trials.c.state).where(t.trials.c.study_id == record.study["study_id"])).scalars()]
    is_over = not record.study["grows"] and all(state in TERMINAL_TRIALS for state in trials)
    state = study_state(trials) if is_over else StudyState.PAUSED
    ended_at = (record.study["ended_at"] or journal.now) if is_over else None
    connection.execute(t.studies.update().where(mine).values(
        state=str(state), reason="" if is_over else UNFINISHED, ended_at=ended_at))
    journal.event("study", record.study["study_id"], "", state, study_id=record.study["study_id"], detail={"imported": True})
    return str(state)


def _dumped(values: Plain) -> Plain:
    return {name: dump(value) if name in _JSON and value is not None else value for name, value in values.items()}

