"""The rows that the read side returns: frozen, with plain values.

Times are seconds since the epoch by the database's clock.
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
    """Why the study is paused or ended early, or ""."""
    spec_hash: str
    spec: Plain
    created_at: float
    ended_at: float | None
    num_arms: int
    num_trials: int
    trials_done: int
    """Trials in any final state."""
    stages_total: int
    """Distinct stages that the study needs."""
    stages_done: int
    stages_running: int
    stages_failed: int
    """Stages that failed, diverged, were skipped or cancelled."""
    requested_stages: int
    """Stages before sharing: those that the trials would need if each ran by itself."""
    priority: int
    """Studies with a higher number are served first."""
    max_slots: int
    """The most slots that the study may hold, 0 for no limit."""
    estimate: Plain | None = None
    """The expected cost, as it was estimated when the study was submitted."""
    grows: bool = False
    """Whether a search or a rule may still add trials."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRow:
    """One arm with one seed."""

    trial_key: str
    arm_key: str
    arm_name: str
    levels: Plain
    seed: int
    state: str
    stage_ids: tuple[str, ...]
    config: Plain
    rung: int = 0
    """0 for full training; 1 and higher for the shorter trainings by which a search decides whether the arm continues.
    """
    stopped: Plain | None = None
    """Why a search stopped the arm, None if it did not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ArmRow:
    """One arm, whether it was trained or not."""

    key: str
    name: str
    levels: Plain
    stopped: Plain | None
    """Why a search stopped the arm; its `rung` is 0 if that was before any training."""

    @property
    def is_refused(self) -> bool:
        """Whether the arm violated a constraint before any training, so that it has no trials."""
        return self.stopped is not None and not self.stopped["rung"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StageRow:
    """A stage with its newest attempt."""

    stage_id: str
    kind: str
    label: str
    position: int
    """Its place in the plan of the study that inserted it: parents come before children."""
    state: str
    parent_id: str | None
    spec: Plain
    flops: float
    samples: int
    attempts_made: int
    progress: Plain | None
    """The last report of the live attempt, None if no attempt is live."""
    seconds: float | None
    """Duration of the accepted attempt, None if there is none."""
    started_at: float | None
    """When the newest attempt started."""
    artifact: str | None
    """Name of the published artifact, for `Artifacts.resolve`."""
    result: Plain | None
    failure: Plain | None
    """Kind, message and traceback of the newest attempt if it failed."""


@dataclass(frozen=True, slots=True)
class RowCache:
    """Rows of one study from earlier reads, for callers that read it many times.

    The functions of `read.py` add to it, and read nothing again that is final.
    """

    configs: dict[str, Plain] = field(default_factory=dict)
    """Trial key -> configuration."""
    links: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Trial key -> stage ids."""
    stages: dict[str, StageRow] = field(default_factory=dict)
    """Stage id -> row, parents before children. A row may be out of date unless its state is final."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreRow:
    """The score of one trial on one benchmark, 0 to 100."""

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
    """One change of state, or one action of a person."""

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
    """Kind, message and traceback."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DriverRow:
    """The driver that held the lease last, and whether it is alive."""

    driver_id: str
    epoch: int
    is_live: bool
    expires_at: float
    """When the lease expires, by the ledger's clock. Each renewal moves it; it is 0 after the lease was given back."""
    ttl_s: float
    expires_in_s: float
    """Seconds until the lease expires, negative if it expired already."""
    holder: Plain
