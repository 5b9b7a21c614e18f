"""What a person may do to a study: pause, resume, cancel, share. The only door through which command line and dashboard write.

Each is one transaction with an event that names the actor, and rings the driver's bell. Doing it twice is fine.
"""

from __future__ import annotations

from sqlalchemy import Connection, Engine, select

from orchestrator.errors import IllegalTransition, StudyError
from orchestrator.failpoints import failpoint
from orchestrator.ledger import tables as t
from orchestrator.ledger.engine import retrying, transaction
from orchestrator.ledger.insert import database_now, reopen
from orchestrator.ledger.journal import Journal
from orchestrator.ledger.lease import notify
from orchestrator.ledger.write import finish_trial
from orchestrator.states import ALLOWED, REOPENED, TERMINAL_TRIALS, StudyState, TrialState

OPERATOR = "operator"


def pause(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """Hand out nothing more of the study; what only it needs is stopped at its next checkpoint.

    Returns:
        the state that it had.

    Raises:
        StudyError: there is no such study.
        IllegalTransition: it is over.
    """
    return move_study(engine, study_id, StudyState.PAUSED, actor=actor, reason="operator")


def resume(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """Let a paused study go on; give one that failed or was cancelled another chance, with fresh budgets.

    Succeeded and diverged stages are results and stay.
    """
    return move_study(engine, study_id, StudyState.QUEUED, actor=actor)


def cancel(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """End a study; stages that another live study needs go on."""
    return move_study(engine, study_id, StudyState.CANCELLED, actor=actor)


def move_study(engine: Engine, study_id: str, target: StudyState, *, actor: str, reason: str = "") -> StudyState:
    """Change a study's state on a person's wish; being there already is fine.

    Returns:
        the state that it had.

    Raises:
        StudyError: there is no such study.
        IllegalTransition: the state that it has does not allow the wish.
    """
    def attempt() -> StudyState:
        with transaction(engine) as connection:
            # FOR UPDATE: on PostgreSQL two persons, or the driver, might change the state between look and leap.
            row = connection.execute(
                select(t.studies.c.state).where(t.studies.c.study_id == study_id).with_for_update()).one_or_none()
            if row is None:
                raise StudyError(study_id, 0, "no study of that id in the ledger")
            source = StudyState(row.state)
            if source is not target and not (target is StudyState.QUEUED and source is StudyState.RUNNING):
                _move(connection, study_id, source, target, actor=actor, reason=reason)
            failpoint("person.before_commit")
            return source

    source = retrying(attempt)
    failpoint("person.after_commit")
    return source


def share(engine: Engine, study_id: str, *, priority: int | None = None, max_slots: int | None = None,
          actor: str = OPERATOR) -> tuple[int, int]:
    """Change a study's claim on the slots, while it runs or before.

    Args:
        engine: the ledger.
        study_id: of the study.
        priority: higher goes first; 0 at first. None leaves it.
        max_slots: most slots that its attempts may hold at once, 0 for no cap. None leaves it.
        actor: who does it, for the record.

    Returns:
        priority and cap that it has now.

    Raises:
        StudyError: there is no such study.
    """
    def attempt() -> tuple[int, int]:
        with transaction(engine) as connection:
            columns = (t.studies.c.priority, t.studies.c.max_slots)
            row = connection.execute(
                select(*columns).where(t.studies.c.study_id == study_id).with_for_update()
            ).one_or_none()
            if row is None:
                raise StudyError(study_id, 0, "no study of that id in the ledger")
            now = (row.priority if priority is None else priority, row.max_slots if max_slots is None else max_slots)
            if now != (row.priority, row.max_slots):
                connection.execute(
                    t.studies.update().where(t.studies.c.study_id == study_id).values(priority=now[0], max_slots=now[1])
                )
                record = Journal(connection, now=database_now(connection), actor=actor)
                record.event(
                    "share", study_id, "", "", study_id=study_id, detail={"priority": now[0], "max_slots": now[1]}
                )
                record.flush()
                notify(connection)
            return now

    return retrying(attempt)


def _move(connection: Connection, study_id: str, source: StudyState, target: StudyState, *, actor: str,
          reason: str) -> None:
    allowed = ALLOWED[StudyState].get(source, frozenset())
    if target not in allowed and REOPENED[StudyState].get(source) is not target:
        name = connection.execute(select(t.studies.c.name).where(t.studies.c.study_id == study_id)).scalar_one()
        raise IllegalTransition(f"study {name} is {source.lower()}; it cannot become {target.lower()}")
    record = Journal(connection, now=database_now(connection), actor=actor)
    connection.execute(t.studies.update().where(t.studies.c.study_id == study_id)
                       .values(state=str(target), reason=reason, ended_at=None))
    record.event("study", study_id, source, target, study_id=study_id, detail={"reason": reason})
    if target is StudyState.CANCELLED:
        _cancel_trials(connection, record, study_id)
    if target is StudyState.QUEUED:
        _reopen_trials(connection, record, study_id)
    record.flush()
    notify(connection)


def _cancel_trials(connection: Connection, record: Journal, study_id: str) -> None:
    """End the open trials; the driver then stops the stages that nobody else needs."""
    trials = t.trials.c
    query = (select(trials.trial_key, trials.state)
             .where(trials.study_id == study_id, trials.state.not_in(TERMINAL_TRIALS)).with_for_update())
    for row in connection.execute(query).all():
        connection.execute(t.trials.update().where(trials.study_id == study_id, trials.trial_key == row.trial_key)
                           .values(state=str(TrialState.CANCELLED), ended_at=record.now))
        record.event("trial", row.trial_key, row.state, TrialState.CANCELLED, study_id=study_id)
        finish_trial(connection, record, study_id, row.trial_key, str(TrialState.CANCELLED))


def _reopen_trials(connection: Connection, record: Journal, study_id: str) -> None:
    """Open trials that did not succeed, and their stages that were given up; a diverged stage stays a result.

    A study that was paused as poisoned has failed stages in trials that have not ended yet: those open as well, or it
    would be paused again at once.
    """
    trials, links = t.trials.c, t.trial_stages.c
    mine = (trials.study_id == study_id) & trials.state.in_(
        (TrialState.FAILED, TrialState.SKIPPED, TrialState.CANCELLED)
    )
    rows = connection.execute(select(trials.trial_key, trials.state).where(mine)).all()
    wanted = select(links.stage_id).distinct().join(
        t.trials, (trials.study_id == links.study_id) & (trials.trial_key == links.trial_key)).where(
        trials.study_id == study_id, trials.state.not_in((TrialState.SUCCEEDED, TrialState.DIVERGED)))
    reopen(connection, record, list(connection.execute(wanted).scalars()))
    connection.execute(t.trials.update().where(mine).values(state=str(TrialState.PLANNED), ended_at=None))
    for row in rows:
        record.event("trial", row.trial_key, row.state, TrialState.PLANNED, study_id=study_id)
