"""Compute the progress of a study, for the command line and the dashboard, from sums that the ledger returns.

- Stages are counted once, however many trials share them.
- The time left is estimated from the FLOPs of all unfinished stages, less the steps that live attempts have reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator import formatting
from orchestrator.ledger.engine import Engine
from orchestrator.ledger.rows import StudyRow
from orchestrator.ledger.summaries import LiveStage, StageSum, live_stages, measured_rates, stage_sums
from orchestrator.plan.estimate import Estimate, Rates, TimedStage, time_left
from orchestrator.states import LIVE_STAGES, TERMINAL_STAGES, TERMINAL_STUDIES, StageState


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The progress of a study."""

    study: StudyRow
    total: int
    """The number of its stages."""
    done: int
    """The number of stages that succeeded."""
    failed: int
    """The number of stages that failed, diverged, or were skipped or cancelled."""
    running: tuple[LiveStage, ...]
    left: Estimate

    @property
    def fraction(self) -> float:
        """The fraction of the stages in a final state, 0 to 1; a running stage counts by its own fraction."""
        parts = self.done + self.failed + sum(stage.fraction for stage in self.running)
        return min(parts / self.total, 1.0) if self.total else 1.0

    @property
    def left_text(self) -> str:
        """The time left, in words; for an adaptive study only that of the trials planned so far."""
        about = "" if self.left.is_measured else "about "
        so_far = " for what is planned so far" if self.study.grows else ""
        return f"{about}{formatting.duration(self.left.seconds)} left{so_far}"

    @property
    def is_terminal(self) -> bool:
        """Whether the study is finished: only a person can change it now."""
        return self.study.state in TERMINAL_STUDIES


def progress(engine: Engine, study: StudyRow, *, slots: int) -> Progress:
    """Read the progress of a study from the ledger.

    Args:
        engine: the ledger.
        study: the study's row.
        slots: the number of stages that run at the same time.
    """
    is_over = study.state in TERMINAL_STUDIES
    return counted(study, stage_sums(engine, study.study_id), live_stages(engine, study.study_id), slots=slots,
                   measured={} if is_over else measured_rates(engine, study.scale))


def counted(study: StudyRow, sums: Sequence[StageSum], live: Sequence[LiveStage], *, slots: int,
            measured: Mapping[str, float] | None = None) -> Progress:
    """Put sums and live stages together; `measured` are the rates of their scale."""
    declared = float(study.spec.get("scale", {}).get("resources", {}).get("flops_per_s", 1e10))
    works = [*(_work(each) for each in sums if each.state not in LIVE_STAGES),
             *(TimedStage(kind=stage.kind, flops=stage.flops, fraction=stage.fraction, workers=stage.workers,
                          rate=stage.rate) for stage in live)]
    return Progress(
        study=study,
        total=sum(each.number for each in sums),
        running=tuple(live),
        done=sum(each.number for each in sums if each.state == StageState.SUCCEEDED),
        failed=sum(
            each.number for each in sums if each.state in TERMINAL_STAGES and each.state != StageState.SUCCEEDED
        ),
        left=time_left(works, slots=slots, rates=Rates(declared=declared, measured=measured or {})),
    )


def _work(each: StageSum) -> TimedStage:
    is_measured = each.state == StageState.SUCCEEDED
    return TimedStage(kind=each.kind, flops=each.flops, largest_flops=each.largest_flops,
                      is_done=each.state in TERMINAL_STAGES, seconds=each.seconds if is_measured else None,
                      workers=each.workers)
