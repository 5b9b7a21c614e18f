"""What an operator's catalogue declares: data sets, their files, and what may be opened. Torch-free.

The YAML is read by the orchestrator's strict loader, which hands these values down; a study cannot set them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from model.config.fields import FieldError, did_you_mean
from model.config.taxonomy import CATEGORIES

Layout = Literal["llava", "cauldron", "caption", "interleaved", "text"]
BoxForm = Literal["none", "thousandths", "fractions", "fractions_of_square", "pixels", "pixels_xywh", "qwen"]
SCHEMES = ("https", "s3", "gs")
"""Remote schemes that a catalogue may allow."""
CONTAINERS = (".json", ".jsonl", ".parquet", ".tar")
"""Endings of files that can be read; all of a source have the same one."""
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteConfig:
    """Which addresses may be opened; the default is none."""

    schemes: tuple[str, ...] = ()
    """Of https, s3 and gs."""
    hosts: tuple[str, ...] = ()
    """Host names for https, buckets for s3 and gs, `huggingface.co` for the hub."""
    max_bytes: int = 64 * 2**20
    """Largest image fetched from a URL."""

    def __post_init__(self) -> None:
        """Refuse a scheme that is not safe to allow."""
        for i, scheme in enumerate(self.schemes):
            if scheme not in SCHEMES:
                raise FieldError(f"schemes[{i}]", f"{scheme!r}; allowed: {', '.join(SCHEMES)}")
        if self.max_bytes < 1:
            raise FieldError("max_bytes", f"{self.max_bytes}; allowed: >= 1")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceConfig:
    """One data set: which files, in which layout. Everything but paths and `broken` can change the samples."""

    category: str
    name: str
    layout: Layout
    files: tuple[str, ...] = ()
    """Paths or addresses of .json, .jsonl, .parquet or .tar; `*` and `?` stand for parts of a file name."""
    hub: str = ""
    """A data set of the Hugging Face hub, `owner/name`, instead of files."""
    subset: str = ""
    """Configuration of the hub data set."""
    split: str = "train"
    revision: str = ""
    """Commit of the hub data set, 40 hex digits: a name that moves would change results unnoticed."""
    images: str = ""
    """Folder below which the image names of JSON records lie."""
    image_prefix: str = ""
    """Take only records whose first image begins so: one part of a mixed file."""
    take: int = 0
    """Take this many samples, chosen once and for all; 0 takes all."""
    boxes: BoxForm = "none"
    """Form of the boxes in the text, converted to thousandths of the image; `none` leaves the text alone."""
    broken: float = 0.0
    """Largest share of the data set, below 1, that may be broken and is then replaced and reported; 0 makes each one an error."""

    def __post_init__(self) -> None:
        """Refuse what cannot be opened."""
        if self.category not in CATEGORIES:
            raise FieldError("category", f"{self.category!r}", did_you_mean(self.category, CATEGORIES))
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
        if not 0 <= self.broken < 1:
            raise FieldError("broken", f"{self.broken:g}; allowed: 0 to below 1")

    @property
    def title(self) -> str:
        """Category and name: some names occur in two categories."""
        return f"{self.category}/{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyConfig:
    """A local copy of a public benchmark."""

    name: str
    folder: str
    """Holds what the benchmark's `layout` describes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueConfig:
    """The data sets that a stage may draw from."""

    name: str
    sources: tuple[SourceConfig, ...]
    remote: RemoteConfig = RemoteConfig()
    cache: str = ""
    """Folder for indices, hashes and converted parquet; empty keeps nothing."""
    benchmarks: tuple[CopyConfig, ...] = ()

    def copy_of(self, benchmark: str) -> Path | None:
        """Return the folder of a benchmark's local copy, None where there is none."""
        return next((Path(each.folder) for each in self.benchmarks if each.name == benchmark), None)

    def of(self, category: str) -> tuple[SourceConfig, ...]:
        """Return the data sets of a category by name, so that their order in the file does not matter."""
        return tuple(sorted((each for each in self.sources if each.category == category), key=lambda each: each.name))


def ending(name: str) -> str:
    """Return the ending of a file name with its dot, or nothing."""
    return name[name.rfind("."):].lower() if "." in name.rpartition("/")[2] else ""
