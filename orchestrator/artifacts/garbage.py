"""What may be removed from the artifacts: whatever the ledger does not point to, and no attempt may still need.

- Kept: what accepted attempts made, checkpoints of stages that may go on, logs and records of all known attempts.
- Garbage: what attempts made that were not accepted, checkpoints of finished stages, stages that the ledger never knew.
- Nothing younger than a grace period is touched: it may belong to what began after the ledger was read.
"""

from __future__ import annotations

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
    """A file below the artifacts' root, here or in the store."""

    name: str
    """Relative to the root."""
    num_bytes: int
    age_s: float


@dataclass(frozen=True, slots=True)
class Garbage:
    """A folder that nothing needs."""

    folder: str
    """Relative to the root."""
    reason: str
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StageFiles:
    """What decides which files of a stage are needed."""

    state: str
    artifact: str | None
    """Name of what the accepted attempt made."""
    attempts: dict[int, str]
    """Number -> state."""


def garbage(files: Iterable[StoredFile], known: Mapping[str, StageFiles], *, grace_s: float) -> list[Garbage]:
    """Return the folders that may go, sorted; pure.

    Args:
        files: all files of the store.
        known: the ledger's stages by id, read before the files were listed.
        grace_s: folders with a file younger than this stay.
    """
    found: dict[tuple[str, str], int] = {}
    young: set[str] = set()
    for file in files:
        judged = _judge(file.name, known)
        if judged is None:
            continue
        found[judged] = found.get(judged, 0) + file.num_bytes
        if file.age_s < grace_s:
            young.add(judged[0])
    return [Garbage(folder, reason, size) for (folder, reason), size in sorted(found.items()) if folder not in young]


def _judge(name: str, known: Mapping[str, StageFiles]) -> tuple[str, str] | None:
    """Return the folder that a file would go with, and why; None if it stays."""
    match = _STAGE.match(name)
    if match is None:
        return None
    stage_id, is_checkpoint, attempt_no, is_out = match.groups()
    stage = known.get(stage_id)
    if stage is None:
        return name[: match.end(1)], "the ledger does not know the stage"
    if is_checkpoint and stage.state == StageState.SUCCEEDED:
        return name[: match.end(2)], "the stage is finished"
    if is_out and _is_left_over(name[: match.end(4)], int(attempt_no), stage):
        return name[: match.end(4)], "the attempt was not accepted"
    return None


def _is_left_over(folder: str, attempt_no: int, stage: StageFiles) -> bool:
    return folder != stage.artifact and stage.attempts.get(attempt_no) not in LIVE_ATTEMPTS


def files_here(root: Path) -> Iterator[StoredFile]:
    """Yield the files of the folder on this machine."""
    now = time.time()
    for path in root.glob("stages/**/*"):
        if path.is_file():
            status = path.stat()
            yield StoredFile(path.relative_to(root).as_posix(), status.st_size, now - status.st_mtime)


def files_stored(artifacts: Artifacts) -> Iterator[StoredFile]:
    """Yield the files of the object store, none where there is none."""
    now = time.time()
    for name in artifacts.store.names("stages") if artifacts.store else ():
        assert artifacts.store is not None
        yield StoredFile(name, artifacts.store.size(name), artifacts.store.age_s(name, now))


def remove_here(artifacts: Artifacts, found: Iterable[Garbage]) -> None:
    """Remove folders on this machine."""
    for each in found:
        shutil.rmtree(artifacts.root / each.folder)


def remove_stored(artifacts: Artifacts, found: Iterable[Garbage]) -> None:
    """Remove folders of the object store, manifests first."""
    for each in found:
        assert artifacts.store is not None
        artifacts.store.remove(each.folder)
