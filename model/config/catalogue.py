"""The operator's catalogue: data sets, their files, and the addresses that may be opened. Torch-free.

The orchestrator reads the YAML with its strict loader and passes these values on; a study cannot set them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.config.benchmark import Benchmark
from model.config.fields import FieldError, did_you_mean

LAYOUTS = ("llava", "cauldron", "caption", "interleaved", "text")
"""Layouts of records that need no package."""
BoxForm = Literal["none", "thousandths", "fractions", "fractions_of_square", "pixels", "pixels_xywh", "qwen"]
SCHEMES = ("https", "s3", "gs")
"""Remote schemes that a catalogue may allow."""
CONTAINERS = (".json", ".jsonl", ".parquet", ".tar")
"""Endings of files that can be read; all files of a source have the same one."""
_CATEGORY = re.compile(r"[a-z][a-z0-9_]{0,62}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteConfig:
    """The addresses that may be opened; by default none."""

    schemes: tuple[str, ...] = ()
    """Allowed schemes, from https, s3 and gs."""
    hosts: tuple[str, ...] = ()
    """Allowed hosts: host names for https, buckets for s3 and gs, `huggingface.co` for the hub."""
    max_bytes: int = 64 * 2**20
    """Largest image that is fetched from a URL, in bytes."""

    def __post_init__(self) -> None:
        for i, scheme in enumerate(self.schemes):
            if scheme not in SCHEMES:
                raise FieldError(f"schemes[{i}]", f"{scheme!r}; allowed: {', '.join(SCHEMES)}")
        if self.max_bytes < 1:
            raise FieldError("max_bytes", f"{self.max_bytes}; allowed: >= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One data set: its files and their layout. All fields except paths and `broken` can change the samples."""

    category: str
    """Category of the mixture, one of `CATEGORIES` or one that the catalogue declares."""
    name: str
    """Name of the data set, unique within its category."""
    layout: str
    """Layout of the records: one of `LAYOUTS`, or an entry point of `ablate.layouts`."""
    layout_version: int = 0
    """Version of that entry point; 0 for our own layouts."""
    files: tuple[str, ...] = ()
    """Paths or addresses of .json, .jsonl, .parquet or .tar files; `*` and `?` stand for parts of a file name."""
    hub: str = ""
    """Data set of the Hugging Face hub, `owner/name`; replaces `files`."""
    subset: str = ""
    """Configuration (subset) of the hub data set."""
    split: str = "train"
    """Split of the hub data set."""
    revision: str = ""
    """Commit of the hub data set, 40 hex digits; a branch could change, and results with it, without notice."""
    images: str = ""
    """Folder that the image names in JSON records are relative to."""
    image_prefix: str = ""
    """Take only records whose first image name begins with this, to select one part of a mixed file."""
    take: int = 0
    """Number of samples to take, always the same ones; 0 takes all."""
    repeat: int = 1
    """How often a pass over its category takes the data set, to see a small one more often."""
    boxes: BoxForm = "none"
    """Form of the boxes in the text, which are converted to thousandths of the image; `none` does not change texts."""
    broken: float = 0.0
    """Largest share of broken samples, 0 to below 1. They are replaced and reported; 0 makes each of them an error."""

    def __post_init__(self) -> None:
        if not _CATEGORY.fullmatch(self.category):
            raise FieldError("category", f"{self.category!r}; allowed: a name of a-z, 0-9 and '_'")
        if self.layout not in LAYOUTS and not self.layout_version:
            raise FieldError("layout", f"{self.layout!r}; allowed: {', '.join(LAYOUTS)}", did_you_mean(self.layout, LAYOUTS))
        if bool(self.files) == bool(self.hub):
            raise FieldError("files", "a data set has either files or hub")
        if self.hub and not _COMMIT.fullmatch(self.revision):
            raise FieldError("revision", f"{self.revision!r}; allowed: a commit of 40 hex digits")
        if {ending(name) for name in self.files} - set(CONTAINERS):
            raise FieldError("files", f"{', '.join(self.files)}; allowed endings: {', '.join(CONTAINERS)}")
        if len({ending(name) for name in self.files}) > 1:
            raise FieldError("files", "of different kinds; allowed: all with one ending")
        if self.take < 0:
            raise FieldError("take", f"{self.take}; allowed: >= 0")
        if not 1 <= self.repeat <= 1000:
            raise FieldError("repeat", f"{self.repeat}; allowed: 1 to 1000")
        if not 0 <= self.broken < 1:
            raise FieldError("broken", f"{self.broken:g}; allowed: 0 to below 1")

    @property
    def title(self) -> str:
        """The category and the name, since some names occur in two categories."""
        return f"{self.category}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyConfig:
    """A local copy of a benchmark."""

    name: str
    """Name of the benchmark."""
    folder: str
    """Folder with the files that the benchmark's `layout` describes."""

    @property
    def path(self) -> Path:
        """The folder."""
        return Path(self.folder)


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueConfig:
    """The data sets that a stage may use, and local copies of benchmarks."""

    name: str
    """Name of the catalogue."""
    sources: tuple[SourceConfig, ...]
    """The data sets."""
    remote: RemoteConfig = RemoteConfig()
    """The addresses that may be opened."""
    cache: str = ""
    """Folder for indices, hashes and converted parquet files; empty keeps none of them."""
    benchmarks: tuple[CopyConfig, ...] = ()
    """Local copies of benchmarks."""
    own: tuple[Benchmark, ...] = ()
    """The benchmarks of the operator's own, which have a copy each."""

    def copy_of(self, benchmark: str) -> Path | None:
        """Return the folder of a benchmark's local copy; None if there is no copy."""
        return next((Path(each.folder) for each in self.benchmarks if each.name == benchmark), None)

    def of(self, category: str) -> tuple[SourceConfig, ...]:
        """Return the data sets of a category, sorted by name, so that their order in the file does not matter."""
        return tuple(sorted((each for each in self.sources if each.category == category), key=lambda each: each.name))


def ending(name: str) -> str:
    """Return the ending of a file name in lower case, with its dot; empty if there is none."""
    return name[name.rfind("."):].lower() if "." in name.rpartition("/")[2] else ""
