"""Every path of the artifact store in one place.

- A stage has one folder, named by its identity; each attempt has its own folder below it, so two attempts never write
  the same file, and a late one leaves what it made on disk without being accepted.
- What a stage made is the `out` folder of the attempt that the ledger accepted: the ledger points, the manifest proves.
- The ledger stores artifact names relative to the root, so a home may move; `packaged:NAME` lies inside `model`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import model
from orchestrator.errors import StudyError

PACKAGED = "packaged:"
RESULT = "result.json"
PROGRESS = "progress.jsonl"
SYSTEM = "system.jsonl"
LOG = "log.txt"


class Artifacts:
    """Paths below one root; creates nothing until asked."""

    def __init__(self, root: Path) -> None:
        """Remember the root; it need not exist yet."""
        self.root = Path(root).absolute()

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

    def newest_checkpoint(self, stage_id: str) -> int:
        """Return the step of the newest published checkpoint to resume from, 0 if there is none."""
        names = (path.name for path in self.checkpoints_dir(stage_id).glob("step_*"))
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


def resolve_import(spec: Mapping[str, Any]) -> Path:
    """Return the folder that the spec of an import stage names: packaged, or a path."""
    path = str(spec["path"])
    return packaged(path) if path.startswith(PACKAGED) else Path(path).absolute()
