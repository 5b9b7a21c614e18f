"""Run one attempt of one stage: check its identity, fetch the parent, run the stage, write log, progress and result.

- An order is plain JSON. The worker hashes its spec again, and refuses to run anything else under the stage's id.
- `result.json` holds the fencing token (attempt id and number). It is written before the function returns, for failures
  too: if the driver is dead by then, the next driver reads the file.
- Shortly before the driver kills an attempt that no longer reports, all stacks are written to its log. A C thread does
  this, so it works even while the interpreter hangs.
- A stage publishes its output below the folder of the attempt, so that two attempts never write the same file.
- This module does not import torch.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import logging
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from model import manifest
from orchestrator.artifacts.mirror import Mirror, SharedFolder, mirror_of
from orchestrator.artifacts.store import LOG, PROGRESS, RESULT, SYSTEM
from orchestrator.execution.record import peak_rss_mib, run_catching, write_result
from orchestrator.execution.system_metrics import sample_system_metrics
from orchestrator.failpoints import arm, failpoint
from orchestrator.plan.identity import stage_identity
from orchestrator.settings import RedactingFormatter
from orchestrator.states import AttemptState

Order = Mapping[str, Any]
"""An order to execute, as plain values: attempt_id, attempt_no, stage_id, kind, label, spec, parent, attempt_dir, out,
checkpoints, root and store (of the artifacts), judge, failpoint, no_progress_s."""
Report = Callable[[dict[str, Any]], None]
ShouldStop = Callable[[], bool]
_STACKS_AT = 0.9
"""The fraction of `no_progress_s` after which the stacks are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageJob:
    """The arguments of a stage function."""

    kind: str
    spec: Mapping[str, Any]
    parent: Path | None
    """The folder of the parent's checkpoint, already verified; None for a stage without a parent."""
    out: Path
    """The folder that the stage publishes with a manifest."""
    checkpoints: Path
    """The folder of checkpoints to resume from; all attempts of the stage share it."""
    report: Report
    should_stop: ShouldStop
    judge: Mapping[str, str | None] | None = None
    """The access to the judge (url, key_file, cache), from the operator's settings; None without a judge."""


StageFunction = Callable[[StageJob], dict[str, Any]]


@dataclass(slots=True)
class _Journal:
    """Appends the reports of an attempt to its progress file and forwards them."""

    file: TextIO
    forward: Report
    watch: Callable[[], None]
    notes: list[str] = field(default_factory=list)

    def __call__(self, report: dict[str, Any]) -> None:
        self.watch()
        self.file.write(json.dumps({"at": time.time(), **report}) + "\n")
        if "corrupt" in report:
            self.notes.append(str(report["corrupt"]))
        else:
            self.forward(report)


def run_attempt(order: Order, stages: Mapping[str, StageFunction], *, report: Report = lambda _: None,
                should_stop: ShouldStop = lambda: False,
                identify: Callable[[Mapping[str, Any]], str] = stage_identity) -> dict[str, Any]:
    """Execute an order and return its result record, which is also written to `result.json`.

    Args:
        order: what to execute.
        stages: kind of stage -> the function that executes it.
        report: called with the progress of the stage from time to time.
        should_stop: called by the stage at its step boundaries; if true, the stage saves a checkpoint and stops.
        identify: computes the identity of a spec, which must equal the order's stage_id.
    """
    arm(str(order.get("failpoint", "")))
    folder = Path(order["attempt_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    began, mirror = time.monotonic(), mirror_of(str(order.get("root", "")), str(order.get("store", "")))
    with ((folder / PROGRESS).open("a", buffering=1) as file, redirect_output(folder / LOG) as log,
          sample_system_metrics(folder / SYSTEM),
          dump_stacks_before_stall(log, float(order.get("no_progress_s", 0.0))) as watch):
        journal = _Journal(file, report, watch)
        journal({"started": True})
        failpoint("attempt.started")
        result, failure = run_catching(lambda: _execute(order, stages, journal, should_stop, identify, mirror))
    record = {
        "attempt_id": order["attempt_id"], "attempt_no": order["attempt_no"], "stage_id": order["stage_id"],
        "state": failure["kind"] if failure else str(AttemptState.SUCCEEDED), "result": result, "failure": failure,
        "seconds": time.monotonic() - began, "bytes": 0 if failure else published_bytes(Path(order["out"])),
        "notes": journal.notes, "host": platform.node(), "pid": os.getpid(), "python": platform.python_version(),
        "peak_rss_mib": peak_rss_mib(),
    }
    failpoint("attempt.before_result")
    write_result(folder, record)
    mirror.send(folder, LOG, PROGRESS, SYSTEM, RESULT)  # the record last: where it is, the other files are too
    failpoint("attempt.after_result")
    return record


def _execute(order: Order, stages: Mapping[str, StageFunction], report: Report, should_stop: ShouldStop,
             identify: Callable[[Mapping[str, Any]], str], mirror: SharedFolder | Mirror) -> dict[str, Any]:
    spec, kind = order["spec"], order["kind"]
    stage_id = identify(spec)
    if stage_id != order["stage_id"]:
        raise ValueError(f"the spec's identity is {stage_id[:12]}…, the order says {order['stage_id'][:12]}…; "
                         "driver and worker run different releases\nhint: install the same version on every machine")
    parent = Path(order["parent"]) if order.get("parent") else None
    if parent is not None:
        mirror.fetch(parent)
    out = Path(order["out"])
    work = StageJob(kind=kind, spec=spec, parent=parent, out=out, checkpoints=Path(order["checkpoints"]), report=report,
                    should_stop=should_stop, judge=order.get("judge"))
    mirror.restore(work.checkpoints)
    with mirror.copying(work.checkpoints):
        result = stages[kind](work)
    mirror.publish(out)
    return result


def published_bytes(folder: Path) -> int:
    """Return the size in bytes of the directory published in this folder; 0 if none was."""
    is_published = (folder / manifest.MANIFEST).exists()
    return sum(entry["size"] for entry in manifest.read(folder)["files"].values()) if is_published else 0


@contextlib.contextmanager
def dump_stacks_before_stall(log: TextIO, no_progress_s: float) -> Iterator[Callable[[], None]]:
    """Write all stacks to the log shortly before the attempt counts as stalled.

    Yields a function to call at each report: it restarts the timer. With `no_progress_s` of 0 nothing is written.
    """
    if no_progress_s <= 0:
        yield lambda: None
        return
    try:
        yield lambda: faulthandler.dump_traceback_later(_STACKS_AT * no_progress_s, file=log)
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def redirect_output(path: Path) -> Iterator[TextIO]:
    """Append everything that the attempt logs or prints to a file, and yield the open file."""
    with path.open("a", buffering=1) as file:
        handler = logging.StreamHandler(file)
        handler.setFormatter(RedactingFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield file
        finally:
            root.removeHandler(handler)
