"""The items of a public benchmark, from a local copy of its data.

- A copy is a folder; `Benchmark.layout` says what it contains. Nothing is downloaded.
- Rows are read at once, images when an item is asked for, because a benchmark is larger than memory.
- A row that cannot become an item is an error with file and number; none is skipped.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from model.config.benchmark import Benchmark
from model.config.stages import Orientation
from model.evaluation.local_copies import in_context
from model.evaluation.local_copies.draft import ItemDraft, Maker
from model.evaluation.local_copies.general import GENERAL
from model.evaluation.local_copies.own import own_items
from model.evaluation.local_copies.rows import JUDGE, Row, rows_of
from model.evaluation.local_copies.several import SEVERAL
from model.samples import Item

MAKERS: dict[str, Maker] = GENERAL | SEVERAL
MAX_TEXT_BYTES = 2**20


class LocalItems:
    """The items of a benchmark's local copy, opened one by one."""

    def __init__(self, spec: Benchmark, folder: Path, orientation: Orientation = "stored") -> None:
        """Read the rows.

        Args:
            spec: the benchmark.
            folder: the folder of the copy.
            orientation: whether photographs are rotated as their EXIF data say.

        Raises:
            ValueError: the copy does not exist, a row is broken, or two items have the same name.
        """
        self.spec, self.folder, self._orientation = spec, folder, orientation
        in_shots = spec.category == "in_context"
        self._drafts = in_context.drafts(spec, folder) if in_shots else [
            draft for row in rows_of(folder) for draft in _made(row, spec)]
        if not self._drafts:
            raise ValueError(f"{folder}: no items of {spec.name}; allowed: {spec.layout}")
        seen: set[str] = set()
        for draft in self._drafts:
            if draft.item_id in seen:
                raise ValueError(
                    f"{draft.where or folder}: two items have the name {draft.item_id}; allowed: each name once"
                )
            seen.add(draft.item_id)

    def __len__(self) -> int:
        return len(self._drafts)

    def __getitem__(self, index: int) -> Item:
        """Return an item with its images.

        Raises:
            ValueError: an image cannot be opened, or the numbers of markers and of images differ.
        """
        return self._drafts[index].item(self.spec.name, self._orientation)

    def where(self, index: int) -> str:
        """Return file and row of an item."""
        return self._drafts[index].where

    def meta(self, index: int) -> dict[str, str]:
        """Return what is known about an item without opening its images."""
        return self._drafts[index].meta

    def materials(self) -> dict[str, str]:
        """Return the judge's instructions in the copy: file name -> text."""
        folder = self.folder / JUDGE
        return (
            {path.name: _text(path) for path in sorted(folder.iterdir()) if path.is_file()} if folder.is_dir() else {}
        )


def _made(row: Row, spec: Benchmark) -> list[ItemDraft]:
    """Make the drafts of a row. Errors have file and number, and are raised before a model is loaded.

    Raises:
        ValueError: the row cannot become an item.
    """
    maker = own_items if spec.reader else MAKERS[spec.name]
    try:
        drafts = [replace(draft, where=row.where) for draft in maker(row, spec)]
        for draft in drafts:
            draft.check()
    except ValueError as error:
        raise ValueError(str(error) if str(error).startswith(row.where) else f"{row.where}: {error}") from error
    except (KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"{row.where}: {type(error).__name__}: {error}; allowed: {spec.layout}") from error
    return drafts


def _text(path: Path) -> str:
    if path.stat().st_size > MAX_TEXT_BYTES:
        raise ValueError(f"{path}: {path.stat().st_size} bytes; allowed: {MAX_TEXT_BYTES}")
    return path.read_text(encoding="utf-8-sig")
