"""Samples of WebDataset shards by number: members of one name stand together, read from their place, never extracted.

- A sample is what members share up to the first dot of their file's name; what follows is the kind (`jpg`, `txt`, `json`).
- Nothing is written to disk, so a member's name cannot lead anywhere. Links, devices, absolute and climbing names are refused all
  the same: a shard that holds them was made by someone who hoped for more.
- Only plain .tar: the place of a member in a compressed archive cannot be read without everything before it.
"""

from __future__ import annotations

import tarfile
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from model.config.catalogue import RemoteConfig, SourceConfig
from model.data.sources.files import FileVersion, open_stream
from model.data.sources.json_rows import parsed
from model.data.sources.record_index import IndexedRows, IndexPart, Located, indexed
from model.data.sources.store_errors import UNREACHED, store_error
from model.images.decode import MAX_BYTES

IMAGES = ("jpg", "jpeg", "png", "webp")
PICKLED = ("pkl", "pickle", "pyd", "pt", "pth")
"""Kinds that WebDataset's own reader would unpickle: code of whoever made the shard."""
MAX_MEMBERS = 10_000_000


class TarRows(IndexedRows):
    """The samples of a source's shards."""

    def __init__(self, config: SourceConfig, files: list[FileVersion], remote: RemoteConfig, cache: str) -> None:
        """Find where every member lies."""
        if config.image_prefix:
            raise ValueError("image_prefix is for JSON files; a tar names its images by its members")
        super().__init__(indexed(files, lambda file: _scan(file, remote), cache=cache, salt="tar"), remote)

    def record(self, row: int) -> Mapping[str, Any]:
        """Read a sample: its JSON, its text as `text`, its image as `image`, several of them in the order of their kinds as `images`.

        Raises:
            ValueError: it holds nothing that is known.
        """
        record: dict[str, Any] = {}
        images: list[tuple[str, bytes]] = []
        for kind, content in self._parts(row):
            if kind == "json":
                record |= parsed(content)
            elif kind in ("txt", "caption"):
                record["text"] = _decoded(content)
            elif kind.rpartition(".")[2] in IMAGES:
                images.append((kind, content))
        contents = [content for _, content in sorted(images)]
        if contents:
            record["image"] = contents[0] if len(contents) == 1 else contents
        if "images" in record or len(contents) > 1:
            record["images"] = _placed(record.get("images"), contents)
        return record


def _placed(images: Any, contents: list[bytes]) -> list[Any]:
    """Put the images of a sample where its JSON's `images` has something, in their order."""
    if not isinstance(images, list):
        return list(contents)
    if sum(image is not None for image in images) != len(contents):
        raise ValueError(f"{len(contents)} images, but its JSON places {sum(image is not None for image in images)}")
    waiting = iter(contents)
    return [None if image is None else next(waiting) for image in images]


def _scan(file: FileVersion, remote: RemoteConfig) -> Iterator[Located]:
    with open_stream(file, remote) as opened:
        members = _members(opened, file.name)
        for ordinal, (_, parts) in enumerate(groupby(members, key=lambda each: each[0])):
            yield Located(ordinal, tuple(part for _, part in parts))


def _members(opened: Any, name: str) -> Iterator[tuple[str, IndexPart]]:
    """List the members as (sample, part).

    Raises:
        ValueError: the archive is damaged, compressed, or holds what no shard should.
    """
    try:
        with tarfile.open(fileobj=opened, mode="r:") as archive:
            for number, member in enumerate(archive):
                archive.members = []  # type: ignore[attr-defined]  # else every member of a shard stays in memory
                if number >= MAX_MEMBERS:
                    raise ValueError(f"{name}: more than {MAX_MEMBERS} members")
                if not member.isdir():
                    _check(member, name)
                    yield _keyed(member)
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{name}: not a readable, uncompressed tar ({error})") from error
    except UNREACHED as error:
        raise ValueError(store_error(name, error)) from error


def _check(member: tarfile.TarInfo, name: str) -> None:
    if not member.isreg() or member.issparse():
        raise ValueError(f"{name}: member {member.name!r} is a link or a device; allowed: regular files")
    if member.name.startswith("/") or ".." in member.name.split("/") or "\\" in member.name or "\0" in member.name:
        raise ValueError(f"{name}: member {member.name!r} leads out of the archive")
    if member.name.rpartition(".")[2].lower() in PICKLED:
        raise ValueError(f"{name}: member {member.name!r} is a pickle, which may run code; allowed: images, JSON and text")
    if member.size > MAX_BYTES:
        raise ValueError(f"{name}: member {member.name!r} has {member.size} bytes; allowed: {MAX_BYTES}")


def _keyed(member: tarfile.TarInfo) -> tuple[str, IndexPart]:
    folder, _, file = member.name.rpartition("/")
    stem, _, kind = file.partition(".")
    return f"{folder}/{stem}", IndexPart(kind.lower(), member.offset_data, member.size)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"its text is not UTF-8 ({error})") from error
