"""One attempt of one stage, around whatever executes it: identity, parent, log, progress, result. Torch-free.

- The order is plain JSON. Its spec is hashed again: a worker refuses to run something else under a stage's name.
- `result.json` is written with the fencing token (attempt id and number) before anything is returned, for failures too:
  the driver may be gone by then, and the next one harvests it.
- An exception becomes a kind of failure here and nowhere else, with a traceback from which secrets are cut.
- An attempt that stops reporting has all its stacks written to its log before the driver ends it: by a thread of C, which
  needs no interpreter that still turns.
- What the stage made is published below the attempt's own folder, so that two attempts never write the same file.
"""

from __future__ import annotations

import contextlib
import errno
import faulthandler
import hashlib
import json
import logging
import os
import platform
import resource
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

from model import manifest
from orchestrator.artifacts.mirror import Mirror, SharedFolder, mirror_of
from orchestrator.artifacts.store import LOG, PROGRESS, RESULT, SYSTEM
from orchestrator.errors import Diverged, LostWorker, NoResources, Stopped, WorkerFailed
from orchestrator.execution.system_metrics import sampled
from orchestrator.failpoints import arm, failpoint
from orchestrator.plan.identity import stage_identity
from orchestrator.scheduler.snapshot import Outcome
from orchestrator.settings import redact
from orchestrator.states import LIVE_ATTEMPTS, AttemptState

Order = Mapping[str, Any]
"""attempt_id, attempt_no, stage_id, kind, label, spec, parent, attempt_dir, out, checkpoints, root and store (of the
artifacts), judge, failpoint, no_progress_s: plain values."""
Report = Callable[[dict[str, Any]], None]
ShouldStop = Callable[[], bool]
_STACKS_AT = 0.9
"""Part of `no_progress_s` after which the stacks are written."""
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
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


StageFunction = Callable[[Work], dict[str, Any]]


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
    with ((folder / PROGRESS).open("a", buffering=1) as file, logged(folder / LOG) as log, sampled(folder / SYSTEM),
          watched(log, float(order.get("no_progress_s", 0.0))) as watch):
        journal = _Journal(file, report, watch)
        journal({"started": True})
        failpoint("attempt.started")
        result, failure = guarded(lambda: _execute(order, stages, journal, should_stop, identify, mirror))
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
    work = Work(kind=kind, spec=spec, parent=parent, out=out, checkpoints=Path(order["checkpoints"]), report=report,
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


def guarded(work: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Return the result of work, or the record of its failure."""
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001 - the worker's border: whatever a stage raises becomes a record
        return None, failure_of(error)


def failure_of(error: BaseException) -> dict[str, Any]:
    """Turn an exception into a record: kind, message, redacted traceback, and a hash that equal errors share."""
    if isinstance(error, WorkerFailed):
        return error.failure
    frames = [f"{frame.name} {Path(frame.filename).name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    text = "".join(traceback.format_exception(error))
    return {
        "kind": str(kind_of(error)), "type": name, "message": redact(_message_of(error, name)), "traceback": redact(text),
        "hash": hashlib.sha256("\n".join([name, *frames]).encode()).hexdigest()[:16],
        **({"record": error.record} if isinstance(error, Diverged) else {}),
        **({"is_certain": True} if isinstance(error, NoResources) and error.is_certain else {}),
    }


def _message_of(error: BaseException, name: str) -> str:
    """Say what happened, and which knob helps where memory or disk ran out."""
    message = str(error) or name
    if isinstance(error, MemoryError):
        return (f"out of memory at a peak of {peak_rss_mib():.0f} MiB: {message}\n"
                "hint: fewer slots (ABLATE_SLOTS), or a smaller micro_batch (training) or batch (evaluate)")
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return f"{message}\nhint: free some space, or point ABLATE_ARTIFACTS elsewhere"
    return message


def peak_rss_mib() -> float:
    """Return the most memory that this process held, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def kind_of(error: BaseException) -> AttemptState:
    """Name the kind of failure that an exception is."""
    if isinstance(error, Stopped):
        return AttemptState.PREEMPTED
    if isinstance(error, Diverged):
        return AttemptState.DIVERGED
    if isinstance(error, LostWorker):
        return AttemptState.LOST
    is_full = isinstance(error, OSError) and error.errno in _NO_SPACE
    if is_full or isinstance(error, NoResources | MemoryError):
        return AttemptState.RESOURCE
    return AttemptState.USER_ERROR


# ---- the record on disk --------------------------------------------------------------------------------------------


def write_result(folder: Path, record: Mapping[str, Any]) -> None:
    """Write `result.json`."""
    write_record(folder, RESULT, record)


def write_record(folder: Path, name: str, record: Mapping[str, Any]) -> None:
    """Write a JSON file so that it is there whole or not at all, and survives a power cut."""
    temporary = folder / f".{name}.{os.getpid()}"
    temporary.write_text(json.dumps(record, sort_keys=True))
    manifest.fsync(temporary)
    os.replace(temporary, folder / name)
    manifest.fsync(folder)


def outcome_of(record: Mapping[str, Any]) -> Outcome:
    """Read a worker's record."""
    return Outcome(attempt_id=record["attempt_id"], state=AttemptState(record["state"]), result=record["result"],
                   failure=record["failure"], seconds=record["seconds"], bytes=record.get("bytes", 0), notes=tuple(record.get("notes", ())))


def harvest(folder: Path, attempt_id: str, attempt_no: int) -> Outcome | None:
    """Return what an attempt left behind, None if there is nothing with its token."""
    try:
        record = json.loads((folder / RESULT).read_text())
        is_ours = record["attempt_id"] == attempt_id and record["attempt_no"] == attempt_no
        outcome = outcome_of(record)
    except (OSError, ValueError, KeyError, TypeError):  # absent, or not a record: as if it were not there
        return None
    return outcome if is_ours and outcome.state not in LIVE_ATTEMPTS else None


def lost(attempt_id: str, reason: str, folder: Path, *, is_charged: bool = True) -> Outcome:
    """Return the outcome of an attempt whose worker is gone, with the end of its log."""
    failure = {"kind": str(AttemptState.LOST), "message": f"{reason}; log: {folder / LOG}", "hash": "",
               "traceback": redact(log_tail(folder))}
    return Outcome(attempt_id, AttemptState.LOST, failure=failure, is_charged=is_charged)


def log_tail(folder: Path, *, num_bytes: int = 4000) -> str:
    """Return the end of an attempt's log, or nothing if it has none."""
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - num_bytes))
            return file.read().decode(errors="replace")
    except OSError:
        return ""


@contextlib.contextmanager
def watched(log: TextIO, no_progress_s: float) -> Iterator[Callable[[], None]]:
    """Write all stacks to the log shortly before the attempt counts as stalled; yields what to call at each report."""
    if no_progress_s <= 0:
        yield lambda: None
        return
    try:
        yield lambda: faulthandler.dump_traceback_later(_STACKS_AT * no_progress_s, file=log)
    finally:
        faulthandler.cancel_dump_traceback_later()


@contextlib.contextmanager
def logged(path: Path) -> Iterator[TextIO]:
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
