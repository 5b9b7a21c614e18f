"""What a worker shares with the object store while it works: parents and checkpoints in, checkpoints and results out.

- Before: the parent's checkpoint and the newest whole checkpoint to resume from, if this machine has none as new.
- Meanwhile: each checkpoint that training publishes is copied by a thread, so that any machine can go on from it.
- After: what was made, then the record that says so; a record without its directory never exists.
- With artifacts in a folder that all machines see there is nothing to mirror, and none of this runs.
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
"""Seconds between two looks for new checkpoints."""
KEPT = 2
"""Whole checkpoints that stay in the store, as many as on disk."""
log = logging.getLogger(__name__)


def mirror_of(root: str, store: str) -> SharedFolder | Mirror:
    """Return what shares an attempt's files: a mirror of the store of that URI, or of nothing if it is ""."""
    return Mirror(ObjectStore(store), Path(root)) if store else SharedFolder()


class SharedFolder:
    """All machines see the artifacts: nothing is copied, only verified."""

    def fetch(self, directory: Path) -> None:
        """Verify a published directory.

        Raises:
            CorruptDirectory: it is not whole.
        """
        manifest.verify(directory)

    def restore(self, checkpoints: Path) -> None:
        """Bring nothing: what there is, is here."""

    def copying(self, checkpoints: Path) -> AbstractContextManager[None]:  # noqa: ARG002 (nothing is copied)
        """Copy nothing."""
        return nullcontext()

    def publish(self, directory: Path) -> None:
        """Send nothing; see that it was published.

        Raises:
            CorruptDirectory: it was not.
        """
        manifest.read(directory)

    def send(self, folder: Path, *files: str) -> None:
        """Send nothing."""


class Mirror:
    """One attempt's view of the store; names are paths relative to the artifacts' root."""

    def __init__(self, store: ObjectStore, root: Path) -> None:
        """Remember both ends."""
        self._store, self._root = store, root

    def fetch(self, directory: Path) -> None:
        """Bring a published directory here unless a whole one is here.

        Raises:
            CorruptDirectory: it is whole neither here nor there.
        """
        try:
            manifest.verify(directory)
        except CorruptDirectory:
            self._store.get(self._name(directory), directory)

    def restore(self, checkpoints: Path) -> None:
        """Bring the newest whole checkpoint here, if it is newer than those that are here; a damaged one is passed over."""
        here = {path.name for path in checkpoints.glob("step_*")}
        for name in reversed(self._store.published(self._name(checkpoints))):
            if here and name <= max(here):
                return
            try:
                self._store.get(f"{self._name(checkpoints)}/{name}", checkpoints / name)
            except CorruptDirectory as error:
                log.warning("checkpoint passed over: %s", error)
                continue
            return

    @contextmanager
    def copying(self, checkpoints: Path) -> Iterator[None]:
        """Copy each checkpoint that appears while the body runs, and those that are there at its end."""
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
        """Send a published directory."""
        self._store.put(directory, self._name(directory))

    def send(self, folder: Path, *files: str) -> None:
        """Send single files of a folder, those that there are."""
        for file in files:
            if (folder / file).is_file():
                self._store.put_file(folder / file, self._name(folder / file))

    def _copy_until(self, checkpoints: Path, ended: threading.Event) -> None:
        while not ended.wait(EVERY_S):
            try:
                self._copy(checkpoints)
            except NoResources as error:  # a copy that is late is no reason to stop training
                log.warning("checkpoint not copied yet: %s", error)

    def _copy_last(self, checkpoints: Path) -> None:
        """Copy what is there; a failure here must not hide how the attempt ended, and costs one checkpoint interval at most."""
        try:
            self._copy(checkpoints)
        except NoResources as error:
            log.warning("the last checkpoint was not copied: %s", error)

    def _copy(self, checkpoints: Path) -> None:
        folder = self._name(checkpoints)
        for path in sorted(checkpoints.glob("step_*")):
            try:
                self._store.put(path, f"{folder}/{path.name}")
            except CorruptDirectory:  # training removed it meanwhile: a newer one is there
                continue
        for name in self._store.published(folder)[:-KEPT]:
            self._store.remove(f"{folder}/{name}")

    def _name(self, path: Path) -> str:
        return path.relative_to(self._root).as_posix()
