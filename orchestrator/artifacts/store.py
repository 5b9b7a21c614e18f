"""Every path of the artifact store in one place.

- A stage has one folder, named by its identity; each attempt has its own folder below it, so two attempts never write
  the same file, and a late one leaves what it made on disk without being accepted.
- What a stage made is the `out` folder of the attempt that the ledger accepted: the ledger points, the manifest proves.
- The ledger stores artifact names relative to the root, so a home may move; `packaged:NAME` lies inside `model`.
- With an object store the root is a cache of it: workers share through `mirror`, readers fetch what they lack.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import model
from model.manifest import MANIFEST
from orchestrator.errors import NoResources, StudyError

if TYPE_CHECKING:  # its packages take a tenth of a second, which plans and tables do not owe
    from orchestrator.artifacts.object_store import ObjectStore

PACKAGED = "packaged:"
OPERATOR = "operator:"
RESULT = "result.json"
PROGRESS = "progress.jsonl"
SYSTEM = "system.jsonl"
LOG = "log.txt"
log = logging.getLogger(__name__)


class Artifacts:
    """Paths below one root; creates nothing until asked."""

    def __init__(self, root: Path, store: ObjectStore | None = None) -> None:
        """Remember the root, which need not exist yet, and the object store that it is a cache of, if any."""
        self.root, self.store = Path(root).absolute(), store

    def stage_dir(self, stage_id: str) -> Path:
        """Return the folder of all that belongs to a stage."""
        return self.root / "stages" / stage_id[:2] / stage_id

    def checkpoints_dir(self, stage_id: str) -> Path:
        """Return the folder of resumable checkpoints, shared by all attempts of the stage."""
        return self.stage_dir(stage_id) / "checkpoints"

    def attempt_dir(self, stage_id: str, attempt_no: int) -> Path:
        """Return the folder of one execution: log, progress, result and, below `out`, what it made."""
        return self.stage_dir(stage_id) / "attempts" / f"{attempt_no:04d}"

    def out_dir(self, stage_id: str, attempt_no: int) -> Path:
        """Return the folder that the attempt publishes with a manifest."""
        return self.attempt_dir(stage_id, attempt_no) / "out"

    def name(self, path: Path) -> str:
        """Return the name under which the ledger keeps a path below the root."""
        return str(path.relative_to(self.root))

    def resolve(self, name: str) -> Path:
        """Return the folder that a name in the ledger stands for."""
        return packaged(name) if name.startswith(PACKAGED) else self.root / name

    def resolve_import(self, spec: Mapping[str, Any]) -> Path:
        """Return the folder of an imported checkpoint."""
        return resolve_import(spec)

    def fetched(self, name: str) -> Path:
        """Return the folder that a name in the ledger stands for, brought here if it is only in the store.

        Raises:
            CorruptDirectory: it is whole neither here nor there.
        """
        path = self.resolve(name)
        if self.store is not None and not name.startswith(PACKAGED) and not (path / MANIFEST).is_file():
            self.store.get(name, path)
        return path

    def fetch_record(self, stage_id: str, attempt_no: int) -> Path:
        """Return the folder of an attempt, with its log, progress and record brought here if they are only in the store."""
        folder = self.attempt_dir(stage_id, attempt_no)
        if self.store is not None and not (folder / RESULT).is_file():
            for file in (LOG, PROGRESS, SYSTEM, RESULT):
                self.store.get_file(self.name(folder / file), folder / file)
        return folder

    def drop_checkpoints(self, stage_id: str) -> None:
        """Remove the checkpoints to resume from: the stage is done."""
        folder = self.checkpoints_dir(stage_id)
        shutil.rmtree(folder, ignore_errors=True)
        if self.store is not None:
            try:
                self.store.remove(self.name(folder))
            except NoResources as error:  # the driver goes on; `ablate gc` takes what stayed
                log.warning("checkpoints of %s stay in the store: %s", stage_id[:12], error)

    def newest_checkpoint(self, stage_id: str) -> int:
        """Return the step of the newest published checkpoint to resume from, 0 if there is none."""
        folder = self.checkpoints_dir(stage_id)
        names = [path.name for path in folder.glob("step_*")]
        if self.store is not None:
            try:
                names += self.store.published(self.name(folder))
            except NoResources as error:  # it counts as no progress, which at worst ends a crash loop sooner
                log.warning("the store was not asked for checkpoints: %s", error)
        steps = (name.removeprefix("step_").split("-")[0] for name in names)
        return max((int(step) for step in steps if step.isdigit()), default=0)


def packaged(name: str) -> Path:
    """Return the folder of a checkpoint that ships with `model`.

    Raises:
        StudyError: there is none of that name.
    """
    folder = Path(model.__file__).parent / "checkpoints"
    path = folder / name.removeprefix(PACKAGED)
    if path.parent != folder or not path.is_dir():
        known = ", ".join(sorted(PACKAGED + each.name for each in folder.glob("*/"))) or "none"
        raise StudyError(name, 0, f"no packaged checkpoint of that name; allowed: {known}")
    return path


def start_folder(start: str, checkpoints: Path | None) -> Path | None:
    """Return the folder of a start checkpoint, `packaged:NAME` or `operator:NAME`; None if the operator has put none there.

    Args:
        start: as a scale writes it.
        checkpoints: the operator's folder of published checkpoints.

    Raises:
        StudyError: there is no packaged checkpoint of that name.
    """
    if start.startswith(PACKAGED):
        return packaged(start)
    folder = checkpoints / start.removeprefix(OPERATOR) if checkpoints else None
    return folder if folder is not None and folder.is_dir() else None


def resolve_import(spec: Mapping[str, Any]) -> Path:
    """Return the folder that the spec of an import stage names: packaged, or a path."""
    path = str(spec["path"])
    return packaged(path) if path.startswith(PACKAGED) else Path(path).absolute()
