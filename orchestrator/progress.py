"""How far a study is: one value for the command line and the dashboard, from rows of the read side. Pure.

- Finished, failed and running stages are counted as the ledger counts them; shared stages once.
- The time left weighs every unfinished stage by its FLOPs and by how far its live attempt has reported.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from orchestrator.estimate import Estimate, Work, time_left
from orchestrator.ledger.read import StageRow, StudyRow
from orchestrator.states import LIVE_STAGES, TERMINAL_STAGES, TERMINAL_STUDIES, StageState

_IMPORT = "import"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningStage:
    """A stage that is being executed now, by its last report."""

    stage_id: str
    kind: str
    label: str
    attempt_no: int
    step: int | None
    steps: int | None
    loss: float | None
    samples_per_s: float | None

    @property
    def fraction(self) -> float:
        """How much is done, 0 to 1; 0 before the first report."""
        return min(self.step / self.steps, 1.0) if self.step is not None and self.steps else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """A study on its way."""

    study: StudyRow
    total: int
    done: int
    failed: int
    """Failed, diverged, skipped or cancelled."""
    running: tuple[RunningStage, ...]
    left: Estimate

    @property
    def fraction(self) -> float:
        """Stages in a final state of all, running ones by their part."""
        parts = self.done + self.failed + sum(stage.fraction for stage in self.running)
        return min(parts / self.total, 1.0) if self.total else 1.0

    @property
    def is_terminal(self) -> bool:
        """Whether nothing will change without a person."""
        return self.study.state in TERMINAL_STUDIES


def progress(study: StudyRow, stages: Sequence[StageRow], *, slots: int) -> Progress:
    """Count and time the stages of a study.

    Args:
        study: its row.
        stages: all its stages; imports are left out.
        slots: stages that run at the same time.
    """
    mine = [stage for stage in stages if stage.kind != _IMPORT]
    declared = float(study.spec.get("scale", {}).get("resources", {}).get("flops_per_s", 1e10))
    return Progress(
        study=study, total=len(mine), done=sum(stage.state == StageState.SUCCEEDED for stage in mine),
        failed=sum(stage.state in TERMINAL_STAGES and stage.state != StageState.SUCCEEDED for stage in mine),
        running=tuple(_running(stage) for stage in mine if stage.state in LIVE_STAGES),
        left=time_left([_work(stage) for stage in mine], slots=slots, declared=declared, measured={}))


def _work(stage: StageRow) -> Work:
    fraction = _running(stage).fraction if stage.state in LIVE_STAGES else 0.0
    return Work(kind=stage.kind, flops=stage.flops, seconds=stage.seconds, is_done=stage.state in TERMINAL_STAGES,
                fraction=fraction)


def _running(stage: StageRow) -> RunningStage:
    report = stage.progress or {}
    return RunningStage(
        stage_id=stage.stage_id, kind=stage.kind, label=stage.label, attempt_no=stage.attempts_made,
        step=_whole(report, "step"), steps=_whole(report, "steps"), loss=_number(report, "loss"),
        samples_per_s=_number(report, "samples_per_s"))


def _whole(report: Mapping[str, Any], name: str) -> int | None:
    value = report.get(name)
    return int(value) if isinstance(value, int | float) else None


def _number(report: Mapping[str, Any], name: str) -> float | None:
    value = report.get(name)
    return float(value) if isinstance(value, int | float) else None
