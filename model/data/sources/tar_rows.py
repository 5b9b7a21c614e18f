"""Read samples of WebDataset shards by number, from their place in the archive; nothing is extracted.

- A sample consists of consecutive members with the same name up to the first dot. What follows the dot is the kind
  (`jpg`, `txt`, `json`).
- Nothing is written to disk, so a member's name cannot lead anywhere. Links, devices, absolute names and names with
  `..` are refused all the same: a shard with them was made with bad intent.
- Only plain .tar: a member of a compressed archive cannot be read without everything before it.
- An archive is complete or refused. A reader that stops at the first unreadable header would silently lose the samples
  after it. So after the last member there must be exactly the end that every writer of tars makes.
"""

from __future__ import annotations

import re
import tarfile
from collections.abc import Iterator, Mapping
from itertools import groupby
from typing import Any

from model.config.catalogue import RemoteConfig, SourceConfig
from model.data.sources.files import FileVersion, open_stream
from model.data.sources.json_rows import parsed
from model.data.sources.record_index import IndexedRows, IndexPart, Located, indexed
from model.data.sources.store_errors import UNREACHED, store_error
from model.images.decode import MAX_BYTES, OTHER_PICTURES
from model.samples import FILMS

IMAGES = ("jpg", "jpeg", "png", "webp")
PICKLED = ("pkl", "pickle", "pyd", "pt", "pth")
"""Kinds that WebDataset's own reader would unpickle, which can run code of whoever made the shard."""
MAX_MEMBERS = 10_000_000
END_BYTES = 2 * tarfile.BLOCKSIZE
"""Two empty blocks end an archive; most writers pad it to a whole record after them."""


