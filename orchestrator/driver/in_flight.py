"""The attempts in flight: submit them to the executor, poll them, stop them, detect stalls, and recover orphans.

- The executor is created at the first submission, so a study whose stages are all done never starts Ray.
- An attempt stalls when its report stops changing. A report is a step counter, not a heartbeat of a thread: a hanging
  training step counts as a stall.
- Only this module knows why it killed an attempt, so it gives the outcome its state (stalled, preempted).
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any

from orchestrator.artifacts.store import LOG, Artifacts
from orchestrator.execution.attempt import Order
from orchestrator.execution.executor import Executor
from orchestrator.execution.record import lost, read_result
from orchestrator.scheduler.actions import Assign, Stop
from orchestrator.scheduler.views import AttemptView, Outcome
from orchestrator.settings import Settings
from orchestrator.states import AttemptState

MakeExecutor = Callable[[Settings], Executor]
WAITS_S = 20.0
"""Seconds without a machine before the driver mentions it: a new worker process takes a while to import its libraries.
"""
_POLL_S = 0.5


class InFlight:
    """The attempts that this driver submitted and whose end it has not received yet."""

    def __init__(self, settings: Settings, make: MakeExecutor, artifacts: Artifacts,
                 clock: Callable[[], float] = time.monotonic) -> None:
        """Start without attempts.

        Args:
            settings: of the operator.
            make: makes the executor.
            artifacts: the part of the store that is the ledger's.
            clock: seconds that never go back.
        """
        self._settings, self._make, self._clock = settings, make, clock
        self._executor: Executor | None = None
        self._orders: dict[str, Order] = {}
        self._heard: dict[str, tuple[float, Mapping[str, Any]]] = {}
        self._killed: dict[str, AttemptState] = {}
        self.stopping: dict[str, float] = {}
        """Attempts that were asked to stop, with the time of the request by the ledger's clock."""
        self._waits = (0, 0.0)
        self.artifacts = artifacts

    @property
    def is_busy(self) -> bool:
        """Whether any attempt is in flight."""
        return bool(self._orders)

    @property
    def known(self) -> frozenset[str]:
        """Ids of the attempts in flight."""
        return frozenset(self._orders)

    def submit(self, claim: Assign, stage: Mapping[str, Any]) -> None:
        """Send an order to the executor.

        Args:
            claim: the assignment, as it was decided and committed.
            stage: kind, label, spec as JSON text, workers, and the parent's artifact.
        """
        artifacts, stage_id = self.artifacts, claim.stage_id
        parent = stage["artifact"]
        order = {
            "attempt_id": claim.attempt_id, "attempt_no": claim.attempt_no, "stage_id": stage_id, "kind": stage["kind"],
            "label": stage["label"], "spec": json.loads(stage["spec"]), "workers": stage["workers"],
            "parent": str(artifacts.resolve(parent)) if parent else None,
            "attempt_dir": str(artifacts.attempt_dir(stage_id, claim.attempt_no)),
            "out": str(artifacts.out_dir(stage_id, claim.attempt_no)),
            "checkpoints": str(artifacts.checkpoints_dir(stage_id)), "root": str(artifacts.root),
            "store": artifacts.store.uri if artifacts.store else "", "failpoint": self._settings.failpoint,
            "judge": self._judge(), "no_progress_s": self._settings.no_progress_s,
        }
        if self._executor is None:
            self._executor = self._make(self._settings)
        self._orders[claim.attempt_id] = order
        self._heard[claim.attempt_id] = (self._clock(), {})
        self._executor.submit(order)

    def call(self, function: Callable[..., Any], *arguments: Any) -> Future[Any]:
        """Call a function in a worker process, which may import torch."""
        if self._executor is None:
            self._executor = self._make(self._settings)
        return self._executor.call(function, *arguments)

    def _judge(self) -> dict[str, str | None] | None:
        """Return where the judge's endpoint is. Its key stays in its file."""
        settings = self._settings
        if not settings.judge_url:
            return None
        key_file = str(settings.judge_key_file.absolute()) if settings.judge_key_file else None
        return {"url": settings.judge_url, "key_file": key_file, "cache": str(settings.home.absolute() / "judge")}

    def poll(self, timeout_s: float) -> list[Outcome]:
        """Wait at most `timeout_s` for an attempt to end.

        Return the outcomes, with the right state for killed attempts.
        """
        if self._executor is None:
            return []
        outcomes = [self._named(outcome) for outcome in self._executor.poll(timeout_s)]
        for outcome in outcomes:
            self._orders.pop(outcome.attempt_id, None)
            self._heard.pop(outcome.attempt_id, None)
            self._killed.pop(outcome.attempt_id, None)
            self.stopping.pop(outcome.attempt_id, None)
        now = self._clock()
        for attempt_id, report in self._executor.progress().items():
            if attempt_id in self._heard and report != self._heard[attempt_id][1]:
                self._heard[attempt_id] = (now, report)
        waiting = self._executor.waiting()
        for attempt_id in waiting & self._heard.keys():
            self._heard[attempt_id] = (now, {})  # an attempt that waits for a machine is not stalled
        self._waits = (len(waiting), self._waits[1] if self._waits[0] and waiting else now)
        return outcomes

    def progress(self) -> dict[str, dict[str, Any]]:
        """Return the last report of each attempt that has reported."""
        return {attempt_id: dict(report) for attempt_id, (_, report) in self._heard.items() if report}

    def stalled(self) -> frozenset[str]:
        """Return the attempts whose report has not changed for `no_progress_s`."""
        oldest = self._clock() - self._settings.no_progress_s
        return frozenset(attempt_id for attempt_id, (at, _) in self._heard.items()
                         if at < oldest and attempt_id not in self._killed)

    def stop(self, action: Stop, now: float) -> None:
        """Ask an attempt to save and end, or kill it."""
        if self._executor is None or action.attempt_id not in self._orders:
            return
        if action.is_kill:
            if action.attempt_id not in self._killed:
                self._killed[action.attempt_id] = action.target
                self._executor.cancel(action.attempt_id, kill=True)
        else:
            self.stopping[action.attempt_id] = now
            self._executor.cancel(action.attempt_id)

    def save_all(self) -> list[Outcome]:
        """Ask all attempts to save and end, wait at most the grace period for them, and return the outcomes."""
        for attempt_id in self.known:
            self.stop(Stop(attempt_id, AttemptState.PREEMPTED), 0.0)
        deadline, outcomes = self._clock() + self._settings.stop_grace_s, list[Outcome]()
        while self.is_busy and self._clock() < deadline:
            outcomes += self.poll(_POLL_S)
        return outcomes

    def waiting_note(self) -> str:
        """Return a note if some orders have waited for a slot for a while, else ""."""
        number, since = self._waits
        if number == 0 or self._clock() - since < WAITS_S:
            return ""
        return (
            f"{number} attempt{'s wait' if number > 1 else ' waits'} for a slot: no machine has room, "
            "or its processes are starting"
        )

    def blocking_reason(self) -> str:
        """Return why no stage may start now, else "". A stage that starts on a full disk would lose its work."""
        root = self.artifacts.root
        while not root.exists():
            root = root.parent
        free_gib = shutil.disk_usage(root).free / 2**30
        if free_gib >= self._settings.min_free_gib:
            return ""
        return (f"only {free_gib:.1f} GiB are free at {root}; "
                f"no stage starts below {self._settings.min_free_gib:g} GiB "
                "(ABLATE_MIN_FREE_GIB)")

    def recover_orphans(self, attempts: Iterable[AttemptView]) -> list[Outcome]:
        """Return an outcome for each attempt that is live in the ledger but not in flight.

        Its result on disk, or LOST.
        """
        found = []
        for each in attempts:
            folder = self.artifacts.fetch_record(each.stage_id, each.attempt_no)
            outcome = read_result(folder, each.attempt_id, each.attempt_no)
            outcome = outcome or lost(each.attempt_id, "the driver that started it is gone", folder, is_charged=False)
            found.append(self._with_step(outcome, each.stage_id))
        return found

    def close(self) -> None:
        """Stop everything that still runs."""
        if self._executor is not None:
            self._executor.close()
            self._executor = None
        self._orders.clear()

    def _named(self, outcome: Outcome) -> Outcome:
        target = self._killed.get(outcome.attempt_id)
        if target is not None and outcome.state is AttemptState.LOST:
            message = (
                f"no step for {self._settings.no_progress_s:g} s"
                if target is AttemptState.STALLED
                else "ended by force"
            )
            log = Path(self._orders[outcome.attempt_id]["attempt_dir"], LOG)
            failure = {
                **(outcome.failure or {}),
                "kind": str(target),
                "message": f"{message}; log with all stacks: {log}",
            }
            outcome = replace(outcome, state=target, failure=failure)
        return self._with_step(outcome, self._orders[outcome.attempt_id]["stage_id"])

    def _with_step(self, outcome: Outcome, stage_id: str) -> Outcome:
        if outcome.state is AttemptState.SUCCEEDED:
            return outcome
        return replace(outcome, checkpoint_step=self.artifacts.newest_checkpoint(stage_id))
