"""One attempt of one stage, around whatever executes it: identity, parent, log, progress, result. Torch-free.

- The order is plain JSON. Its spec is hashed again: a worker refuses to run something else under a stage's name.
- `result.json` is written with the fencing token (attempt id and number) before anything is returned, for failures too:
  the driver may be gone by then, and the next one harvests it.
- An attempt that stops reporting has all its stacks written to its log before the driver ends it: by a thread of C, which
  needs no interpreter that still turns.
- What the stage made is published below the attempt's own folder, so that two attempts never write the same file.
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
from orchestrator.states import AttemptState

Order = Mapping[str, Any]
"""attempt_id, attempt_no, stage_id, kind, label, spec, parent, attempt_dir, out, checkpoints, root and store (of the
artifacts), judge, failpoint, no_progress_s: plain values."""
Report = Callable[[dict[str, Any]], None]
ShouldStop = Callable[[], bool]
_STACKS_AT = 0.9
"""Part of `no_progress_s` after which the stacks are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StageJob:
    """What a stage function is given."""

    kind: str
    spec: Mapping[str, Any]
    parent: Path | None
    """Verified folder of the parent's checkpoint."""
    out: Path
    """To be published with a manifest."""
    checkpoints: Path
    """Folder to resume from; shared with earlier attempts."""
    report: Report
    should_stop: ShouldStop
    judge: Mapping[str, str | None] | None = None
    """Where a judge is reached (url, key_file, cache); none is named by a study."""


StageFunction = Callable[[StageJob], dict[str, Any]]


@dataclass(slots=True)
class _Journal:
    """Appends reports to the attempt's progress file and passes them on."""

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
    """Execute an order and return its record, which also lies in `result.json`.

    Args:
        order: what to do, and where.
        stages: the function for each kind of stage.
        report: told now and then how far the work is.
        should_stop: asked by the work at its step boundaries.
        identify: names a spec; the result must be the order's stage_id.
    """
    arm(str(order.get("failpoint", "")))
    folder = Path(order["attempt_dir"])
    folder.mkdir(parents=True, exist_ok=True)
    began, mirror = time.monotonic(), mirror_of(str(order.get("root", "")), str(order.get("store", "")))
    with ((folder / PROGRESS).open("a", buffering=1) as file, redirect_output(folder / LOG) as log, sample_system_metrics(folder / SYSTEM),
          dump_stacks_before_stall(log, float(order.get("no_progress_s", 0.0))) as watch):
        journal = _Journal(file, report, watch)
        journal({"started": True})
        failpoint("attempt.started")
        result, failure = run_catching(lambda: _execute(order, stages, journal, should_stop, identify, mirror))
    record = {
        "attempt_id": order["attempt_id"], "attempt_no": order["attempt_no"], "stage_id": order["stage_id"],
        "state": failure["kind"] if failure else str(AttemptState.SUCCEEDED), "result": result, "failure": failure,
        "seconds": time.monotonic() - began, "bytes": 0 if failure else published_bytes(Path(order["out"])), "notes": journal.notes,
        "host": platform.node(), "pid": os.getpid(), "python": platform.python_version(), "peak_rss_mib": peak_rss_mib(),
    }
    failpoint("attempt.before_result")
    write_result(folder, record)
    mirror.send(folder, LOG, PROGRESS, SYSTEM, RESULT)
    failpoint("attempt.after_result")
    return record


def _execute(order: Order, stages: Mapping[str, StageFunction], report: Report, should_stop: ShouldStop,
             identify: Callable[[Mapping[str, Any]], str], mirror: SharedFolder | Mirror) -> dict[str, Any]:
    spec, kind = order["spec"], order["kind"]
    found = identify(spec)
    if found != order["stage_id"]:
        raise ValueError(f"the spec's identity is {found[:12]}…, the order says {order['stage_id'][:12]}…; driver and "
                         "worker run different releases\nhint: install the same version on every machine")
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
    """Return the size of what was published there, 0 where nothing was."""
    is_published = (folder / manifest.MANIFEST).exists()
    return sum(entry["size"] for entry in manifest.read(folder)["files"].values()) if is_published else 0


@contextlib.contextmanager
def dump_stacks_before_stall(log: TextIO, no_progress_s: float) -> Iterator[Callable[[], None]]:
    """Write all stacks to the log shortly before the attempt counts as stalled; yields what to call at each report."""
    if no_progress_s <= 0:
        yield lambda: None
        return
    try:
        yield lambda: faulthandler.dump_traceback_later(_STACKS_AT * no_progress_s, file=log)
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def redirect_output(path: Path) -> Iterator[TextIO]:
    """Send what the attempt logs and prints to its own file."""
    with path.open("a", buffering=1) as file:
        handler = logging.StreamHandler(file)
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
        root = logging.getLogger()
        root.addHandler(handler)
        try:
            with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
                yield file
        finally:
            root.removeHandler(handler)
