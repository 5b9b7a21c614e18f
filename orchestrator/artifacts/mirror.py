"""Copy files between a worker and the object store: parents and checkpoints down, checkpoints and results up.

- Before the attempt: download the parent's checkpoint, and the newest valid checkpoint to resume from unless this
  machine has one that is as new.
- During the attempt: a thread uploads each checkpoint that training publishes, so that any machine can resume from it.
- After the attempt: upload the published directory, then the result record; so a record never exists without it.
- If all machines share the artifact folder, `SharedFolder` takes the place of the mirror and copies nothing.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from model import manifest
from model.manifest import CorruptDirectory
from orchestrator.artifacts.object_store import ObjectStore
from orchestrator.errors import NoResources

EVERY_S = 5.0
"""The seconds between two checks for new checkpoints."""
KEPT = 2
"""The number of checkpoints of a stage to keep in the store, the same as on disk."""
log = logging.getLogger(__name__)


def mirror_of(root: str, store: str) -> SharedFolder | Mirror:
    """Return the mirror of an attempt for the object store with this URI; if it is "", a `SharedFolder`."""
    return Mirror(ObjectStore(store), Path(root)) if store else SharedFolder()


class SharedFolder:
    """The mirror for artifacts in a folder that all machines share: it copies nothing and only verifies."""

    def fetch(self, directory: Path) -> None:
        """Verify a published directory.

        Raises:
            CorruptDirectory: it differs from its manifest.
        """
        manifest.verify(directory)

    def restore(self, checkpoints: Path) -> None:
        """Do nothing: all checkpoints are in the shared folder."""

    def copying(self, checkpoints: Path) -> AbstractContextManager[None]:  # noqa: ARG002 (nothing is copied)
        """Do nothing: all machines see new checkpoints in the shared folder."""
        return nullcontext()

    def publish(self, directory: Path) -> None:
        """Check that the stage has published its directory.

        Raises:
            CorruptDirectory: it has not.
        """
        manifest.read(directory)

    def send(self, folder: Path, *files: str) -> None:
        """Do nothing: the files are in the shared folder."""


class Mirror:
    """The mirror of one attempt for an object store; names in the store are paths relative to the artifacts' root."""

    def __init__(self, store: ObjectStore, root: Path) -> None:
        self._store, self._root = store, root

    def fetch(self, directory: Path) -> None:
        """Download a published directory, unless this machine has a valid copy.

        Raises:
            CorruptDirectory: it is valid neither on this machine nor in the store.
        """
        try:
            manifest.verify(directory)
        except CorruptDirectory:
            self._store.get(self._name(directory), directory)

    def restore(self, checkpoints: Path) -> None:
        """Download the newest valid checkpoint, unless this machine has one that is as new; skip corrupt ones."""
        here = {path.name for path in checkpoints.glob("step_*")}
        for name in reversed(self._store.published(self._name(checkpoints))):
            if here and name <= max(here):
                return
            try:
                self._store.get(f"{self._name(checkpoints)}/{name}", checkpoints / name)
            except CorruptDirectory as error:
                log.warning("corrupt checkpoint skipped: %s", error)
                continue
            return

    @contextmanager
    def copying(self, checkpoints: Path) -> Iterator[None]:
        """Upload each checkpoint that appears while the body runs, and those that are left at its end."""
        ended = threading.Event()
        thread = threading.Thread(target=self._copy_until, args=(checkpoints, ended), name="mirror", daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()
            self._copy_last(checkpoints)

    def publish(self, directory: Path) -> None:
        """Upload a published directory."""
        self._store.put(directory, self._name(directory))

    def send(self, folder: Path, *files: str) -> None:
        """Upload those of these files that exist in a folder, in this order."""
        for file in files:
            if (folder / file).is_file():
                self._store.put_file(folder / file, self._name(folder / file))

    def _copy_until(self, checkpoints: Path, ended: threading.Event) -> None:
        while not ended.wait(EVERY_S):
            try:
                self._copy(checkpoints)
            except NoResources as error:  # a late copy is no reason to stop training
                log.warning("checkpoint not copied yet: %s", error)

    def _copy_last(self, checkpoints: Path) -> None:
        """Upload the last checkpoints. A failure is only logged, so that it does not hide how the attempt ended.

        It costs the next attempt one checkpoint interval at most.
        """
        try:
            self._copy(checkpoints)
        except NoResources as error:
            log.warning("the last checkpoint was not copied: %s", error)

    def _copy(self, checkpoints: Path) -> None:
        folder = self._name(checkpoints)
        for path in sorted(checkpoints.glob("step_*")):
            try:
                self._store.put(path, f"{folder}/{path.name}")
            except CorruptDirectory:  # training has removed it by now, because there is a newer one
                continue
        for name in self._store.published(folder)[:-KEPT]:
            self._store.remove(f"{folder}/{name}")

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()
