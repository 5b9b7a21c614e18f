"""Read files on disk, in object stores and over https with the same functions. Only this module of `model` uses fsspec.

- A file has a version (size and modification time, or the store's own tag), so indices and hashes are made once.
- The operator's own paths may be links. A name that comes from a data set never leads out of the folder it belongs to.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from model.config.catalogue import RemoteConfig
from model.data.sources.store_errors import map_store_errors
from model.data.sources.urls import check_address, fetch, is_remote

MAX_FILE_BYTES = 2**40
"""The largest data file that is read whole over https."""


@dataclass(frozen=True, slots=True)
class FileVersion:
    """A file in its present version."""

    name: str
    """Path or URL."""
    size: int
    version: str
    """Changes whenever the content does."""


def expand(pattern: str, remote: RemoteConfig) -> list[FileVersion]:
    """Return the files that a path or a URL matches, by name; `*` and `?` match parts of the file name.

    Raises:
        ValueError: there is none, it is no regular file, or it may not be opened.
    """
    found = _expand_remote(pattern, remote) if is_remote(pattern) else _expand_local(pattern)
    if not found:
        raise ValueError(f"{pattern}: no such file")
    return sorted(found, key=lambda each: each.name)


def read(file: FileVersion, remote: RemoteConfig, *, offset: int = 0, size: int | None = None) -> bytes:
    """Read part of a file, or all of it.

    Raises:
        ValueError: the file is shorter than requested, cannot be read, or may not be opened.
    """
    wanted = file.size - offset if size is None else size
    try:
        content = _read(file, remote, offset, wanted)
    except OSError as error:
        raise ValueError(f"{file.name}: cannot be read ({error})") from error
    if len(content) != wanted:
        raise ValueError(
            f"{file.name}: {len(content)} bytes at {offset}; expected {wanted}: the file changed or was cut"
        )
    return content


def open_stream(file: FileVersion, remote: RemoteConfig) -> Any:
    """Open a file for forward reading and seeking. The caller closes it.

    Raises:
        OSError: a local file cannot be opened.
        ValueError: a remote file cannot or may not be opened.
    """
    if not is_remote(file.name):
        return open(file.name, "rb")
    parts = check_address(file.name, remote)
    if parts.scheme == "https":
        raise ValueError(f"{file.name}: archives are read from disk or from an object store, not over https")
    with map_store_errors(file.name):
        return _store(parts.scheme).open(file.name, "rb")


def inside(root: str, name: str) -> Path:
    """Return the file of this name below a folder.

    Raises:
        ValueError: the name is absolute, contains `..` or a NUL, or leads out of the folder through a link.
    """
    path = Path(name)
    if not name or "\0" in name or "\\" in name or path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{name!r}: not a name below {root}")
    folder = _resolved(root)
    try:
        found = (folder / path).resolve(strict=True)
    except OSError as error:
        raise ValueError(f"{root}/{name}: cannot be read ({error.strerror or error})") from error
    if not found.is_relative_to(folder):
        raise ValueError(f"{root}/{name}: leads out of the folder")
    return found


def listing(root: str, remote: RemoteConfig) -> Iterator[tuple[str, int]]:
    """List all files below a folder of images with their sizes, by name."""
    if is_remote(root):
        check_address(root, remote)
        scheme = root.partition("://")[0]
        store = _store(scheme)
        with map_store_errors(root):
            found = store.find(root, detail=True)
        for name, info in sorted(found.items()):
            yield name, int(info["size"])
        return
    yield from _walk(str(_resolved(root)), "")


def content_hash(file: FileVersion, remote: RemoteConfig) -> str:
    """Return the SHA-256 of a local file's content.

    For a remote file, of its size and the store's tag, without reading it.
    """
    if is_remote(file.name):
        return hashlib.sha256(f"{file.size}/{file.version}".encode()).hexdigest()
    with open_stream(file, remote) as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _expand_local(pattern: str) -> list[FileVersion]:
    folder, name = os.path.split(os.path.abspath(pattern))
    if any(character in folder for character in "*?"):
        raise ValueError(f"{pattern}: '*' and '?' are allowed in the file's name, not in its folder")
    is_pattern = any(character in name for character in "*?")
    try:
        names = list(filter(re.compile(_pattern(name)).fullmatch, os.listdir(folder))) if is_pattern else [name]
        return [_local(os.path.join(folder, each)) for each in names]
    except OSError as error:
        raise ValueError(f"{pattern}: cannot be read ({error.strerror or error})") from error


def _pattern(name: str) -> str:
    """Return the regular expression of a name in which only `*` and `?` are wildcards.

    Brackets are ordinary characters.
    """
    return re.escape(name).replace(r"\*", ".*").replace(r"\?", ".")


def _local(path: str) -> FileVersion:
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):
        raise ValueError(f"{path}: not a regular file")
    return FileVersion(path, status.st_size, f"{status.st_mtime_ns}-{status.st_ino}")


def _expand_remote(pattern: str, remote: RemoteConfig) -> list[FileVersion]:
    parts = check_address(pattern.replace("?", "_"), remote)
    if parts.scheme == "https":
        content = fetch(pattern, remote, max_bytes=remote.max_bytes)
        return [FileVersion(pattern, len(content), hashlib.sha256(content).hexdigest())]
    store = _store(parts.scheme)
    with map_store_errors(pattern):
        names = store.glob(pattern.replace("[", "[[]")) if any(each in pattern for each in "*?") else [pattern]
        infos = [store.info(name) for name in names]
    return [_stored(parts.scheme, info) for info in infos]


def _stored(scheme: str, info: dict[str, Any]) -> FileVersion:
    tag = info.get("ETag") or info.get("etag") or info.get("LastModified") or info.get("updated")
    if tag is None:
        raise ValueError(f"{info['name']}: the store reports no version of it")
    return FileVersion(
        f"{scheme}://{info['name'].removeprefix(f'{scheme}://')}", int(info["size"]), str(tag).strip('"')
    )


def _read(file: FileVersion, remote: RemoteConfig, offset: int, size: int) -> bytes:
    if not is_remote(file.name):
        return os.pread(_descriptor(file), size, offset)
    parts = check_address(file.name, remote)
    if parts.scheme == "https":
        whole = fetch(file.name, remote, max_bytes=remote.max_bytes)
        return whole[offset : offset + size]
    store = _store(parts.scheme)
    with map_store_errors(file.name):
        content: bytes = store.cat_file(file.name, start=offset, end=offset + size)
    return content


@lru_cache(maxsize=512)
def _opened(file: FileVersion) -> Any:
    return open(file.name, "rb")


def _descriptor(file: FileVersion) -> int:
    descriptor: int = _opened(file).fileno()
    return descriptor


@lru_cache(maxsize=4)
def _store(scheme: str) -> Any:
    """Return the file system of a scheme. Its credentials and endpoint come from the operator's environment."""
    import fsspec  # takes a tenth of a second, which a command that opens nothing remote does not have to wait

    try:
        return fsspec.filesystem(scheme, use_listings_cache=False, skip_instance_cache=True)
    except (ImportError, ValueError) as error:
        raise ValueError(f"{scheme}://: {error}") from error


@lru_cache(maxsize=64)
def _resolved(root: str) -> Path:
    try:
        return Path(root).resolve(strict=True)
    except OSError as error:
        raise ValueError(f"{root}: cannot be read ({error.strerror or error})") from error


def _walk(folder: str, below: str) -> Iterator[tuple[str, int]]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(entry.path, f"{below}{entry.name}/")
        elif entry.is_file():  # links to files count; links to folders may form a circle
            yield below + entry.name, entry.stat().st_size
