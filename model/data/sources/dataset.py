"""Open a data set of the catalogue: samples by number, and an error with file and index for each broken one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from PIL import Image

from model.config.catalogue import CatalogueConfig, RemoteConfig, SourceConfig, ending
from model.config.stages import Orientation
from model.data.shuffle import permuted
from model.data.sources.files import FileVersion, expand, inside, read
from model.data.sources.json_rows import JsonRows
from model.data.sources.layouts import RecordFormat, sample_of
from model.data.sources.parquet_rows import ParquetRows
from model.data.sources.tar_rows import TarRows
from model.data.sources.urls import fetch, is_remote
from model.images.decode import MAX_BYTES, decode_image, open_image
from model.samples import Sample


class BrokenSample(ValueError):  # noqa: N818 - it names the sample, not the program
    """A sample that cannot be used. The message has the data set, file and index, and the reason."""

    def __init__(self, title: str, where: str, reason: str) -> None:
        super().__init__(f"{title}: {where}: {reason}")
        self.title, self.where, self.reason = title, where, reason

    @property
    def place(self) -> str:
        """Data set, file and index, which identify the sample."""
        return f"{self.title}: {self.where}"


class Rows(Protocol):
    """Records by number, in whatever format."""

    def __len__(self) -> int:
        ...

    def where(self, row: int) -> str:
        """Return file and number of a record."""

    def record(self, row: int) -> Mapping[str, Any]:
        """Read a record. Raises ValueError if it cannot be read."""


class Source:
    """One data set."""

    def __init__(self, config: SourceConfig, catalogue: CatalogueConfig, orientation: Orientation = "stored") -> None:
        """Open the data set and find its records.

        Args:
            config: the data set's entry in the catalogue.
            catalogue: what may be opened, and where converted files are cached.
            orientation: whether a photograph's EXIF rotation is applied.

        Raises:
            ValueError: a file is missing, damaged or may not be opened, or there are no records.
        """
        self.config = config
        self._rows = _rows(config, catalogue)
        self._size = min(config.take, len(self._rows)) if config.take else len(self._rows)
        if config.take > len(self._rows):
            raise ValueError(f"{config.title}: take is {config.take}, but it has {len(self._rows)} samples")
        if not self._size:
            raise ValueError(f"{config.title}: {', '.join(config.files) or config.hub}: contains no samples")
        self._reading = RecordFormat(
            config.layout, config.category, config.boxes, _ImageOpener(config, catalogue.remote, orientation), config.layout_version
        )

    def __len__(self) -> int:
        return self._size

    def sample(self, index: int) -> Sample:
        """Open a sample.

        Raises:
            BrokenSample: the sample cannot be used.
        """
        row = self._row(index)
        name = f"{self.config.title}: {self._rows.where(row)}"
        try:
            return sample_of(self._rows.record(row), name, self._reading, source=self.config.title)
        except ValueError as error:
            raise self.broken(index, str(error)) from error

    def where(self, index: int) -> str:
        """Return file and number of a sample's record."""
        return self._rows.where(self._row(index))

    def broken(self, index: int, reason: str) -> BrokenSample:
        """Return the error for a sample, with the reason."""
        return BrokenSample(self.config.title, self._rows.where(self._row(index)), reason)

    def _row(self, index: int) -> int:
        return permuted(index, size=len(self._rows), key="take") if self.config.take else index


@lru_cache(maxsize=256)
def open_once(
    config: SourceConfig, catalogue: CatalogueConfig, versions: tuple[FileVersion, ...], orientation: Orientation
) -> Source:
    """Return an open data set. A process keeps it as long as its files do not change."""
    return Source(config, catalogue, orientation)


def open_dataset(config: SourceConfig, catalogue: CatalogueConfig, orientation: Orientation = "stored") -> Source:
    """Open a data set of a catalogue; `orientation` says whether photographs are rotated as their EXIF data say.

    Raises:
        ValueError: a file is missing, damaged or may not be opened, or there are no records.
    """
    return open_once(config, catalogue, tuple(versions_of(config, catalogue.remote)), orientation)


def versions_of(config: SourceConfig, remote: RemoteConfig) -> list[FileVersion]:
    """Return the present versions of a data set's files; empty for a hub data set."""
    return [file for name in config.files for file in expand(name, remote)]


def _rows(config: SourceConfig, catalogue: CatalogueConfig) -> Rows:
    files = versions_of(config, catalogue.remote)
    kind = ending(config.files[0]) if config.files else ".parquet"
    return _KINDS.get(kind, JsonRows)(config, files, catalogue.remote, catalogue.cache)


_KINDS: dict[str, Callable[[SourceConfig, list[FileVersion], RemoteConfig, str], Rows]] = {
    ".parquet": ParquetRows,
    ".tar": TarRows,
}


class _ImageOpener:
    """Opens the image to which a record refers, within the rules of the catalogue."""

    def __init__(self, config: SourceConfig, remote: RemoteConfig, orientation: Orientation) -> None:
        self._root, self._remote, self._orientation = config.images, remote, orientation

    def __call__(self, reference: Any) -> Image.Image:
        """Open an image. Raises ValueError with the reason if it cannot be opened."""
        if isinstance(reference, Mapping):
            content = reference.get("bytes")
            reference = content if content is not None else reference.get("path")
        if isinstance(reference, bytes):
            return decode_image(reference, "its image", orientation=self._orientation)
        if not isinstance(reference, str) or not reference:
            raise ValueError(f"image {str(reference)[:40]!r}; allowed: a name, an address or bytes")
        if is_remote(reference):
            content = fetch(reference, self._remote, max_bytes=self._remote.max_bytes)
            return decode_image(content, reference, orientation=self._orientation)
        if not self._root:
            raise ValueError(f"image {reference!r} is a file name, but the data set declares no folder `images`")
        if is_remote(self._root):
            (file,) = expand(f"{self._root.rstrip('/')}/{_plain(reference)}", self._remote)
            content = read(file, self._remote, size=min(file.size, MAX_BYTES + 1))
            return decode_image(content, file.name, orientation=self._orientation)
        return open_image(inside(self._root, reference), orientation=self._orientation)


def _plain(name: str) -> str:
    if name.startswith("/") or ".." in name.split("/") or any(character in name for character in "*?\\"):
        raise ValueError(f"{name!r}: not a file name below the folder of images")
    return name
