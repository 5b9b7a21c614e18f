"""Execute the short stages of a rehearsal on an executor, and forget what they made. Nothing here knows a ledger.

Everything lies in a folder of its own below the artifacts, which the workers see, and is removed at the end. A rehearsal
of a stage that is as short as the real one must not be mistaken for it.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.artifacts.object_store import ObjectStore
from orchestrator.artifacts.store import PROGRESS, Artifacts
from orchestrator.execution.attempt import Order
from orchestrator.execution.executor import Executor
from orchestrator.plan.rehearsal import NOT_TRIED, Rehearsal, Rehearsed
from orchestrator.scheduler.views import Outcome
from orchestrator.settings import Settings
from orchestrator.states import AttemptState

FOLDER = "rehearsals"
"""Below the root of the artifacts."""
POLL_S = 0.5


def rehearse(
    rehearsals: Sequence[Rehearsal],
    starts: Mapping[str, Path],
    settings: Settings,
    executor: Executor,
    tell: Callable[[Rehearsed], None] = lambda _: None,
) -> list[Rehearsed]:
    """Execute rehearsals, several at a time, each after the one that it begins with.

    Args:
        rehearsals: parents before children.
        starts: id of an import -> the folder of its checkpoint; those that are missing are left out.
        settings: of the operator.
        executor: executes them; it is not closed.
        tell: told of each as it ends.

    Returns:
        What each showed, in their order. One that cannot begin is not tried.
    """
    stage = _Rehearsing(settings, executor, dict(starts))
    try:
        return stage.run(rehearsals, tell)
    finally:
        stage.remove()


class _Rehearsing:
    """The orders of one rehearsal, in a folder of their own."""

    def __init__(self, settings: Settings, executor: Executor, made: dict[str, Path]) -> None:
        self._settings, self._executor, self._made = settings, executor, made
        place = f"{FOLDER}/{uuid.uuid4().hex[:12]}"
        store = f"{settings.artifact_store}/{place}" if settings.artifact_store else ""
        self._artifacts, self._store = (
            Artifacts(settings.artifacts / place, ObjectStore(store) if store else None),
            store,
        )
        self._out: dict[str, Rehearsal] = {}

    def run(self, rehearsals: Sequence[Rehearsal], tell: Callable[[Rehearsed], None]) -> list[Rehearsed]:
        ended: dict[str, Rehearsed] = {}
        waiting = list(rehearsals)

        def end(found: Rehearsed) -> None:
            ended[found.rehearsal.stage_id] = found
            tell(found)

        while waiting or self._out:
            for each in list(waiting):
                if each.parent_id is None or each.parent_id in self._made:
                    if self._has_room(each):
                        waiting.remove(each)
                        self._submit(each)
                elif each.parent_id not in {other.stage_id for other in (*waiting, *self._out.values())}:
                    waiting.remove(each)
                    end(
                        Rehearsed(
                            rehearsal=each, state=NOT_TRIED, problem="the checkpoint that it begins with is not there"
                        )
                    )
            for outcome in self._executor.poll(POLL_S) if self._out else ():
                end(self._heard(outcome))
        return [ended[each.stage_id] for each in rehearsals]

    def remove(self) -> None:
        shutil.rmtree(self._artifacts.root, ignore_errors=True)
        if self._artifacts.store is not None:
            self._artifacts.store.remove(".")

    def _has_room(self, each: Rehearsal) -> bool:
        taken = sum(other.workers for other in self._out.values())
        return not self._out or taken + each.workers <= self._settings.slots

    def _submit(self, each: Rehearsal) -> None:
        self._out[each.stage_id] = each
        self._executor.submit(self._order(each))

    def _order(self, each: Rehearsal) -> Order:
        artifacts, settings = self._artifacts, self._settings
        key_file = str(settings.judge_key_file.absolute()) if settings.judge_key_file else None
        judge = {"url": settings.judge_url, "key_file": key_file, "cache": str(artifacts.root / "judge")}
        return {
            "attempt_id": each.stage_id,
            "attempt_no": 1,
            "stage_id": each.stage_id,
            "kind": each.kind,
            "label": each.label,
            "spec": each.spec,
            "workers": each.workers,
            "parent": str(self._made[each.parent_id]) if each.parent_id else None,
            "attempt_dir": str(artifacts.attempt_dir(each.stage_id, 1)),
            "out": str(artifacts.out_dir(each.stage_id, 1)),
            "checkpoints": str(artifacts.checkpoints_dir(each.stage_id)),
            "root": str(artifacts.root),
            "store": self._store,
            "failpoint": "",
            "judge": judge if settings.judge_url else None,
            "no_progress_s": settings.no_progress_s,
        }

    def _heard(self, outcome: Outcome) -> Rehearsed:
        each = self._out.pop(outcome.attempt_id)
        if outcome.state is not AttemptState.SUCCEEDED:
            message = str((outcome.failure or {}).get("message", ""))
            return Rehearsed(rehearsal=each, state=str(outcome.state), problem=message, seconds=outcome.seconds)
        self._made[each.stage_id] = self._artifacts.out_dir(each.stage_id, 1)
        folder = self._artifacts.fetch_record(each.stage_id, 1)
        reports = _reports(folder / PROGRESS)
        steps = [report for report in reports if "samples_per_s" in report]
        environment = (outcome.result or {}).get("environment") or {}
        return Rehearsed(
            rehearsal=each,
            state=str(outcome.state),
            seconds=outcome.seconds,
            device=environment.get("device", ""),
            samples_per_s=_last_rate(steps) if steps else _item_rate(reports),
            memory_gib=max((report["peak_memory_gib"] for report in steps), default=None),
        )


def _reports(file: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in file.read_text().splitlines()]


def _last_rate(steps: Sequence[Mapping[str, Any]]) -> float:
    """Return the samples a second of the last step alone: a report's rate is the mean of the steps so far."""
    seconds = [report["samples"] / report["samples_per_s"] for report in steps]
    if len(steps) == 1 or seconds[-1] <= seconds[-2]:
        return float(steps[-1]["samples_per_s"])
    return float((steps[-1]["samples"] - steps[-2]["samples"]) / (seconds[-1] - seconds[-2]))


def _item_rate(reports: Sequence[Mapping[str, Any]]) -> float | None:
    """Return the items a second of an evaluation from when its model was loaded; None if it did not say when."""
    marks = [(report["step"], report["at"]) for report in reports if "step" in report]
    if len(marks) < 2 or marks[-1][1] <= marks[0][1]:
        return None
    return float((marks[-1][0] - marks[0][0]) / (marks[-1][1] - marks[0][1]))
