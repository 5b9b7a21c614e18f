"""Publish a whole checkpoint of another family as a subject of evaluation: opened once, then copied with a manifest."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from model.evaluation.subject import open_whole
from model.manifest import identity, publish

COPIED = (".safetensors", ".json", ".jinja", ".txt", ".model")
"""Endings of what is copied: weights, configuration, tokenizer, processor; never pickles or code."""


def publish_whole(source: Path, out: Path) -> dict[str, Any]:
    """Publish a folder of transformers' format as `out`, for `evaluate.model: operator:NAME`.

    Returns:
        identity of the content, class of the model and number of its parameters.

    Raises:
        ValueError: it cannot be opened, brings code of its own, or has no safetensors.
    """
    files = [path for path in sorted(source.iterdir()) if path.is_file() and path.suffix in COPIED] if source.is_dir() else []
    if not any(path.suffix == ".safetensors" for path in files):
        raise ValueError(f"{source}: no safetensors; allowed: a folder of transformers' format, with config and processor")
    model, processor = open_whole(source)

    def copied(folder: Path) -> None:
        for path in files:
            shutil.copyfile(path, folder / path.name)

    publish(out, copied)
    return {"identity": identity(out), "model": type(model).__name__, "processor": type(processor).__name__,
            "parameters": sum(weight.numel() for weight in model.parameters())}
