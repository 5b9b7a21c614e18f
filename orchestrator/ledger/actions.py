"""What a person may do to a study: pause, resume, cancel, share.

Command line and dashboard write to the ledger through this module only. Each action is one transaction. It records an
event that names the actor, and it moves the counter `bell`, so that the driver reads the ledger again. Repeating an
action changes nothing.
"""

from __future__ import annotations

import getpass

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


def whoami(engine: Engine) -> str:
    """Return who acts, for the record: the role of a database server, else the user of this machine."""
    if engine.url.username:
        return engine.url.username
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run as a number without a name
        return OPERATOR


def pause(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """Pause a study: nothing more of it is started, and stages that no other study needs stop at their next checkpoint.

    Returns:
        The state that the study had before.

    Raises:
        StudyError: the ledger holds no such study.
        IllegalTransition: the study has already ended.
    """
    return move_study(engine, study_id, StudyState.PAUSED, actor=actor, reason="operator")


def resume(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """Continue a paused study, or reopen one that failed or was cancelled, with fresh retry budgets.

    Stages that succeeded or diverged have a result; they are not executed again.
    """
    return move_study(engine, study_id, StudyState.QUEUED, actor=actor)


def cancel(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """End a study. Stages that another live study needs continue."""
    return move_study(engine, study_id, StudyState.CANCELLED, actor=actor)


def move_study(engine: Engine, study_id: str, target: StudyState, *, actor: str, reason: str = "") -> StudyState:
    """Change a study's state at a person's request. Nothing happens if the study is in that state already.

    Returns:
        The state that the study had before.

    Raises:
        StudyError: the ledger holds no such study.
        IllegalTransition: the study's present state does not allow the change.
    """
    def attempt() -> StudyState:
        with transaction(engine) as connection:
            # FOR UPDATE: on PostgreSQL another person or the driver could otherwise change the state between this read
            # and the update below.
            row = connection.execute(
                select(t.studies.c.state).where(t.studies.c.study_id == study_id).with_for_update()).one_or_none()
            if row is None:
                raise StudyError(study_id, 0, "the ledger holds no study with this id")
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
    """Change how many slots a study may take, and before which others; it may be running already.

    Args:
        engine: the ledger.
        study_id: the study to change.
        priority: studies with a higher number are served first; the initial value is 0. None leaves it unchanged.
        max_slots: the most slots that its attempts may hold at once, 0 for no limit. None leaves it unchanged.
        actor: who changes it; written into the event.

    Returns:
        The priority and the slot limit after the change.

    Raises:
        StudyError: the ledger holds no such study.
    """
    def attempt() -> tuple[int, int]:
        with transaction(engine) as connection:
            columns = (t.studies.c.priority, t.studies.c.max_slots)
            row = connection.execute(
                select(*columns).where(t.studies.c.study_id == study_id).with_for_update()
            ).one_or_none()
            if row is None:
                raise StudyError(study_id, 0, "the ledger holds no study with this id")
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
    """Cancel the trials that have not ended; the driver then stops the stages that no other trial needs."""
    trials = t.trials.c
    query = (select(trials.trial_key, trials.state)
             .where(trials.study_id == study_id, trials.state.not_in(TERMINAL_TRIALS)).with_for_update())
    for row in connection.execute(query).all():
        connection.execute(t.trials.update().where(trials.study_id == study_id, trials.trial_key == row.trial_key)
                           .values(state=str(TrialState.CANCELLED), ended_at=record.now))
        record.event("trial", row.trial_key, row.state, TrialState.CANCELLED, study_id=study_id)
        finish_trial(connection, record, study_id, row.trial_key, str(TrialState.CANCELLED))


def _reopen_trials(connection: Connection, record: Journal, study_id: str) -> None:
    """Reopen the trials that did not succeed, and their stages that were given up. A diverged stage keeps its result.

    A study that was paused because a stage is poisoned has failed stages in trials that have not ended yet. These
    stages are reopened too; otherwise the study would be paused again at once.
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