class TarRows(IndexedRows):
    """The samples of a source's shards."""

    def __init__(self, config: SourceConfig, files: list[FileVersion], remote: RemoteConfig, cache: str) -> None:
        if config.image_prefix:
            raise ValueError("image_prefix is for JSON files; a tar names its images by its members")
        super().__init__(indexed(files, lambda file: _scan(file, remote), cache=cache, salt="tar"), remote)

    def record(self, row: int) -> Mapping[str, Any]:
        """Read a sample.

        Its JSON is the record, its text becomes `text`, and its image `image`; several images become `images`, in the
        order of their kinds. Numbers in the kinds count as numbers: `9.png` comes before `10.png`.

        Raises:
            ValueError: it holds nothing that is known, or an image or film that cannot be read.
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
            else:
                _check_kind(kind)
        contents = [content for _, content in sorted(images, key=lambda each: _numeric(each[0]))]
        if contents:
            record["image"] = contents[0] if len(contents) == 1 else contents
        if "images" in record or len(contents) > 1:
            record["images"] = _placed(record.get("images"), contents)
        return record


def _check_kind(kind: str) -> None:
    """Refuse images or films of an unreadable kind, because without them the sample would pass as text.

    Other kinds are ignored.
    """
    if kind.rpartition(".")[2] in (*FILMS, *OTHER_PICTURES):
        raise ValueError(f"its member .{kind} cannot be read; allowed: {', '.join(IMAGES)}")


def _numeric(kind: str) -> list[tuple[int, str]]:
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", kind) if part]


def _placed(images: Any, contents: list[bytes]) -> list[Any]:
    """Put a sample's images, in their order, where its JSON's `images` is not None."""
    if not isinstance(images, list):
        return list(contents)
    if sum(image is not None for image in images) != len(contents):
        raise ValueError(f"{len(contents)} images, but its JSON lists {sum(image is not None for image in images)}")
    waiting = iter(contents)
    return [None if image is None else next(waiting) for image in images]


def _scan(file: FileVersion, remote: RemoteConfig) -> Iterator[Located]:
    with open_stream(file, remote) as opened:
        members = _members(opened, file.name)
        for ordinal, (_, parts) in enumerate(groupby(members, key=lambda each: each[0])):
            yield Located(ordinal, _different(tuple(part for _, part in parts), f"{file.name}:{ordinal}"))


def _different(parts: tuple[IndexPart, ...], where: str) -> tuple[IndexPart, ...]:
    kinds = [part.kind for part in parts]
    twice = sorted({kind for kind in kinds if kinds.count(kind) > 1})
    if twice:
        raise ValueError(f"{where}: holds .{twice[0]} twice; allowed: each kind once in a sample")
    return parts


def _members(opened: Any, name: str) -> Iterator[tuple[str, IndexPart]]:
    """Yield the members as (sample, part).

    Raises:
        ValueError: the archive is damaged, truncated, compressed, or contains what no shard should.
    """
    try:
        with tarfile.open(fileobj=opened, mode="r:") as archive:
            for number, member in enumerate(archive):
                archive.members = []  # type: ignore[attr-defined]  # otherwise all members stay in memory
                if number >= MAX_MEMBERS:
                    raise ValueError(f"{name}: more than {MAX_MEMBERS} members")
                if not member.isdir():
                    _check(member, name)
                    yield _keyed(member)
            _check_end(opened, archive.offset, name)
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{name}: not a readable, uncompressed tar ({error})") from error
    except UNREACHED as error:
        raise ValueError(store_error(name, error)) from error


def _check_end(opened: Any, offset: int, name: str) -> None:
    """Refuse an archive that continues after its last readable member, or that is truncated there.

    Args:
        opened: the archive.
        offset: where the reader stopped, in bytes.
        name: the file's name.
    """
    opened.seek(0, 2)
    size = opened.tell()
    opened.seek(offset)
    rest = opened.read(END_BYTES + tarfile.RECORDSIZE)
    problem = _problem_of_end(rest, offset, size)
    if problem:
        raise ValueError(f"{name}: not a whole tar of {size} bytes: {problem}")


def _problem_of_end(rest: bytes, offset: int, size: int) -> str:
    """Return what is wrong with the end of an archive, or "".

    `rest` is what follows the last readable member, which ends at `offset`, as far as it matters.
    """
    if rest[: tarfile.BLOCKSIZE].strip(b"\0"):
        return f"the header at byte {offset} is damaged, or the file was cut in it\nhint: fetch or write it again"
    if len(rest) < END_BYTES:
        return "it ends without the two empty blocks that close an archive\nhint: fetch or write it again"
    if rest.strip(b"\0"):
        return (
            f"something follows its end at byte {offset}\n"
            "hint: of joined archives only the first is read; list each by itself, or join them with `tar --concatenate`"
        )
    filled = -(-(offset + END_BYTES) // tarfile.RECORDSIZE) * tarfile.RECORDSIZE
    if size not in (offset + END_BYTES, filled):
        return (
            f"its last member ends at byte {offset}, and all that follows is empty; allowed: {END_BYTES} empty bytes, or up to "
            f"the next multiple of {tarfile.RECORDSIZE}\nhint: a part of it is lost; fetch or write it again"
        )
    return ""


def _check(member: tarfile.TarInfo, name: str) -> None:
    if not member.isreg() or member.issparse():
        raise ValueError(f"{name}: member {member.name!r} is a link or a device; allowed: regular files")
    if member.name.startswith("/") or ".." in member.name.split("/") or "\\" in member.name or "\0" in member.name:
        raise ValueError(f"{name}: member {member.name!r} leads out of the archive")
    if member.name.rpartition(".")[2].lower() in PICKLED:
        raise ValueError(
            f"{name}: member {member.name!r} is a pickle, which may run code; allowed: images, JSON and text"
        )
    if member.size > MAX_BYTES:
        raise ValueError(f"{name}: member {member.name!r} has {member.size} bytes; allowed: {MAX_BYTES}")


def _keyed(member: tarfile.TarInfo) -> tuple[str, IndexPart]:
    folder, _, file = member.name.rpartition("/")
    stem, _, kind = file.partition(".")
    return f"{folder}/{stem}", IndexPart(kind.lower(), member.offset_data, member.size)


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8-sig").strip()
    except UnicodeDecodeError as error:
        raise ValueError(f"its text is not UTF-8 ({error})") from error
