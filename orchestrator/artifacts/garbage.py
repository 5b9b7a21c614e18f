"""Find and remove garbage: artifacts that the ledger does not point to and that no attempt can still need.

- Kept are the outputs of accepted attempts, the checkpoints of stages that may continue, and the logs and records of
  all attempts in the ledger.
- Garbage are the outputs of attempts that were not accepted, the checkpoints of finished stages, and the folders of
  stages that are not in the ledger.
- Files younger than a grace period are never removed: they may belong to a stage that began after the ledger was read.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from orchestrator.artifacts.store import Artifacts
from orchestrator.states import LIVE_ATTEMPTS, StageState

_STAGE = re.compile(r"stages/[0-9a-f]{2}/([0-9a-f]{64})/(?:(checkpoints)/|attempts/(\d+)/(out)/)?")


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of the artifacts, on this machine or in the object store."""

    name: str
    """The path relative to the root."""
    num_bytes: int
    age_s: float
    """The seconds since it was written."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """A folder that can be removed."""

    folder: str
    """The path relative to the root."""
    stage_id: str
    reason: str
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFiles:
    """The parts of a stage's row in the ledger that decide which of its files are needed."""

    state: str
    artifact: str | None
    """The folder that the accepted attempt published, relative to the root; None if there is none."""
    attempts: dict[int, str]
    """Attempt number -> state of the attempt."""
    studies: tuple[str, ...] = ()
    """The names of the studies that need the stage, sorted."""


def garbage(files: Iterable[StoredFile], known: Mapping[str, StageFiles], *, grace_s: float) -> list[Garbage]:
    """Return the folders that can be removed, sorted. Pure.

    Args:
        files: all files of the artifacts.
        known: the ledger's stages by id. They must be read before the files are listed: a stage that is submitted in
            between is then protected by the grace period.
        grace_s: folders with a file younger than this many seconds are kept.
    """
    sizes: dict[tuple[str, str, str], int] = {}
    young: set[str] = set()
    for file in files:
        judged = _judge(file.name, known)
        if judged is None:
            continue
        sizes[judged] = sizes.get(judged, 0) + file.num_bytes
        if file.age_s < grace_s:
            young.add(judged[0])
    return [Garbage(*judged, size) for judged, size in sorted(sizes.items()) if judged[0] not in young]


def _judge(name: str, known: Mapping[str, StageFiles]) -> tuple[str, str, str] | None:
    """Return the folder to remove with this file, its stage and the reason; None if the file is needed."""
    match = _STAGE.match(name)
    if match is None:
        return None
    stage_id, is_checkpoint, attempt_no, is_out = match.groups()
    stage = known.get(stage_id)
    if stage is None:
        return name[: match.end(1)], stage_id, "the ledger does not know the stage"
    if is_checkpoint and stage.state == StageState.SUCCEEDED:
        return name[: match.end(2)], stage_id, "the stage is finished"
    if is_out and _is_left_over(name[: match.end(4)], int(attempt_no), stage):
        return name[: match.end(4)], stage_id, "the attempt was not accepted"
    return None


def _is_left_over(folder: str, attempt_no: int, stage: StageFiles) -> bool:
    return folder != stage.artifact and stage.attempts.get(attempt_no) not in LIVE_ATTEMPTS


def files_here(root: Path) -> Iterator[StoredFile]:
    """Yield the artifact files on this machine; what goes away meanwhile is left out."""
    now = time.time()
    for folder, _, names in os.walk(root / "stages", onerror=_unless_gone):
        for name in names:
            path = Path(folder, name)
            try:
                status = path.stat()
            except FileNotFoundError:  # a study that runs replaces checkpoints and renames what it has written
                continue
            yield StoredFile(path.relative_to(root).as_posix(), status.st_size, now - status.st_mtime)


def files_stored(artifacts: Artifacts) -> Iterator[StoredFile]:
    """Yield the artifact files in the object store; none if there is no object store."""
    now = time.time()
    for name, num_bytes, written in artifacts.store.files("stages") if artifacts.store else ():
        yield StoredFile(name, num_bytes, 0.0 if written is None else now - written)


def remove_here(artifacts: Artifacts, found: Iterable[Garbage]) -> None:
    """Remove garbage folders from this machine; one that is gone already is fine."""
    for each in found:
        shutil.rmtree(artifacts.root / each.folder, onerror=lambda _function, _path, trace: _unless_gone(trace[1]))


def remove_stored(artifacts: Artifacts, found: Iterable[Garbage]) -> None:
    """Remove garbage folders from the object store, manifests first, so that a half-removed one is not valid."""
    for each in found:
        assert artifacts.store is not None
        artifacts.store.remove(each.folder)


def _unless_gone(error: BaseException) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error
