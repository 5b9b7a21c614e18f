"""Fetch the parquet files of a hub data set into the operator's cache, for one subset and split.

- The data set's card says which files these are, else their names do. A card is untrusted text: its patterns only
  choose among the files of the repository at that commit. A pattern that is a URL or a path of this machine is refused,
  and no script is run.
- The choice is cached, so any number of processes with one cache ask the hub once, and later ones not at all.
- The catalogue must allow the scheme and host of the hub.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from model.config.catalogue import RemoteConfig, SourceConfig
from model.config.fields import did_you_mean
from model.data.sources.files import FileVersion, expand
from model.data.sources.text_cache import cached_text
from model.huggingface import Listing, end_point, fetch_from_dataset, list_dataset

UNSAID = ("{split}.parquet", "{split}-*.parquet", "{split}/*.parquet", "data/{split}-*.parquet", "data/{split}.parquet")
"""Where the files of a split are if no card says so, below the folder of the subset if one is requested."""
NAMED = 5
"""How many files or subsets a message lists."""


def hub_files(config: SourceConfig, remote: RemoteConfig, cache: str) -> list[FileVersion]:
    """Return the local files of a hub data set; those that are missing are fetched.

    Raises:
        ValueError: the catalogue does not allow the hub, there are no such files, or they cannot be fetched.
    """
    scheme, host = end_point()
    if host not in remote.hosts or scheme not in remote.schemes:
        raise ValueError(f"hub data set {config.hub}: the catalogue does not allow {scheme} to {host}")
    chosen: list[str] = json.loads(
        cached_text(
            lambda: json.dumps(chosen_files(config, list_dataset(config.hub, config.revision))),
            cache=cache,
            kind="hub-files",
            key=(config.hub, config.subset, config.split, config.revision),
        )
    )
    fetched = [fetch_from_dataset(config.hub, config.revision, name, cache=Path(cache) / "hub") for name in chosen]
    return [file for path in fetched for file in expand(str(path), remote)]


def chosen_files(config: SourceConfig, listing: Listing) -> list[str]:
    """Return the files of a data set's subset and split, by name.

    Raises:
        ValueError: there is no such subset or split, or its files are not parquet.
    """
    from fsspec.utils import glob_translate  # as in files.py: only who opens the hub waits for this import

    patterns = _said(config, listing.configs) if listing.configs else _unsaid(config, config.subset)
    for pattern in patterns:
        if "://" in pattern or pattern.startswith("/") or ".." in pattern.split("/"):
            raise ValueError(f"{_title(config)}: the card refers to {pattern!r}; allowed: files of its own repository")
    rules = [re.compile(glob_translate(pattern)) for pattern in patterns]
    chosen = [name for name in listing.names if any(rule.match(name) for rule in rules)]
    if not chosen:
        raise ValueError(f"{_title(config)}: no file matches {', '.join(patterns)}; it has {_some(listing.names)}")
    others = [name for name in chosen if not name.lower().endswith(".parquet")]
    if others:
        raise ValueError(
            f"{_title(config)}: {_some(others)}; allowed: .parquet\nhint: download other files and list them under `files`"
        )
    return chosen


def _said(config: SourceConfig, configs: tuple[Any, ...]) -> list[str]:
    """Return the patterns that the card gives for the subset and the split."""
    named = {str(each.get("config_name")): each for each in configs if isinstance(each, Mapping)}
    first = next((name for name, each in named.items() if each.get("default") is True), "default")
    subset = config.subset or (next(iter(named)) if len(named) == 1 else first)
    if subset not in named:
        raise ValueError(f"{_title(config)}: no such subset\nhint: {did_you_mean(subset, named)}")
    below, splits = str(named[subset].get("data_dir") or "").rstrip("/"), _splits(named[subset].get("data_files"))
    if not splits:
        return _unsaid(config, below or config.subset)
    if config.split not in splits:
        raise ValueError(f"{_title(config)}: no such split\nhint: {did_you_mean(config.split, splits)}")
    return [_below(below, pattern) for pattern in splits[config.split]]


def _splits(data_files: Any) -> dict[str, list[str]]:
    """Return the patterns of each split. Cards write them in several ways; files without a split belong to `train`."""
    found: dict[str, list[str]] = {}
    entries = data_files if isinstance(data_files, list) else [] if data_files is None else [data_files]
    for entry in entries:
        split, paths = (
            (entry.get("split", "train"), entry.get("path")) if isinstance(entry, Mapping) else ("train", entry)
        )
        found.setdefault(str(split), []).extend(map(str, paths if isinstance(paths, list) else [paths]))
    return found


def _unsaid(config: SourceConfig, folder: str) -> list[str]:
    return [_below(folder, form.format(split=config.split)) for form in UNSAID]


def _below(folder: str, pattern: str) -> str:
    return f"{folder}/{pattern}" if folder else pattern


def _title(config: SourceConfig) -> str:
    return f"hub data set {config.hub}, subset {config.subset or 'default'}, split {config.split}"


def _some(names: tuple[str, ...] | list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return (", ".join(names[:NAMED]) or "no file") + more
