"""All paths of the artifacts: checkpoints, results, logs.

- A stage has one folder, named by its identity, and each attempt has a folder below it. So two attempts never write the
  same file, and the output of a late attempt stays on disk without being accepted.
- The output of a stage is the `out` folder of the attempt that the ledger accepted: the ledger points to it, and its
  manifest proves that it is complete.
- The ledger stores artifact names relative to the root, so that the folder may move. `packaged:NAME` is a checkpoint
  inside the package `model`.
- With an object store the root is a cache of it: workers upload through `mirror`, readers download what is missing.
"""

from __future__ import annotations

import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import model
from model.manifest import MANIFEST
from orchestrator.errors import NoResources, StudyError

if TYPE_CHECKING:  # importing fsspec takes a tenth of a second, which `ablate plan` and `ablate results` do not need
    from orchestrator.artifacts.object_store import ObjectStore

PACKAGED = "packaged:"
_NAME = re.compile(r"[\w-][\w.-]*")
OPERATOR = "operator:"
RECORDS = "records/"
"""Folder of the records of results that were imported; what they name has scores and no weights."""
RESULT = "result.json"
PROGRESS = "progress.jsonl"
SYSTEM = "system.jsonl"
LOG = "log.txt"
log = logging.getLogger(__name__)


class Artifacts:
    """The artifacts below one root folder."""

    def __init__(self, root: Path, store: ObjectStore | None = None) -> None:
        """Create nothing on the disk.

        Args:
            root: the folder of the artifacts, which need not exist yet.
            store: the object store that the folder is a cache of; None without an object store.
        """
        self.root, self.store = Path(root).absolute(), store

    @property
    def where(self) -> str:
        """The folder, or the URI of the object store: for messages."""
        return self.store.uri if self.store else str(self.root)

    def part(self, name: str) -> Artifacts:
        """Return the artifacts below a folder of these."""
        return Artifacts(self.root / name, self.store.part(name) if self.store else None)

    def stage_ids(self) -> Iterator[str]:
        """Yield the ids of the stages that have files here."""
        if self.store is not None:
            yield from {name.split("/")[2] for name in self.store.names("stages") if name.count("/") > 2}
        else:
            yield from (path.name for path in self.root.glob("stages/*/*"))

    def read_text(self, name: str) -> str | None:
        """Return the text of a small file at the root of the store; None if it is not there."""
        if self.store is not None:
            return self.store.read_text(name)
        with suppress(FileNotFoundError, NotADirectoryError):
            return (self.root / name).read_text(encoding="utf-8")
        return None

    def write_new(self, name: str, text: str) -> None:
        """Write a small file at the root of the store, unless it is there: an existing one stays."""
        if self.store is not None:
            self.store.write_new(name, text)
            return
        self.root.mkdir(parents=True, exist_ok=True)
        temporary = self.root / f".{name}.tmp-{uuid.uuid4().hex}"
        temporary.write_text(text, encoding="utf-8")
        with suppress(FileExistsError):  # a link, unlike a rename, does not replace what another process wrote
            os.link(temporary, self.root / name)
        temporary.unlink()

    def stage_dir(self, stage_id: str) -> Path:
        """Return the folder of a stage."""
        return self.root / "stages" / stage_id[:2] / stage_id

    def checkpoints_dir(self, stage_id: str) -> Path:
        """Return the folder of checkpoints to resume from, which all attempts of the stage share."""
        return self.stage_dir(stage_id) / "checkpoints"

    def attempt_dir(self, stage_id: str, attempt_no: int) -> Path:
        """Return the folder of an attempt: log, progress, result record and, in `out`, its output."""
        return self.stage_dir(stage_id) / "attempts" / f"{attempt_no:04d}"

    def out_dir(self, stage_id: str, attempt_no: int) -> Path:
        """Return the folder that an attempt publishes with a manifest."""
        return self.attempt_dir(stage_id, attempt_no) / "out"

    def name(self, path: Path) -> str:
        """Return the name of a path in the ledger: the path relative to the root."""
        return str(path.relative_to(self.root))

    def resolve(self, name: str) -> Path:
        """Return the folder of a name in the ledger, whether it exists on this machine or not."""
        return packaged(name) if name.startswith(PACKAGED) else self.root / name

    def resolve_import(self, spec: Mapping[str, Any]) -> Path:
        """Return the folder of an imported checkpoint; see `resolve_import` of this module."""
        return resolve_import(spec)

    def fetched(self, name: str) -> Path:
        """Return the folder of a name in the ledger; download it if this machine lacks it.

        Raises:
            CorruptDirectory: the store has no valid directory of this name either.
        """
        path = self.resolve(name)
        if self.store is not None and not name.startswith(PACKAGED) and not (path / MANIFEST).is_file():
            self.store.get(name, path)
        return path

    def fetch_record(self, stage_id: str, attempt_no: int) -> Path:
        """Return the folder of an attempt; download its log, progress, metrics and record if they are missing."""
        folder = self.attempt_dir(stage_id, attempt_no)
        if self.store is not None and not (folder / RESULT).is_file():
            for file in (LOG, PROGRESS, SYSTEM, RESULT):
                self.store.get_file(self.name(folder / file), folder / file)
        return folder

    def drop_checkpoints(self, stage_id: str) -> None:
        """Remove the checkpoints to resume from, once the stage is finished; on this machine and in the store."""
        folder = self.checkpoints_dir(stage_id)
        shutil.rmtree(folder, ignore_errors=True)
        if self.store is not None:
            try:
                self.store.remove(self.name(folder))
            except NoResources as error:  # the driver continues; `ablate gc` removes the rest later
                log.warning("checkpoints of stage %s stay in the store: %s", stage_id[:12], error)

    def newest_checkpoint(self, stage_id: str) -> int:
        """Return the step of the newest published checkpoint to resume from, 0 if there is none."""
        folder = self.checkpoints_dir(stage_id)
        names = [path.name for path in folder.glob("step_*")]
        if self.store is not None:
            try:
                names += self.store.published(self.name(folder))
            except NoResources as error:  # a missed checkpoint counts as no progress: at worst a crash loop ends sooner
                log.warning("cannot list the checkpoints in the store: %s", error)
        steps = (name.removeprefix("step_").split("-")[0] for name in names)
        return max((int(step) for step in steps if step.isdigit()), default=0)


