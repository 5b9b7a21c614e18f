"""What the read side returns: frozen rows of plain values.

Times are seconds since the epoch by the database's clock, convertible to aware UTC.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Plain = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRow:
    """A study with the counts that a list of studies shows."""

    study_id: str
    name: str
    scale: str
    version: int
    state: str
    reason: str
    """Why it is paused, or ""."""
    spec_hash: str
    spec: Plain
    created_at: float
    ended_at: float | None
    num_arms: int
    num_trials: int
    trials_done: int
    """Trials in a final state, whatever it is."""
    stages_total: int
    """Distinct stages that the study needs."""
    stages_done: int
    stages_running: int
    stages_failed: int
    """Failed, diverged, skipped or cancelled."""
    requested_stages: int
    """Stages before sharing: what the trials would cost one by one."""
    priority: int
    """Higher goes first."""
    max_slots: int
    """Most slots that it may hold; 0 for no cap."""
    estimate: Plain | None = None
    """What it was expected to cost when it was submitted."""
    grows: bool = False
    """Whether a search or a rule may still add trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """Arm x seed."""

    trial_key: str
    arm_key: str
    arm_name: str
    levels: Plain
    seed: int
    state: str
    stage_ids: tuple[str, ...]
    config: Plain
    rung: int = 0
    """A short training by which a search decides whether the arm goes on; 0 is the whole training."""
    stopped: Plain | None = None
    """Why a search gave the arm up, None if it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """An arm, whether it was ever trained or not."""

    key: str
    name: str
    levels: Plain
    stopped: Plain | None
    """Why a search gave it up; `rung` 0 before anything was trained."""

    @property
    def is_refused(self) -> bool:
        """Whether it missed a constraint before anything was trained: it has no trials."""
        return self.stopped is not None and not self.stopped["rung"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """A stage with its newest attempt."""

    stage_id: str
    kind: str
    label: str
    position: int
    """Among the stages of the study that entered it: parents before children."""
    state: str
    parent_id: str | None
    spec: Plain
    flops: float
    samples: int
    attempts_made: int
    progress: Plain | None
    """Last report of the live attempt, else None."""
    seconds: float | None
    """Duration of the accepted attempt; None while there is none."""
    started_at: float | None
    """Start of the newest attempt."""
    artifact: str | None
    """Name for `Artifacts.resolve`."""
    result: Plain | None
    failure: Plain | None
    """Kind, message, traceback of the newest attempt if it failed."""


@dataclass(frozen=True, slots=True)
class RowCache:
    """What was read of a study before, for whoever looks at it many times: the read side adds to it, and reads nothing final again."""

    configs: dict[str, Plain] = field(default_factory=dict)
    """Trial key -> configuration."""
    links: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Trial key -> stage ids."""
    stages: dict[str, StageRow] = field(default_factory=dict)
    """Stage id -> row, parents before children; whether it may have changed since, its state says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """One benchmark of one trial, 0 to 100."""

    trial_key: str
    arm_key: str
    arm_name: str
    seed: int
    stage_id: str
    benchmark: str
    value: float
    value_lenient: float | None
    num_items: int
    num_unparseable: int
    is_complete: bool
    tokens_per_image: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """One change of state, or one act of a person."""

    event_id: int
    at: float
    study_id: str | None
    entity: str
    entity_id: str
    from_state: str
    to_state: str
    actor: str
    detail: Plain


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRow:
    """One execution of a stage."""

    stage_id: str
    label: str
    attempt_no: int
    state: str
    started_at: float
    ended_at: float | None
    failure: Plain | None
    """Kind, message, traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverRow:
    """Who decides, and whether it still lives."""

    driver_id: str
    epoch: int
    is_live: bool
    expires_at: float
    """By the ledger's clock; moves with each renewal, 0 once it was given back."""
    ttl_s: float
    expires_in_s: float
    """Negative: the lease ran out so long ago."""
    holder: Plain
