"""The fingerprint of a stage's data: versions of generators, or contents of files. Torch-free and Pillow-free."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from model.config.fields import did_you_mean
from model.config.stages import DataConfig
from model.data.sources.fingerprints import category_content
from model.workbench import VERSIONS


def data_fingerprint(data: DataConfig, names: Iterable[str]) -> str:
    """Return 64 hex digits that identify the data of these categories or benchmarks.

    Raises:
        ValueError: the workbench has no such generator, or a file of the catalogue is missing.
    """
    wanted = sorted(set(names))
    if data.catalogue is not None:
        content = {name: category_content(data.catalogue, name) for name in wanted}
        return hashlib.sha256(json.dumps(["catalogue", content], sort_keys=True).encode()).hexdigest()
    if data.source == "workbench":
        for name in wanted:
            if name not in VERSIONS:
                raise ValueError(f"{name!r} is not in the workbench; {did_you_mean(name, VERSIONS)}")
    versions = {name: VERSIONS.get(name, 0) for name in wanted}
    return hashlib.sha256(json.dumps([data.source, data.seed, versions], sort_keys=True).encode()).hexdigest()
