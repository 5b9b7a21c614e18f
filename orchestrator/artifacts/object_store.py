"""Published directories in an object store: S3 and whatever else fsspec speaks. The only door to fsspec.

- An object store has no rename, so the manifest is the commit mark: written last, removed first. A directory without one
  is not there.
- What comes back is hashed against its manifest before it appears under its name; nothing half is ever seen.
- Failures that may pass are tried again a few times with growing, jittered waits; then they are the caller's.
- Credentials and endpoint are the environment's (`AWS_ACCESS_KEY_ID`, `AWS_ENDPOINT_URL`, ...); none is kept here.
"""

from __future__ import annotations

import random
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from fsspec.core import url_to_fs

from model import manifest
from model.data.sources.store_errors import REFUSED, UNREACHED, hint, reason
from model.manifest import MANIFEST, CorruptDirectory
from orchestrator.errors import NoResources, OrchestratorError

TRIES = 4
"""Of each call, beside those that s3fs makes itself; the last failure is the caller's."""
WAIT_S = 0.2
"""Before the second try; doubles with each further one."""
SCHEMES = frozenset({"s3", "gs", "abfs", "memory"})
Result = TypeVar("Result")


class ObjectStore:
    """Directories below one URI."""

    def __init__(self, uri: str, *, sleep: Callable[[float], None] = time.sleep) -> None:
        """Open the store; nothing is asked of it yet.

        Args:
            uri: such as `s3://bucket/ablate`.
            sleep: waits between two tries.

        Raises:
            OrchestratorError: no such scheme, or its package is not installed.
        """
        scheme = uri.partition("://")[0]
        if scheme not in SCHEMES or "::" in uri:
            raise OrchestratorError(f"ABLATE_ARTIFACTS={uri}: allowed: a folder, or {', '.join(sorted(SCHEMES))}://BUCKET/PREFIX")
        try:
            self._fs, root = url_to_fs(uri, use_listings_cache=False)
        except ImportError as error:
            raise OrchestratorError(f"ABLATE_ARTIFACTS={uri}: {error}") from error
        self.uri, self._root, self._sleep = uri, root.rstrip("/"), sleep

    def put(self, directory: Path, name: str) -> None:
        """Upload a published directory, its manifest last; one that is there whole is left as it is.

        Raises:
            CorruptDirectory: it is not published, or differs from its manifest.
        """
        if self.has(name):
            return
        files = manifest.verify(directory)["files"]
        for file in (*files, MANIFEST):
            self.put_file(directory / file, f"{name}/{file}")

    def get(self, name: str, directory: Path) -> None:
        """Download a published directory and let it appear at once; whatever stood there is replaced.

        Raises:
            CorruptDirectory: what came does not match its manifest, or there is none.
        """
        temporary = directory.parent / f".{directory.name}.tmp-{uuid.uuid4().hex}"
        temporary.mkdir(parents=True)
        try:
            self._download(name, temporary)
            manifest.verify(temporary)
            if directory.exists():
                shutil.rmtree(directory)
            temporary.rename(directory)
            manifest.fsync(directory.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)  # gone already, unless something failed

    def has(self, name: str) -> bool:
        """Say whether a whole directory of that name is there."""
        return bool(self._tried(lambda: self._fs.exists(self._path(f"{name}/{MANIFEST}"))))

    def put_file(self, file: Path, name: str) -> None:
        """Upload one file."""
        self._tried(lambda: self._fs.put_file(str(file), self._path(name)))

    def get_file(self, name: str, file: Path) -> bool:
        """Download one file; whether there was one."""
        if not self._tried(lambda: self._fs.exists(self._path(name))):
            return False
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.parent / f".{file.name}.tmp-{uuid.uuid4().hex}"
        self._tried(lambda: self._fs.get_file(self._path(name), str(temporary)))
        temporary.replace(file)
        return True

    def published(self, folder: str) -> list[str]:
        """Return the names of the whole directories directly below a folder, sorted."""
        def listed() -> list[str]:
            path = self._path(folder)
            return [each.rstrip("/").rpartition("/")[2] for each in self._fs.ls(path, detail=False)] if self._fs.exists(path) else []

        return sorted(each for each in self._tried(listed) if self.has(f"{folder}/{each}"))

    def names(self, folder: str) -> list[str]:
        """Return the names of all files below a folder, relative to the store."""
        found = self._tried(lambda: self._fs.find(self._path(folder)))
        return sorted(each.removeprefix(f"{self._root}/") for each in found)

    def age_s(self, name: str, now: float) -> float:
        """Return how long ago a file was written, in seconds; 0 where the store does not say."""
        info = self._tried(lambda: self._fs.info(self._path(name)))
        written = info.get("LastModified") or info.get("created") or info.get("mtime") or now
        return now - (written.timestamp() if hasattr(written, "timestamp") else float(written))

    def size(self, name: str) -> int:
        """Return the bytes of a file."""
        return int(self._tried(lambda: self._fs.info(self._path(name)))["size"])

    def remove(self, folder: str) -> None:
        """Remove all below a folder, manifests first, so that nothing half removed looks whole."""
        names = self.names(folder)
        for name in sorted(names, key=lambda each: not each.endswith(f"/{MANIFEST}")):
            self._remove(name)

    def _remove(self, name: str) -> None:
        self._tried(lambda: self._fs.rm_file(self._path(name)))

    def _download(self, name: str, directory: Path) -> None:
        if not self.get_file(f"{name}/{MANIFEST}", directory / MANIFEST):
            raise CorruptDirectory(f"{self.uri}/{name}: there is no whole directory of that name")
        for file in manifest.read(directory)["files"]:
            if not self.get_file(f"{name}/{_inside(file)}", directory / file):
                raise CorruptDirectory(f"{self.uri}/{name}/{file}: missing, though its manifest names it")

    def _path(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _tried(self, call: Callable[[], Result]) -> Result:
        """Call, again after failures that may pass.

        Raises:
            NoResources: it failed each time.
            OrchestratorError: it refuses, the bucket is missing, or the environment's settings lead nowhere.
        """
        for attempt in range(TRIES):
            try:
                return call()
            except (*REFUSED, FileNotFoundError, ValueError) as error:
                raise OrchestratorError(f"{self.uri}: the store cannot be used ({reason(error)})\nhint: {hint(error)}") from error
            except UNREACHED as error:  # 5xx, resets, time-outs, nobody there
                failure = error
                self._sleep(WAIT_S * 2**attempt * (0.5 + random.random()))  # noqa: S311 (jitter orders nothing that is stored)
        raise NoResources(f"{self.uri} does not answer after {TRIES} tries: {reason(failure)}\n"
                          "hint: the attempt is made again; `ablate doctor` looks whether the store answers") from failure


def _inside(file: str) -> str:
    """Return the name of a file that a manifest speaks of.

    Raises:
        CorruptDirectory: it would lie outside of its directory.
    """
    if file.startswith("/") or ".." in Path(file).parts:
        raise CorruptDirectory(f"manifest names {file!r}, which lies outside of its directory")
    return file
