"""Write and read the result record of an attempt, `result.json`, and turn exceptions into failure records.

- Only this module maps an exception to a kind of failure. Secrets are removed from messages and tracebacks.
- A record is on the disk completely or not at all.
- This module does not import torch.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import resource
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from model import manifest
from orchestrator.artifacts.store import LOG, RESULT
from orchestrator.errors import Diverged, LostWorker, NoResources, Stopped, WorkerFailed
from orchestrator.scheduler.views import Outcome
from orchestrator.settings import redact
from orchestrator.states import LIVE_ATTEMPTS, AttemptState

_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def run_catching(work: Callable[[], dict[str, Any]]) -> tuple[dict[str, Any] | None, dict[str, Any] | None]:
    """Call a function and return its result, or the failure record of the exception that it raised."""
    try:
        return work(), None
    except Exception as error:  # noqa: BLE001 - the worker's border: whatever a stage raises becomes a record
        return None, failure_of(error)


def failure_of(error: BaseException) -> dict[str, Any]:
    """Turn an exception into a failure record: kind, message, redacted traceback, and a hash equal for equal errors."""
    if isinstance(error, WorkerFailed):
        return error.failure
    frames = [f"{frame.name} {Path(frame.filename).name}:{frame.lineno}"
              for frame in traceback.extract_tb(error.__traceback__)]
    name = f"{type(error).__module__}.{type(error).__qualname__}"
    text = "".join(traceback.format_exception(error))
    return {
        "kind": str(kind_of(error)), "type": name, "message": redact(_message_of(error, name)),
        "traceback": redact(text), "hash": hashlib.sha256("\n".join([name, *frames]).encode()).hexdigest()[:16],
        **({"record": error.record} if isinstance(error, Diverged) else {}),
        **({"is_certain": True} if isinstance(error, NoResources) and error.is_certain else {}),
    }


def _message_of(error: BaseException, name: str) -> str:
    """Return the error's message, with a hint which setting helps if memory or disk ran out."""
    message = str(error) or name
    if isinstance(error, MemoryError):
        return (f"out of memory at a peak of {peak_rss_mib():.0f} MiB: {message}\n"
                "hint: fewer slots (ABLATE_SLOTS), or a smaller micro_batch (training) or batch (evaluate)")
    if isinstance(error, OSError) and error.errno in _NO_SPACE:
        return f"{message}\nhint: free some space, or point ABLATE_ARTIFACTS elsewhere"
    return message


def peak_rss_mib() -> float:
    """Return the peak resident memory of this process, in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def kind_of(error: BaseException) -> AttemptState:
    """Return the state in which an attempt ends that raised this exception."""
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


def write_result(folder: Path, record: Mapping[str, Any]) -> None:
    """Write the record of an attempt to `result.json` in its folder."""
    write_record(folder, RESULT, record)


def write_record(folder: Path, name: str, record: Mapping[str, Any]) -> None:
    """Write a JSON file atomically: it is there completely or not at all, and survives a power cut."""
    # The content must be on the disk before the rename; the rename itself is durable only after fsync of the folder.
    temporary = folder / f".{name}.{os.getpid()}"
    temporary.write_text(json.dumps(record, sort_keys=True))
    manifest.fsync(temporary)
    os.replace(temporary, folder / name)
    manifest.fsync(folder)


def outcome_of(record: Mapping[str, Any]) -> Outcome:
    """Return the outcome that a worker's record describes."""
    return Outcome(attempt_id=record["attempt_id"], state=AttemptState(record["state"]), result=record["result"],
                   failure=record["failure"], seconds=record["seconds"], bytes=record.get("bytes", 0),
                   notes=tuple(record.get("notes", ())))


def read_result(folder: Path, attempt_id: str, attempt_no: int) -> Outcome | None:
    """Return the outcome in an attempt's `result.json`; None if there is no valid one with this attempt's token."""
    try:
        record = json.loads((folder / RESULT).read_text())
        is_ours = record["attempt_id"] == attempt_id and record["attempt_no"] == attempt_no
        outcome = outcome_of(record)
    except (OSError, ValueError, KeyError, TypeError):  # missing or not a record, which is treated alike
        return None
    return outcome if is_ours and outcome.state not in LIVE_ATTEMPTS else None


def lost(attempt_id: str, reason: str, folder: Path, *, is_charged: bool = True) -> Outcome:
    """Return the outcome of an attempt whose worker died, with the end of its log."""
    failure = {"kind": str(AttemptState.LOST), "message": f"{reason}; log: {folder / LOG}", "hash": "",
               "traceback": redact(log_tail(folder))}
    return Outcome(attempt_id, AttemptState.LOST, failure=failure, is_charged=is_charged)


def log_tail(folder: Path, *, num_bytes: int = 4000) -> str:
    """Return the last `num_bytes` bytes of an attempt's log as text, "" if it has no log."""
    try:
        with (folder / LOG).open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - num_bytes))
            return file.read().decode(errors="replace")
    except OSError:
        return ""
