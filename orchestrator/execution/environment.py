"""What a stage was executed with, beside its configuration: device class and library versions. Recorded, never in an identity."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("ablate", "torch", "transformers", "tokenizers", "numpy", "pillow")
"""Packages whose version may change a number."""


def environment(device: str = "") -> dict[str, str]:
    """Return device class and versions as plain text.

    Args:
        device: name of the accelerator; the class of the CPU if there is none.
    """
    return {"device": device or cpu(), "python": platform.python_version(), **_versions()}


@lru_cache(maxsize=1)
def cpu() -> str:
    """Return the model of this machine's CPU, its architecture where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {name: found for name in LIBRARIES if (found := _version(name))}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
