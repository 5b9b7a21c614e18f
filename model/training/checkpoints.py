"""Checkpoints to resume from: weights, optimizer, random state, position in the data. Safetensors and JSON, no pickle.

- A checkpoint is a directory `step_00000120-<token>`, published by `model.manifest`: it is whole or it is not there.
- Each worker writes the parts that it holds, by `torch.distributed.checkpoint`, and any number of workers reads them again. The
  store is its safetensors form: the usual one keeps its index as a pickle, and replaces it before it is on disk. Parts lie
  on a file system that all workers see; the first worker publishes them.
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
from torch import Tensor, nn
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save as save_parts

from model.manifest import CorruptDirectory, publish, verify
from model.network.strict_loading import aliases
from model.training.optimizer import empty_state
from model.training.parallel import Workers

KEPT = 2
STATE = "state.json"
RANDOM = "random.torch"


def save(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, step: int, extra: dict[str, Any], workers: Workers) -> None:
    """Publish a checkpoint after optimizer step `step`; `extra` is JSON kept with it. Every worker must save."""
    states = {name: optimizer.state[weight] for name, weight in _trained(model, optimizer).items() if weight in optimizer.state}
    tensors = _weights(model) | {_key(name, part): value for name, state in states.items() for part, value in state.items()
                                 if isinstance(value, Tensor)}
    numbers = {name: {part: value for part, value in state.items() if not isinstance(value, Tensor)} for name, state in states.items()}

    def write(directory: Path) -> None:
        shared = Path(workers.broadcast(str(directory)))
        own = {RANDOM: torch.get_rng_state()} if workers.is_first else {}
        writer = HuggingFaceStorageWriter(str(shared), save_distributed=True)
        save_parts({**tensors, **own}, storage_writer=writer, no_dist=workers.mesh is None)
        if workers.is_first:
            (shared / STATE).write_text(json.dumps({"step": step, "optimiser": numbers, "extra": extra}))

    if workers.is_first:
        publish(folder / f"step_{step:08d}-{uuid.uuid4().hex[:8]}", write, meta={"step": step, "torch": torch.__version__})
        for old in sorted(folder.glob("step_*"))[:-KEPT]:
            shutil.rmtree(old)
    else:
        write(folder)
    workers.broadcast(None)  # nobody goes on before it is published


def resume(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, workers: Workers,
           on_corrupt: Callable[[str], None]) -> tuple[int, dict[str, Any]]:
    """Load the newest checkpoint that verifies, whatever number of workers wrote it. Every worker must ask.

    Args:
        folder: where `save` put them; may not exist.
        model: receives the weights.
        optimizer: receives its state.
        workers: who reads together.
        on_corrupt: told, at the first worker, about each checkpoint that is skipped.

    Returns:
        steps done and the JSON kept with them; (0, {}) where there is none.

    Raises:
        ValueError: the checkpoint holds other weights than the model.
    """
    chosen = workers.broadcast(_newest(folder, on_corrupt) if workers.is_first else "")
    if not chosen:
        return 0, {}
    directory = Path(chosen)
    state = json.loads((directory / STATE).read_text())
    reader = HuggingFaceStorageReader(str(directory))
    kept = set(reader.read_metadata().state_dict_metadata)
    tensors: dict[str, Tensor] = _weights(model) | {RANDOM: torch.get_rng_state()}
    if tensors.keys() - kept:
        raise ValueError(f"{directory}: {', '.join(sorted(tensors.keys() - kept)[:5])} missing; it is of another model or release")
    for name, weight in _trained(model, optimizer).items():
        if name not in state["optimiser"]:  # it never had a gradient
            continue
        optimizer.state[weight] = empty_state(optimizer, weight) | state["optimiser"][name]
        tensors |= {_key(name, part): value for part, value in optimizer.state[weight].items() if isinstance(value, Tensor)}
    load(tensors, storage_reader=reader, no_dist=workers.mesh is None)
    torch.set_rng_state(tensors[RANDOM])
    return int(state["step"]), state["extra"]


def _newest(folder: Path, on_corrupt: Callable[[str], None]) -> str:
    for directory in sorted(folder.glob("step_*"), reverse=True):
        try:
            verify(directory)
            if (directory / STATE).is_file():
                return str(directory)
            on_corrupt(f"{directory}: no {STATE}")
        except CorruptDirectory as error:
            on_corrupt(str(error))
    return ""


def _weights(model: nn.Module) -> dict[str, Tensor]:
    again = aliases(model)
    return {f"model.{name}": tensor.detach() for name, tensor in model.state_dict().items() if name not in again}


def _trained(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the weights that the optimizer moves, by name."""
    moved = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    return {name: weight for name, weight in model.named_parameters() if id(weight) in moved}


def _key(name: str, part: str) -> str:
    return f"optimiser.{name}.{part}"
