"""Simulated workers and the disk that they write to: what the executor of the product would start on a cluster."""

import random
from dataclasses import dataclass, field, replace

from orchestrator.artifacts.store import Artifacts
from orchestrator.scheduler.views import Outcome
from orchestrator.states import AttemptState
from tests.simulation.clock import Clock

TRANSIENT = {AttemptState.LOST: 2, AttemptState.RESOURCE: 1, AttemptState.STALLED: 1, AttemptState.PREEMPTED: 4}
"""How often a stage may end so: fewer than its budget, so that a stage always succeeds in the end."""
NEVER = float("inf")


def score_of(stage_id: str) -> float:
    """Return the score that an evaluation gives, whoever executes it and how often."""
    return int(stage_id[:8], 16) % 10_000 / 100


@dataclass
class Disk:
    """What outlives workers and drivers."""

    results: dict[str, Outcome] = field(default_factory=dict)
    """Folder of an attempt -> its result record."""
    steps: dict[str, int] = field(default_factory=dict)
    """Stage -> step of its newest checkpoint."""
    is_full: bool = False

    def read_result(self, folder, attempt_id: str, _attempt_no: int) -> Outcome | None:
        found = self.results.get(str(folder))
        return found if found is not None and found.attempt_id == attempt_id else None


class SimulatedArtifacts(Artifacts):
    """Paths as the product makes them; what lies there is on the simulated disk."""

    def __init__(self, root, disk: Disk) -> None:
        super().__init__(root)
        self._disk = disk

    def newest_checkpoint(self, stage_id: str) -> int:
        return self._disk.steps.get(stage_id, 0)

    def drop_checkpoints(self, stage_id: str) -> None:
        self._disk.steps.pop(stage_id, None)

    def fetch_record(self, stage_id: str, attempt_no: int):
        return self.attempt_dir(stage_id, attempt_no)


@dataclass
class _Attempt:
    order: dict
    ends_at: float
    outcome: Outcome
    is_asked: bool = False


class SimulatedExecutor:
    """The verbs of an executor, with fates that the world's random numbers choose."""

    def __init__(self, world) -> None:
        self._world = world
        self._clock: Clock = world.clock
        self._random: random.Random = world.random
        self._running: dict[str, _Attempt] = {}

    def submit(self, order) -> None:
        self._world.note_handover(order)
        state, seconds = self._fate(order)
        ends_at = NEVER if state is AttemptState.STALLED else self._clock.now + seconds
        outcome = Outcome(order["attempt_id"], state, seconds=seconds, **self._content(order, state))
        self._running[order["attempt_id"]] = _Attempt(dict(order), ends_at, outcome)

    def _fate(self, order) -> tuple[AttemptState, float]:
        planted = self._world.planted.get(order["stage_id"])
        seconds = self._random.choice((0.0, 0.2, 3.0, 40.0))
        if planted is not None:
            return planted, seconds
        left = self._world.left.setdefault(order["stage_id"], dict(TRANSIENT))
        possible = [state for state, number in left.items() if number]
        if self._world.is_calm or not possible or self._random.random() > self._world.unrest:
            return AttemptState.SUCCEEDED, seconds
        state = self._random.choice(possible)
        left[state] -= 1
        return state, seconds

    def _content(self, order, state: AttemptState) -> dict:
        if state is AttemptState.SUCCEEDED:
            benchmark = order["spec"].get("benchmark")
            score = {"benchmark": benchmark, "score": score_of(order["stage_id"]), "num_items": 10}
            return {"result": score if benchmark else {"loss": 1.0}}
        return {"failure": {"kind": str(state), "message": "simulated", "hash": order["stage_id"], "traceback": ""}}

    def poll(self, timeout_s: float) -> list[Outcome]:
        until = self._clock.now + timeout_s
        first = min((each.ends_at for each in self._running.values()), default=NEVER)
        self._clock.sleep(min(max(first, self._clock.now), until) - self._clock.now)
        return [self._end(attempt_id) for attempt_id, each in list(self._running.items()) if each.ends_at <= self._clock.now]

    def _end(self, attempt_id: str) -> Outcome:
        attempt = self._running.pop(attempt_id)
        return self._written(attempt)

    def _written(self, attempt: _Attempt) -> Outcome:
        """Write what a worker leaves: a record, unless it died; a later checkpoint, unless it succeeded."""
        stage_id, outcome = attempt.order["stage_id"], attempt.outcome
        if outcome.state is not AttemptState.SUCCEEDED:
            self._world.disk.steps[stage_id] = self._world.disk.steps.get(stage_id, 0) + 1
        if outcome.state is not AttemptState.LOST:
            self._world.disk.results[attempt.order["attempt_dir"]] = outcome
        return outcome

    def progress(self):
        return {attempt_id: {"step": int(self._clock.now - each.ends_at) if each.ends_at < NEVER else 0, "steps": 100}
                for attempt_id, each in self._running.items()}

    def waiting(self):
        return frozenset()

    def cancel(self, attempt_id: str, *, kill: bool = False) -> None:
        attempt = self._running.get(attempt_id)
        if attempt is None:
            return
        if kill:
            lost = Outcome(attempt_id, AttemptState.LOST, failure={"kind": "LOST", "message": "killed", "hash": "", "traceback": ""})
            attempt.outcome, attempt.ends_at = lost, self._clock.now
        elif not attempt.is_asked and attempt.ends_at > self._clock.now and attempt.ends_at < NEVER:
            saved = replace(attempt.outcome, state=AttemptState.PREEMPTED, result=None,
                            failure={"kind": "PREEMPTED", "message": "asked to stop", "hash": "", "traceback": ""})
            attempt.outcome, attempt.ends_at, attempt.is_asked = saved, self._clock.now + self._random.choice((0.0, 1.0, 60.0)), True

    def close(self) -> None:
        self.die()

    def die(self) -> None:
        """End with the driver: of each worker, what it left depends on how far it had come."""
        for attempt in self._running.values():
            is_finished = attempt.ends_at <= self._clock.now or (attempt.ends_at < NEVER and self._random.random() < 0.4)
            if is_finished:
                self._written(attempt)
            else:
                stage_id = attempt.order["stage_id"]
                self._world.disk.steps[stage_id] = self._world.disk.steps.get(stage_id, 0) + 1
        self._running.clear()
