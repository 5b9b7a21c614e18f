"""Checkpoints to resume from: weights, optimiser, random state, position in the data. Safetensors and JSON, no pickle.

- A checkpoint is a directory `step_000120-<token>`, published by `model.manifest`: it is whole or it is not there.
- Reading goes from the newest to the oldest until one verifies; each one skipped is reported, never silently.
- Two verified ones are kept.
"""

from __future__ import annotations

import json
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from model.manifest import CorruptDirectory, publish, verify

KEPT = 2


def save(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer, *, step: int, extra: dict[str, Any]) -> None:
    """Publish a checkpoint after optimiser step `step`; `extra` is JSON kept with it."""
    tensors, state = _pack(optimiser)
    tensors |= {f"model.{name}": tensor.detach().clone().contiguous() for name, tensor in model.state_dict().items()}
    tensors["random.torch"] = torch.get_rng_state()

    def write(directory: Path) -> None:
        save_file(tensors, directory / "state.safetensors")
        (directory / "state.json").write_text(json.dumps({"step": step, "optimiser": state, "extra": extra}))

    publish(folder / f"step_{step:08d}-{uuid.uuid4().hex[:8]}", write, meta={"step": step, "torch": torch.__version__})
    for old in sorted(folder.glob("step_*"))[:-KEPT]:
        shutil.rmtree(old)


def resume(folder: Path, model: nn.Module, optimiser: torch.optim.Optimizer, *,
           on_corrupt: Callable[[str], None]) -> tuple[int, dict[str, Any]]:
    """Load the newest checkpoint that verifies.

    Args:
        folder: where `save` put them; may not exist.
        model: receives the weights.
        optimiser: receives its state.
        on_corrupt: told about each checkpoint that is skipped.

    Returns:
        steps done and the JSON kept with them; (0, {}) where there is none.
    """
    for directory in sorted(folder.glob("step_*"), reverse=True):
        try:
            verify(directory)
        except CorruptDirectory as error:
            on_corrupt(str(error))
            continue
        tensors = load_file(directory / "state.safetensors")
        state = json.loads((directory / "state.json").read_text())
        model.load_state_dict({name[6:]: tensor for name, tensor in tensors.items() if name.startswith("model.")})
        _unpack(optimiser, tensors, state["optimiser"])
        torch.set_rng_state(tensors["random.torch"])
        return int(state["step"]), state["extra"]
    return 0, {}


def _pack(optimiser: torch.optim.Optimizer) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Split the optimiser's state into tensors and plain numbers, keyed by parameter index and name."""
    tensors, numbers = {}, {}
    for index, values in optimiser.state_dict()["state"].items():
        for name, value in values.items():
            key = f"optimiser.{index}.{name}"
            if isinstance(value, Tensor):
                tensors[key] = value.clone().contiguous()
            else:
                numbers[key] = value
    return tensors, numbers


def _unpack(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor], numbers: dict[str, Any]) -> None:
    state: dict[int, dict[str, Any]] = {}
    for key, value in [*tensors.items(), *numbers.items()]:
        if key.startswith("optimiser."):
            _, index, name = key.split(".", 2)
            state.setdefault(int(index), {})[name] = value
    optimiser.load_state_dict({**optimiser.state_dict(), "state": state})
