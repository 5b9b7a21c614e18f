"""The model of an evaluation, verified and loaded; the last one stays for the next benchmark of the same checkpoint.

A checkpoint is asked some thirty benchmarks, each a stage of its own, and a worker lives through many stages. Hashing and
reading 14 GB of mm1.5-3b thirty times would take longer than answering most of them.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import torch

from model.manifest import verify
from model.network.mm15 import MM15
from model.training.low_weights import lower


def open_model(checkpoint: Path, *, tile: int, dtype: Literal["fp32", "bf16"]) -> MM15:
    """Return the model of a checkpoint on this process's device, ready to answer at a tile side in px.

    With `bf16` the weights of products are bf16 from here on, as autocast would make them in each pass.

    Raises:
        CorruptDirectory: the checkpoint is damaged.
        ValueError: it is of another model.
    """
    # What a file says of itself: one that was changed since is verified again.
    files = tuple(sorted((each.name, each.stat().st_size, each.stat().st_mtime_ns) for each in checkpoint.iterdir()))
    return _opened(checkpoint, files, tile, dtype)


def let_go() -> None:
    """Free the model that was kept for the next benchmark."""
    _opened.cache_clear()


@lru_cache(maxsize=1)
def _opened(checkpoint: Path, _files: tuple[tuple[str, int, int], ...], tile: int, dtype: str) -> MM15:
    verify(checkpoint)
    model = MM15.from_pretrained(checkpoint, tile=tile).eval()
    if dtype == "bf16":
        lower(model)
    return model.to("cuda" if torch.cuda.is_available() else "cpu")
