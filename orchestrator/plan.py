"""Study -> arms x seeds -> stages; named by content, counted before anything is launched. Pure, torch-free."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from orchestrator.study import Study


@dataclass(frozen=True, slots=True)
class Arm:
    """One condition of a study."""

    key: str
    """Names the levels, whatever the arm is called and wherever it stands."""
    name: str
    levels: dict[str, Any]
    """Dotted path to value, as the study writes them (symbolic levels stay symbolic)."""


@dataclass(frozen=True, slots=True)
class Trial:
    """An arm with a seed."""

    key: str
    arm_key: str
    seed: int
    stage_ids: tuple[str, ...]
    """In order of execution: import, training stages, then one evaluate stage for each benchmark."""
    config: dict[str, Any]
    """The resolved trial configuration as plain values."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One training or evaluation step, named by all that determines its result."""

    stage_id: str
    kind: str
    """import, pretrain, continual, sft or evaluate."""
    spec: dict[str, Any]
    parent_id: str | None
    label: str
    flops: float
    """Estimated floating-point operations; 0 for an import."""
    samples: int
    """Training samples drawn or items evaluated."""
    position: int
    """Order of first use in the plan: parents before children, first trials first."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All that a study asks for at a scale."""

    study: Study
    scale: str
    spec: dict[str, Any]
    """Plain values of study, recipe and scale, kept in the ledger to show what changed."""
    spec_hash: str
    arms: tuple[Arm, ...]
    trials: tuple[Trial, ...]
    stages: dict[str, Stage]
    num_requested: int
    """Stages that the trials would take without sharing (imports are not counted)."""
    missing_checkpoints: tuple[str, ...]
    """Operator checkpoints that are not there yet: the plan can be looked at, not submitted."""

    @property
    def num_unique(self) -> int:
        """Stages to execute when shared ones are executed once."""
        return sum(stage.kind != "import" for stage in self.stages.values())