def is_record(name: str) -> bool:
    """Say whether a name in the ledger is that of a record of results, without checkpoint and answers."""
    return name.startswith(RECORDS)


def packaged(name: str) -> Path:
    """Return the folder of a checkpoint inside the package `model`.

    Args:
        name: `packaged:NAME`.

    Raises:
        StudyError: there is no checkpoint of that name.
    """
    folder = Path(model.__file__).parent / "checkpoints"
    path = folder / name.removeprefix(PACKAGED)
    if _NAME.fullmatch(name.removeprefix(PACKAGED)) is None or not path.is_dir():
        known = ", ".join(sorted(PACKAGED + each.name for each in folder.glob("*/"))) or "none"
        raise StudyError(name, 0, f"no packaged checkpoint of that name; allowed: {known}")
    return path


def start_folder(start: str, checkpoints: Path | None) -> Path | None:
    """Return the folder of a start checkpoint; None if it is missing in the operator's folder.

    Args:
        start: `packaged:NAME` or `operator:NAME`, as in a scale.
        checkpoints: the operator's folder of published checkpoints; None if there is none.

    Raises:
        StudyError: there is no packaged checkpoint of that name, or the name is a path.
    """
    if start.startswith(PACKAGED):
        return packaged(start)
    name = start.removeprefix(OPERATOR)
    if _NAME.fullmatch(name) is None:
        raise StudyError(start, 0, f"{name!r} is no name of a checkpoint; allowed: letters, digits, `.`, `_`, `-`, not at first a `.`")
    folder = checkpoints / start.removeprefix(OPERATOR) if checkpoints else None
    return folder if folder is not None and folder.is_dir() else None


def resolve_import(spec: Mapping[str, Any]) -> Path:
    """Return the folder of the checkpoint in the spec of an import stage: `packaged:NAME`, or a path."""
    path = str(spec["path"])
    return packaged(path) if path.startswith(PACKAGED) else Path(path).absolute()
