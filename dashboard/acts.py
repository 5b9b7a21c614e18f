"""What a person may do to a study from a page, and the one way to do it: `orchestrator.ledger.actions`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator.ledger import actions
from orchestrator.ledger.engine import open_existing
from orchestrator.ledger.rows import StudyRow
from orchestrator.states import ALLOWED, REOPENED, StudyState


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorAction:
    """An action that a person can take on a study."""

    name: str
    label: str
    icon: str
    consequence: str
    target: StudyState
    """The state that it asks for."""
    perform: Callable[..., StudyState]


ACTS = (
    OperatorAction(name="pause", label="Pause", icon=":material/pause:", target=StudyState.PAUSED,
                   perform=actions.pause, consequence="Running stages save a checkpoint and stop."),
    OperatorAction(name="resume", label="Resume", icon=":material/play_arrow:", target=StudyState.QUEUED,
                   perform=actions.resume,
                   consequence="Failed and cancelled stages get another chance; a driver must be running."),
    OperatorAction(name="cancel", label="Cancel", icon=":material/cancel:", target=StudyState.CANCELLED,
                   perform=actions.cancel,
                   consequence="Open trials end; finished ones are kept, and the study can be resumed."))


def allowed_actions(row: StudyRow) -> list[OperatorAction]:
    """Return the actions that the transition tables allow in the study's state."""
    state = StudyState(row.state)
    reachable = {*ALLOWED[StudyState].get(state, ()), REOPENED[StudyState].get(state)}
    return [act for act in ACTS if act.target in reachable]


def perform(ledger_url: str, study_id: str, act: OperatorAction, *, actor: str) -> None:
    """Perform an action in a connection of its own; those of the pages only read.

    Args:
        ledger_url: of the ledger, which must exist.
        study_id: of the study.
        act: what to do.
        actor: who does it, for the record.

    Raises:
        OrchestratorError: the ledger refuses it, or does not answer.
    """
    ledger = open_existing(ledger_url)
    try:
        act.perform(ledger, study_id, actor=actor)
    finally:
        ledger.dispose()
