"""What lies in the store for each published directory: enough to see later whether it is still there, without hashing.

One listing of the store serves all directories; what is in them is proved by their own manifests.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from orchestrator.artifacts.garbage import files_here, files_stored
from orchestrator.artifacts.store import PACKAGED, Artifacts


@dataclass(frozen=True, slots=True)
class StoredDirectory:
    """A published directory as it lies in the store."""

    name: str
    """As the ledger names it: relative to the root of the ledger's artifacts."""
    num_files: int
    """0 if the store does not have it."""
    num_bytes: int


def inventory(artifacts: Artifacts, names: Collection[str]) -> Iterator[StoredDirectory]:
    """Yield what the store has of these directories, sorted by name; checkpoints of the package `model` are left out."""
    wanted = {name for name in names if not name.startswith(PACKAGED)}
    files: Counter[str] = Counter()
    sizes: Counter[str] = Counter()
    for file in files_stored(artifacts) if artifacts.store is not None else files_here(artifacts.root):
        directory = _directory(file.name, wanted)
        files[directory] += 1
        sizes[directory] += file.num_bytes
    yield from (StoredDirectory(name, files[name], sizes[name]) for name in sorted(wanted))


def _directory(file: str, wanted: Collection[str]) -> str:
    """Return the one of the directories that a file lies in; "" if it is none."""
    name = file
    while name and name not in wanted:
        name = name.rpartition("/")[0]
    return name
