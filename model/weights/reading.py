"""Find a folder of weights, on disk or on the hub, and read its safetensors. Pickles are never read.

- A name that is not a folder is a hub repository, `owner/name` or `owner/name@revision`. Only safetensors, JSON and
  tokenizer files are fetched. If the hub cannot be reached, its local cache is used.
- A folder that holds only pickled weights is refused: reading a pickle runs the code in it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from model.huggingface import fetch_model
from model.network.strict_loading import refuse

FETCHED = ("*.safetensors", "*.json", "*.model", "*.txt")
"""Patterns of the files that are fetched from a hub repository: weights, configurations, tokenizers."""
TRANSFORMERS_WEIGHTS, OPEN_CLIP_WEIGHTS = "model.safetensors", "open_clip_model.safetensors"
"""Names of a single file with all weights."""
INDEX = "model.safetensors.index.json"
"""File that names the file of each tensor if the weights are split into several."""
LFS = b"version https://git-lfs"
"""Beginning of a Git LFS pointer, which stands for a file that was not downloaded."""
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
"""Patterns of files with pickled weights, for the error message."""


def folder_of(name: str, *, cache: Path | None = None) -> Path:
    """Return the local folder of a path or of a hub repository; the repository is fetched if it is not cached.

    Args:
        name: a folder, or `owner/name`, optionally with `@revision`.
        cache: folder of the hub's cache; None is the default of huggingface_hub.

    Raises:
        ValueError: the name is neither a folder nor a repository that can be fetched.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        return path
    repository, _, revision = name.partition("@")
    try:
        return fetch_model(repository, revision or None, patterns=FETCHED, cache=cache)
    except ValueError as error:
        raise ValueError(f"{name}: no such folder; {error}") from error


def read_json(path: Path) -> dict[str, Any]:
    """Return the content of a JSON file that must hold a mapping.

    Raises:
        ValueError: the file is missing, is not JSON, or holds no mapping; the message names it.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: cannot be read ({type(error).__name__}: {error})") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path}: is {type(content).__name__}; allowed: a JSON object")
    return content


def read_tensors(folder: Path, *, first: str = TRANSFORMERS_WEIGHTS) -> dict[str, Tensor]:
    """Read all tensors of a folder, from a single file or from the files that its index names.

    Args:
        folder: folder of a checkpoint.
        first: the file to read if the folder has those of both transformers and open_clip.

    Raises:
        ValueError: there are no safetensors, one is damaged, or files and index disagree; the message names the file.
    """
    if first == TRANSFORMERS_WEIGHTS and (folder / INDEX).exists():
        return _indexed(folder, read_json(folder / INDEX))
    names = sorted({TRANSFORMERS_WEIGHTS, OPEN_CLIP_WEIGHTS}, key=lambda name: name != first)
    files = [folder / name for name in names if (folder / name).exists()]
    if not files:
        pickled = sorted(path.name for pattern in PICKLES for path in folder.glob(pattern))
        raise ValueError(f"{folder}: holds {', '.join(pickled) or 'no weights'}; "
                         f"allowed: {', '.join(names)} or {INDEX}\n"
                         "hint: pickled weights are never read; save them as safetensors first")
    return _read(files[0])


def check_form(folder: Path) -> None:
    """Refuse a folder whose weights are quantised, truncated, or pointers of Git LFS.

    Only headers are read. transformers would report these problems in a long traceback, or not at all.

    Raises:
        ValueError: one of these problems was found; the message names the file.
    """
    config = folder / "config.json"
    if config.exists() and (quantisation := read_json(config).get("quantization_config")) is not None:
        is_mapping = isinstance(quantisation, dict)
        method = quantisation.get("quant_method", "of an unknown kind") if is_mapping else quantisation
        raise ValueError(f"{config}: quantised weights ({method}); allowed: weights of 16 or 32 bits")
    for path in sorted(folder.glob("*.safetensors")):
        _check_header(path)


def check_numbers(tensors: Iterable[tuple[str, Tensor]], source: object) -> None:
    """Refuse weights that are not finite, since every loss with them would be NaN.

    Args:
        tensors: names and tensors to check.
        source: where they come from, for the message.

    Raises:
        ValueError: a tensor holds numbers that are not finite; the message names it.
    """
    wrong = [name for name, tensor in tensors if not bool(tensor.isfinite().all())]
    refuse([f"{name} holds numbers that are not finite" for name in wrong], source)


def _check_header(path: Path) -> None:
    try:
        with path.open("rb") as file:
            beginning = file.read(len(LFS))
        if beginning == LFS:
            raise ValueError(f"{path}: a pointer of Git LFS, not the weights\nhint: git lfs pull")
        with safe_open(path, framework="pt") as opened:
            opened.keys()
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: damaged or missing ({type(error).__name__}: {error})\n"
                         "hint: the file was cut off; fetch it again") from error


def _indexed(folder: Path, index: dict[str, Any]) -> dict[str, Tensor]:
    file_of = index.get("weight_map")
    if not isinstance(file_of, dict) or not all(isinstance(file, str) for file in file_of.values()):
        raise ValueError(f"{folder / INDEX}: no weight_map of tensors to files")
    # A path in the index could lead anywhere on this machine.
    outside = sorted(file for file in set(file_of.values()) if Path(file).name != file)
    if outside:
        raise ValueError(f"{folder / INDEX}: names {outside[0]!r}; allowed: files of the same folder")
    tensors: dict[str, Tensor] = {}
    for file in sorted(set(file_of.values())):
        tensors |= _read(folder / file)
    wrong = sorted(tensors.keys() ^ file_of.keys())
    if wrong:
        raise ValueError(f"{folder / INDEX}: {wrong[0]} is in the index or in the files, "
                         f"but not in both ({len(wrong)} tensors)")
    return tensors


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{path}: damaged or missing ({type(error).__name__}: {error})") from error
