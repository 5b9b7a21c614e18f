"""Read records of .jsonl and .json files by number, without keeping them in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from model.config.catalogue import RemoteConfig, SourceConfig, ending
from model.data.sources.files import FileVersion, read
from model.data.sources.record_index import IndexedRows, IndexPart, Located, indexed

_SPACE = " \t\r\n"
_MARK = "\ufeff"
"""Byte order mark with which Windows tools begin a UTF-8 file; it is not part of the text."""


class JsonRows(IndexedRows):
    """The records of a source's files. With `image_prefix`, only those whose first image starts with it."""

    def __init__(self, config: SourceConfig, files: list[FileVersion], remote: RemoteConfig, cache: str) -> None:
        def scan(file: FileVersion) -> Iterator[Located]:
            content = read(file, remote)
            found = _lines(content) if ending(file.name) == ".jsonl" else _elements(content, file.name)
            for ordinal, (offset, size) in enumerate(found):
                if not config.image_prefix or _begins(content[offset : offset + size], config.image_prefix):
                    yield Located(ordinal, (IndexPart("json", offset, size),))

        super().__init__(indexed(files, scan, cache=cache, salt=f"json {config.image_prefix}"), remote)

    def record(self, row: int) -> Mapping[str, Any]:
        """Read a record.

        Raises:
            ValueError: it is not a JSON object.
        """
        ((_, content),) = self._parts(row)
        return parsed(content)


def parsed(content: bytes) -> Mapping[str, Any]:
    """Return the JSON object in these bytes.

    Raises:
        ValueError: they are not a JSON object.
    """
    try:
        record = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(record, dict):
        raise ValueError(f"{str(record)[:40]!r} is not a JSON object")
    return record


def _lines(content: bytes) -> Iterator[tuple[int, int]]:
    offset = 0
    while offset < len(content):
        end = content.find(b"\n", offset)
        end = len(content) if end < 0 else end
        if content[offset:end].strip():
            yield offset, end - offset
        offset = end + 1


def _elements(content: bytes, name: str) -> Iterator[tuple[int, int]]:
    """Return offset and size, in bytes, of the elements of a JSON list."""
    try:
        text = content.decode("utf-8")
        elements = list(_decoded(text))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{name}: not a JSON list ({error})") from error
    position = offset = 0
    for start, end in elements:
        offset += len(text[position:start].encode())
        size = len(text[start:end].encode())
        yield offset, size
        position, offset = end, offset + size


def _decoded(text: str) -> Iterator[tuple[int, int]]:
    decode = json.JSONDecoder().raw_decode
    place = _after_space(text, len(_MARK) if text.startswith(_MARK) else 0)
    if text[place : place + 1] != "[":
        raise ValueError("does not begin with '['")
    place = _after_space(text, place + 1)
    while text[place : place + 1] != "]":
        _, end = decode(text, place)
        yield place, end
        place = _after_space(text, end)
        if text[place : place + 1] == ",":
            place = _after_space(text, place + 1)
        elif text[place : place + 1] != "]":
            raise ValueError(f"no ',' or ']' at character {place}")
    if text[place + 1 :].strip():
        raise ValueError(f"something follows the list at character {place + 1}")


def _after_space(text: str, place: int) -> int:
    while text[place : place + 1] in _SPACE and place < len(text):
        place += 1
    return place


def _begins(content: bytes, prefix: str) -> bool:
    image = parsed(content).get("image", "")
    first = image[0] if isinstance(image, list) and image else image
    return isinstance(first, str) and first.startswith(prefix)
