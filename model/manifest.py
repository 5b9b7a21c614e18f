"""Directories with a manifest: a list of their files with hashes, written last, that proves completeness. Torch-free.

- `publish` makes a directory appear at once: write under a temporary name, manifest last, fsync, rename, fsync the
  parent.
- `verify` re-hashes; a flipped byte, a missing or an extra file is a `CorruptDirectory` that names it.
- `identity` is the hash of the files' hashes: the same content has the same name wherever it lies.
- A README beside the files describes them for people. It is not part of the content and may change at any time.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
README = "README.md"


class CorruptDirectory(ValueError):
    """A published directory differs from its manifest."""


def publish(final: Path, write: Callable[[Path], None], *, meta: dict[str, Any] | None = None) -> str:
    """Let `write` fill a temporary directory, then publish it as `final`, atomically and durably.

    Args:
        final: the directory to publish; if another process has published it first, that directory stays.
        write: fills the temporary directory that it is called with.
        meta: JSON values to keep in the manifest; they are not part of the identity.

    Returns:
        the identity of the published content.

    Raises:
        CorruptDirectory: `final` exists and was not published.
    """
    temporary = final.parent / f".{final.name}.tmp-{uuid.uuid4().hex}"
    temporary.mkdir(parents=True)
    try:
        write(temporary)
        _seal(temporary, meta or {})
        _appear(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)  # left over only if something failed or another process was first
    return identity(final)


def read(directory: Path) -> dict[str, Any]:
    """Return the manifest of a directory, without the README that manifests of older releases list.

    Raises:
        CorruptDirectory: there is no manifest, or it lists no files: the directory was never finished.
    """
    try:
        manifest: dict[str, Any] = json.loads((directory / MANIFEST).read_bytes())
        manifest["files"].pop(README, None)
        hashes = [entry["sha256"] for entry in manifest["files"].values()]
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CorruptDirectory(f"{directory}: no readable {MANIFEST} ({type(error).__name__}: {error})") from error
    if not all(isinstance(digest, str) for digest in hashes):
        raise CorruptDirectory(f"{directory}: no readable {MANIFEST} (a sha256 is not text)")
    return manifest


def verify(directory: Path) -> dict[str, Any]:
    """Hash every file again, compare with the manifest, and return it.

    Raises:
        CorruptDirectory: a file is missing, unknown or changed; the message names it.
    """
    manifest = read(directory)
    listed, present = set(manifest["files"]), set(_files(directory))
    if listed != present:
        raise CorruptDirectory(f"{directory}: missing {sorted(listed - present)}, unknown {sorted(present - listed)}")
    for name, entry in manifest["files"].items():
        actual = _entry(directory / name)
        if actual != entry:
            raise CorruptDirectory(f"{directory / name}: sha256 is {actual['sha256'][:12]}…, manifest says "
                                   f"{entry['sha256'][:12]}…; the file was changed or damaged")
    return manifest


def identity(directory: Path) -> str:
    """Return the SHA-256 over names and hashes of the files, as 64 hex digits."""
    hashes = {name: entry["sha256"] for name, entry in read(directory)["files"].items()}
    return hashlib.sha256(json.dumps(hashes, sort_keys=True).encode()).hexdigest()


def fsync(path: Path) -> None:
    """Force a file, or the entries of a directory, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _seal(directory: Path, meta: dict[str, Any]) -> None:
    """Write the manifest, then force all files and folders to disk."""
    files = {name: _entry(directory / name) for name in _files(directory)}
    (directory / MANIFEST).write_text(json.dumps({"files": files, "meta": meta}, indent=1, sort_keys=True))
    for path in [*directory.rglob("*"), directory]:
        fsync(path)


def _appear(temporary: Path, final: Path) -> None:
    try:
        os.rename(temporary, final)
    except OSError:
        if not final.is_dir():
            raise
        read(final)  # raises unless `final` is a directory that another process has published
    fsync(final.parent)


def _files(directory: Path) -> list[str]:
    paths = (path.relative_to(directory) for path in directory.rglob("*") if path.is_file())
    return sorted(path.as_posix() for path in paths if path not in (Path(MANIFEST), Path(README)))


def _entry(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
