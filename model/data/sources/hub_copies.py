"""Price and fetch copies of hub data sets, and check what came against what the hub has. Torch-free.

- Files lie in the cache by commit, so an interrupted call continues where it stopped, and a complete one fetches nothing.
- Each file is compared with the size and, for large files, the SHA-256 that the hub states; one that differs is
  removed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from model.config.catalogue import SourceConfig
from model.data.sources.hub_files import chosen_files
from model.huggingface import HubFile, fetch_from_dataset, list_dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The files of a data set that would be fetched."""

    hub: str
    """`owner/name`."""
    commit: str
    """The commit, 40 hex digits."""
    licence: str
    """The licence that the card states; empty if it states none."""
    files: tuple[tuple[str, HubFile], ...]
    """The subset and the file, in the order of subsets and splits."""

    @property
    def num_bytes(self) -> int:
        """The size of all files."""
        return sum(file.num_bytes for _, file in self.files)


def offer(hub: str, revision: str, *, subsets: Sequence[str], splits: Sequence[str]) -> Offer:
    """Ask the hub for the files of some subsets and splits.

    Args:
        hub: `owner/name`.
        revision: commit, branch or tag; empty is the newest commit.
        subsets: names of subsets; "" is the default one.
        splits: names of splits, of each subset.

    Raises:
        ValueError: the hub cannot be asked, or it has no such data set, subset, split or parquet files.
    """
    listing = list_dataset(hub, revision or "main", with_sizes=True)
    files = {each.name: each for each in listing.files}
    found: dict[str, tuple[str, HubFile]] = {}
    for subset in subsets:
        for split in splits:
            source = SourceConfig(
                category="general",
                name=hub,
                layout="cauldron",
                hub=hub,
                subset=subset,
                split=split,
                revision=listing.commit,
            )
            found |= {name: (subset, files[name]) for name in chosen_files(source, listing)}
    return Offer(hub=hub, commit=listing.commit, licence=listing.licence, files=tuple(found.values()))


def fetch(offered: Offer, *, cache: Path, tell: Callable[[HubFile], None] = lambda _: None) -> list[Path]:
    """Fetch the files that are not in the cache, and check all of them.

    Args:
        offered: what to fetch.
        cache: the folder of fetched and converted data, as a catalogue's `cache`.
        tell: called with each file when it is there.

    Returns:
        The local paths, in the order of the offer.

    Raises:
        ValueError: a file cannot be fetched, or is not what the hub has; the others stay in the cache.
    """
    paths = []
    for _, file in offered.files:
        path = fetch_from_dataset(offered.hub, offered.commit, file.name, cache=cache / "hub")
        _check(path, file, offered)
        paths.append(path)
        tell(file)
    return paths


def lay_out(offered: Offer, paths: Sequence[Path], folder: Path) -> None:
    """Put fetched files into one folder, as a local copy of a benchmark; links save the space of a second copy.

    The name of a file begins with its subset, if it is of one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for (subset, file), path in zip(offered.files, paths, strict=True):
        base = file.name.rpartition("/")[2]
        place = folder / (f"{subset}-{base}" if subset else base)
        place.unlink(missing_ok=True)
        try:
            os.link(path.resolve(), place)
        except OSError:  # another file system, or one without links
            shutil.copyfile(path, place)


def _check(path: Path, file: HubFile, offered: Offer) -> None:
    problem = ""
    if file.num_bytes and path.stat().st_size != file.num_bytes:
        problem = f"{path.stat().st_size} bytes; the hub has {file.num_bytes}"
    elif file.sha256:
        with path.open("rb") as content:
            found = hashlib.file_digest(content, "sha256").hexdigest()
        problem = (
            "" if found == file.sha256 else f"its SHA-256 begins with {found[:12]}; the hub has {file.sha256[:12]}"
        )
    if problem:
        path.resolve().unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        raise ValueError(
            f"hub data set {offered.hub}@{offered.commit[:8]}: {file.name}: {problem}\n"
            "hint: the file was removed; run the same command again to fetch it"
        )
