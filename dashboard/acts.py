"""What a person may do to a study from a page, and the one way: `orchestrator.ledger.actions`, if the role allows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from orchestrator import exposure
from orchestrator.ledger import actions, read
from orchestrator.ledger.engine import open_existing
from orchestrator.ledger.rows import StudyRow
from orchestrator.settings import Settings
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


def perform(settings: Settings, study_id: str, act: OperatorAction, *, who: str) -> None:
    """Perform an action in a connection of its own; those of the pages only read.

    Args:
        settings: of the operator: the ledger, which must exist, and who may do what.
        study_id: of the study.
        act: what to do.
        who: the person that asks, who will be in the record.

    Raises:
        OrchestratorError: the person may not do it, the ledger refuses it, or does not answer.
    """
    ledger = open_existing(settings.dashboard_url)
    try:
        exposure.refuse_move(settings, who, read.submitter(ledger, study_id))
        act.perform(ledger, study_id, actor=who)
    finally:
        ledger.dispose()
