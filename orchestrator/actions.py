"""What a person may do to a study: the only door through which command line and dashboard write.

Each act is one transaction with an event that names the actor, and rings the driver's bell. Doing it twice is fine.
"""

from __future__ import annotations

from orchestrator.ledger import people
from orchestrator.ledger.reach import Engine
from orchestrator.states import StudyState

OPERATOR = "operator"


def pause(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """Hand out nothing more of the study; what only it needs is stopped at its next checkpoint.

    Returns:
        the state that it had.

    Raises:
        StudyError: there is no such study.
        IllegalTransition: it is over.
    """
    return people.move_study(engine, study_id, StudyState.PAUSED, actor=actor, reason="operator")


def resume(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """Let a paused study go on; give one that failed or was cancelled another chance, with fresh budgets.

    Succeeded and diverged stages are results and stay.
    """
    return people.move_study(engine, study_id, StudyState.QUEUED, actor=actor)


def cancel(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """End a study; stages that another live study needs go on."""
    return people.move_study(engine, study_id, StudyState.CANCELLED, actor=actor)
