"""Record the environment of a stage: device class and library versions. They are never part of an identity."""

from __future__ import annotations

import platform
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

LIBRARIES = ("ablate", "torch", "transformers", "tokenizers", "numpy", "pillow")
"""The packages whose version may change a result."""


def environment(device: str = "") -> dict[str, str]:
    """Return the device class and the versions of Python and of the libraries.

    Args:
        device: the name of the accelerator; "" for none, then the model of the CPU is returned.
    """
    return {"device": device or cpu(), "python": platform.python_version(), **_versions()}


@lru_cache(maxsize=1)
def cpu() -> str:
    """Return the model name of this machine's CPU, or its architecture if the system does not tell the model."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.machine()


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {name: installed for name in LIBRARIES if (installed := _version(name))}


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
