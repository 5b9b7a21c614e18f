"""Enter a planned study for a driver: what no driver could finish is refused, what had stopped is opened again."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from orchestrator.errors import OrchestratorError, StudyError
from orchestrator.execution.ray.nodes import misfit, nodes_of
from orchestrator.ledger import actions, read
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.rows import StudyRow
from orchestrator.ledger.submit import submit
from orchestrator.ledger.summaries import keep_estimate
from orchestrator.plan.needs import missing, too_large
from orchestrator.plan.plan import Plan
from orchestrator.results.preview import preview
from orchestrator.results.rehearsals import rehearsed_rates
from orchestrator.settings import Settings
from orchestrator.states import StudyState

_AGAIN = frozenset({StudyState.PAUSED, StudyState.CANCELLED, StudyState.FAILED, StudyState.COMPLETED_WITH_FAILURES})
"""States that a further submission brings back to the queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A study as it stands in the ledger after it was submitted."""

    row: StudyRow
    found: StudyState
    """The state in which it was found; QUEUED for one that is new."""
    reason: str
    """Why it had stopped, or ""."""
    unchecked: str
    """Why it could not be checked whether its stages fit on the cluster's nodes, or ""."""

    @property
    def had_stopped(self) -> bool:
        """Whether it was paused, cancelled or had failed."""
        return self.found in _AGAIN


def enter(settings: Settings, engine: Engine, plan: Plan, *, update: bool, may_reopen: bool) -> Submission:
    """Enter a study, or open it again if it had stopped and that is wanted.

    Args:
        settings: the operator's.
        engine: the ledger.
        plan: of the study at a scale.
        update: allow a changed file under a known name: a new version, which shares all old stages.
        may_reopen: whether one that was paused, cancelled or failed goes on; otherwise it stays as somebody left it.

    Raises:
        StudyError: data, a checkpoint, a judge or room for its stages is missing, or the file changed and `update` was not given.
    """
    _refuse_what_would_fail(settings, plan)
    unchecked = refuse_what_never_fits(settings, plan)
    slots = None if settings.slots_follow_nodes else settings.slots  # the nodes were looked at just now
    study_id = submit(engine, plan, update=update, slots=slots, actor=actions.whoami(engine))
    row = read.study(engine, study_id)
    if row.estimate is None:
        shown = preview(plan, engine, slots=settings.slots, rehearsed=rehearsed_rates(settings.home, plan.scale))
        keep_estimate(engine, study_id, asdict(shown.expected))
    found = StudyState(row.state)
    if found in _AGAIN and may_reopen:
        actions.resume(engine, study_id, actor=actions.whoami(engine))
    return Submission(row=read.study(engine, study_id), found=found, reason=row.reason, unchecked=unchecked)


def _refuse_what_would_fail(settings: Settings, plan: Plan) -> None:
    """Refuse a study with stages that would run and fail.

    Their answers are to be graded by a judge where none is reached, or they need more memory than a worker has.

    Raises:
        StudyError: which benchmarks or stages, and what to change.
    """
    for each in missing(plan, has_judge=bool(settings.judge_url)):
        if "judge" in each.what or each in too_large(plan):
            raise StudyError(plan.study.name, 0, f"missing: {each.what}", each.hint)


def refuse_what_never_fits(settings: Settings, plan: Plan) -> str:
    """Refuse a study whose stages no node of the present cluster can ever hold.

    Returns:
        why that could not be checked, or "".

    Raises:
        StudyError: what a slot needs, and what the largest node has.
    """
    if settings.ray_autoscales or not plan.num_unique:
        return ""
    try:
        nodes = nodes_of(settings)
    except OrchestratorError as error:
        return f"{error}; it was not checked whether a stage fits on a node"
    problem = misfit(settings, nodes, plan.workers)
    if problem:
        raise StudyError(
            plan.study.name,
            0,
            f"its stages would wait for ever: {problem}",
            "ABLATE_GPUS_PER_SLOT and ABLATE_SLOT_LABELS set what a slot needs; set ABLATE_RAY_AUTOSCALES=true if "
            "the cluster adds larger nodes on demand",
        )
    return ""
