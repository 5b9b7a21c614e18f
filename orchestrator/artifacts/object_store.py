"""Upload and download published directories to and from an object store: S3 and others that fsspec supports.

- An object store has no rename, so the manifest is the commit mark: it is written last and removed first. A directory
  without a manifest does not exist.
- A download is checked against its manifest before it is renamed to its final name, so a partial one is never visible.
- Transient failures are retried a few times with growing, jittered waits, and then raised.
- Credentials and endpoint come from the environment (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...); none is stored.
- Only this module imports fsspec for the artifacts.
"""

from __future__ import annotations

import random
import shutil
import time
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from fsspec.core import url_to_fs

from model import manifest
from model.data.sources.store_errors import REFUSED, UNREACHED, hint, reason
from model.manifest import MANIFEST, CorruptDirectory
from orchestrator.errors import NoResources, OrchestratorError

TRIES = 4
"""The number of tries of each call, in addition to the retries of s3fs; the failure of the last one is raised."""
WAIT_S = 0.2
"""The seconds before the second try; the wait doubles with each further one, and is jittered by up to half."""
SCHEMES = frozenset({"s3", "gs", "abfs", "memory"})
Result = TypeVar("Result")


class ObjectStore:
    """Published directories and files below one URI of an object store."""

    def __init__(self, uri: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Create the client; it connects at the first call.

        Args:
            uri: the URI of the store, such as `s3://bucket/ablate`.
            sleep: waits so many seconds between two tries.

        Raises:
            OrchestratorError: the scheme is not supported, or its package is not installed.
        """
        scheme = uri.partition("://")[0]
        if scheme not in SCHEMES or "::" in uri:
            raise OrchestratorError(f"ABLATE_ARTIFACTS={uri}: allowed: a folder, or "
                                    f"{', '.join(sorted(SCHEMES))}://BUCKET/PREFIX")
        try:
            self._fs, root = url_to_fs(uri, use_listings_cache=False)
        except ImportError as error:
            raise OrchestratorError(f"ABLATE_ARTIFACTS={uri}: {error}") from error
        self.uri, self._root, self._sleep = uri, root.rstrip("/"), sleep

    def put(self, directory: Path, name: str) -> None:
        """Upload a published directory, its manifest last; do nothing if the store has it already.

        Raises:
            CorruptDirectory: the directory is not published, or differs from its manifest.
        """
        if self.has(name):
            return
        files = manifest.verify(directory)["files"]
        for file in (*files, MANIFEST):
            self.put_file(directory / file, f"{name}/{file}")

    def get(self, name: str, directory: Path) -> None:
        """Download a published directory and make it visible by a rename; one that is damaged is replaced.

        Two slots of a machine may do so at once: a valid directory is never taken away from whoever reads it.

        Raises:
            CorruptDirectory: the download does not match its manifest, or the store has no such directory.
        """
        temporary = directory.parent / f".{directory.name}.tmp-{uuid.uuid4().hex}"
        temporary.mkdir(parents=True)
        try:
            self._download(name, temporary)
            manifest.verify(temporary)
            _appear(temporary, directory)
            manifest.fsync(directory.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)  # does not exist any more, unless something failed

    def has(self, name: str) -> bool:
        """Return whether the store has a complete directory of this name."""
        return bool(self._tried(lambda: self._fs.exists(self._path(f"{name}/{MANIFEST}"))))

    def put_file(self, file: Path, name: str) -> None:
        """Upload one file."""
        self._tried(lambda: self._fs.put_file(str(file), self._path(name)))

    def get_file(self, name: str, file: Path) -> bool:
        """Download one file; return whether the store has it."""
        if not self._tried(lambda: self._fs.exists(self._path(name))):
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.parent / f".{file.name}.tmp-{uuid.uuid4().hex}"
        self._tried(lambda: self._fs.get_file(self._path(name), str(temporary)))
        temporary.replace(file)
        return True

    def published(self, folder: str) -> list[str]:
        """Return the names of the complete directories directly below a folder, sorted."""
        def listed() -> list[str]:
            path = self._path(folder)
            paths = self._fs.ls(path, detail=False) if self._fs.exists(path) else []
            return [each.rstrip("/").rpartition("/")[2] for each in paths]

        return sorted(each for each in self._tried(listed) if self.has(f"{folder}/{each}"))

    def names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, relative to the root of the store."""
        paths = self._tried(lambda: self._fs.find(self._path(folder)))
        return sorted(each.removeprefix(f"{self._root}/") for each in paths)

    def files(self, folder: str) -> list[tuple[str, int, float | None]]:
        """Return name, size in bytes and time of the last write of all files below a folder, as one listing tells them.

        The time is in seconds since the epoch; None if the store does not tell.
        """
        found = self._tried(lambda: self._fs.find(self._path(folder), detail=True))
        return [(path.removeprefix(f"{self._root}/"), int(info["size"]), _written(info)) for path, info in sorted(found.items())]

    def part(self, name: str) -> ObjectStore:
        """Return what is below a folder of the store, as a store."""
        return ObjectStore(f"{self.uri.rstrip('/')}/{name}", sleep=self._sleep)

    def read_text(self, name: str) -> str | None:
        """Return the text of a small file; None if the store does not have it."""
        def read() -> str | None:
            path = self._path(name)
            return self._fs.cat_file(path).decode() if self._fs.exists(path) else None

        return self._tried(read)

    def write_new(self, name: str, text: str) -> None:
        """Write a small file, unless the store has it. Object stores cannot do so at once: read it back."""
        if self.read_text(name) is None:
            self._tried(lambda: self._fs.pipe_file(self._path(name), text.encode()))

    def remove(self, folder: str) -> None:
        """Remove all files below a folder, manifests first, so that a half-removed directory never looks complete."""
        names = self.names(folder)
        for name in sorted(names, key=lambda each: not each.endswith(f"/{MANIFEST}")):
            self._remove(name)

    def _remove(self, name: str) -> None:
        def remove() -> None:
            with suppress(FileNotFoundError):  # another process was faster
                self._fs.rm_file(self._path(name))

        self._tried(remove)

    def _download(self, name: str, directory: Path) -> None:
        if not self.get_file(f"{name}/{MANIFEST}", directory / MANIFEST):
            raise CorruptDirectory(f"{self.uri}/{name}: there is no complete directory of that name")
        for file in manifest.read(directory)["files"]:
            if not self.get_file(f"{name}/{_inside(file)}", directory / file):
                raise CorruptDirectory(f"{self.uri}/{name}/{file}: missing, though its manifest names it")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _tried(self, call: Callable[[], Result]) -> Result:
        """Call a function of the store, and retry after transient failures.

        Raises:
            NoResources: all tries failed.
            OrchestratorError: the store refuses access, the bucket is missing, or the environment's settings are wrong.
        """
        for attempt in range(TRIES):
            try:
                return call()
            except (*REFUSED, FileNotFoundError, ValueError) as error:
                raise OrchestratorError(f"{self.uri}: the store cannot be used ({reason(error)})\n"
                                        f"hint: {hint(error)}") from error
            except UNREACHED as error:  # HTTP 5xx, connection resets, time-outs, unreachable hosts
                failure = error
                jitter = 0.5 + random.random()  # noqa: S311 (the jitter is not stored anywhere)
                self._sleep(WAIT_S * 2**attempt * jitter)
        raise NoResources(f"{self.uri} does not answer after {TRIES} tries: {reason(failure)}\n"
                          "hint: the stage is retried; `ablate doctor` checks whether the store answers") from failure


def _appear(temporary: Path, directory: Path) -> None:
    """Rename a verified directory to its final name, unless a valid one has appeared there."""
    while True:
        try:
            temporary.rename(directory)
            return
        except OSError:
            if not directory.is_dir():
                raise
        try:
            manifest.verify(directory)
            return
        except CorruptDirectory:
            aside = temporary.with_name(f"{temporary.name}-damaged")
            with suppress(FileNotFoundError):  # another slot has moved it aside
                directory.rename(aside)
            shutil.rmtree(aside, ignore_errors=True)


def _written(info: Mapping[str, Any]) -> float | None:
    written = info.get("LastModified") or info.get("created") or info.get("mtime")
    if written is None:
        return None
    return float(written.timestamp() if hasattr(written, "timestamp") else written)


def _inside(file: str) -> str:
    """Return a file name from a manifest, after checking that it stays inside its directory.

    Raises:
        CorruptDirectory: it points outside of its directory.
    """
    if file.startswith("/") or ".." in Path(file).parts:
        raise CorruptDirectory(f"manifest names {file!r}, which lies outside of its directory")
    return file
