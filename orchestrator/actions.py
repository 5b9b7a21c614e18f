"""What a person may do to a study: the only door through which command line and dashboard write.

Each act is one transaction with an event that names the actor, and rings the driver's bell. Doing it twice is fine.
"""

from __future__ import annotations

from orchestrator.ledger import actions
from orchestrator.ledger.reach import Engine
from orchestrator.states import StudyState

OPERATOR = "operator"


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
    return actions.share(engine, study_id, priority=priority, max_slots=max_slots, actor=actor)


def pause(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """Hand out nothing more of the study; what only it needs is stopped at its next checkpoint.

    Returns:
        the state that it had.

    Raises:
        StudyError: there is no such study.
        IllegalTransition: it is over.
    """
    return actions.move_study(engine, study_id, StudyState.PAUSED, actor=actor, reason="operator")


def resume(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """Let a paused study go on; give one that failed or was cancelled another chance, with fresh budgets.

    Succeeded and diverged stages are results and stay.
    """
    return actions.move_study(engine, study_id, StudyState.QUEUED, actor=actor)


def cancel(engine: Engine, study_id: str, *, actor: str = OPERATOR) -> StudyState:
    """End a study; stages that another live study needs go on."""
    return actions.move_study(engine, study_id, StudyState.CANCELLED, actor=actor)
