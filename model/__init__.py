"""The multimodal model, its images, data, training and evaluation; knows nothing of studies.

`from model import register` makes trained checkpoints loadable by transformers. `import model` does not import torch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from model.hf.saving import register as register

__all__ = ["register"]


def __getattr__(name: str) -> Callable[[], None]:
    # Imported on first use (PEP 562): plans and the command line import `model` and must not wait for torch.
    if name != "register":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from model.hf.saving import register
    return register
