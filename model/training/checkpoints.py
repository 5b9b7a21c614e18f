"""Checkpoints to resume from: weights, optimizer state, random state, progress. Safetensors and JSON, no pickle.

- A checkpoint is a directory `step_00000120-<token>`, published by `model.manifest`: it is complete or does not exist.
- Each worker writes the shards that it holds, with `torch.distributed.checkpoint`; any number of workers can read them
  again. The safetensors storage of that package is used: its default storage keeps the index as a pickle and replaces
  it before it is on disk. Shards lie on a file system that all workers see; the first worker publishes them.
- Reading goes from the newest checkpoint to the oldest until one verifies. Each one that is skipped is reported.
- The newest two are kept.
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

FAILED = "the first worker could not publish the checkpoint; its log says why"
"""Error of the other workers then."""
KEPT = 2
"""Number of newest checkpoints that stay."""
STATE = "state.json"
"""File of the step, the optimizer's plain numbers and the loop's progress."""
RANDOM = "random.torch"
"""Name of the tensor that holds the CPU's random state."""


def save(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, step: int, extra: dict[str, Any],
         workers: Workers) -> None:
    """Publish a checkpoint after `step` optimizer steps. Every worker must call this.

    Args:
        folder: where checkpoints lie.
        model: its weights are saved.
        optimizer: its state is saved.
        step: number of optimizer steps done.
        extra: JSON values to keep with it.
        workers: the workers that train together.

    Raises:
        OSError: the first worker could not write or publish.
    """
    # A weight that never had a gradient has no optimizer state yet.
    states = {name: optimizer.state[weight] for name, weight in _trained(model, optimizer).items()
              if weight in optimizer.state}
    tensors = _weights(model) | {_key(name, part): value for name, state in states.items()
                                 for part, value in state.items() if isinstance(value, Tensor)}
    # Safetensors holds tensors only; the plain numbers (Adafactor's step) go into the JSON file, one entry per weight
    # even if it is empty: `resume` finds out from it which weights have a state.
    numbers = {name: {part: value for part, value in state.items() if not isinstance(value, Tensor)}
               for name, state in states.items()}

    def write(directory: Path) -> None:
        # All workers write into the temporary directory of the first one; what the others pass is ignored.
        place = workers.broadcast(str(directory))
        if not place:
            raise OSError(FAILED)
        shared = Path(place)
        # The CPU's random state, of one worker for all. Our layers draw nothing in training: there is no dropout.
        random = {RANDOM: torch.get_rng_state()} if workers.is_first else {}
        writer = HuggingFaceStorageWriter(str(shared), save_distributed=True)
        # A collective: it returns at the first worker when all workers have written their shards, so the manifest that
        # `publish` writes next covers all of them.
        save_parts({**tensors, **random}, storage_writer=writer, no_dist=workers.mesh is None)
        if workers.is_first:  # the same at every worker, so one file is enough
            (shared / STATE).write_text(json.dumps({"step": step, "optimiser": numbers, "extra": extra}))

    # What the first worker did: every other one waits for it, even if it fails before or while it writes.
    done: str | None = None
    if workers.is_first:
        # The token keeps names apart: an attempt that is resumed at a step and stopped at once saves that step again,
        # and `publish` would leave the older directory in place.
        name = f"step_{step:08d}-{uuid.uuid4().hex[:8]}"
        try:
            publish(folder / name, write, meta={"step": step, "torch": torch.__version__})
            done = name
        finally:
            if not done:
                workers.broadcast(done)
        # After the new one is published, so that there is a complete checkpoint at any time. Names sort by step.
        for old in sorted(folder.glob("step_*"))[:-KEPT]:
            shutil.rmtree(old)
    else:
        write(folder)
    # A barrier: no worker trains on before the checkpoint is published.
    if not workers.broadcast(done):
        raise OSError(FAILED)


def resume(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, *, workers: Workers,
           on_corrupt: Callable[[str], None]) -> tuple[int, dict[str, Any]]:
    """Load the newest checkpoint that verifies, whatever number of workers wrote it. Every worker must call this.

    Args:
        folder: where `save` puts checkpoints; may not exist.
        model: receives the weights.
        optimizer: receives its state.
        workers: the workers that read together.
        on_corrupt: called at the first worker with a message for each checkpoint that is skipped.

    Returns:
        the number of steps done and the JSON values kept with them; (0, {}) if there is no checkpoint.

    Raises:
        ValueError: the checkpoint holds other weights than the model.
    """
    # The first worker chooses for all: it alone hashes the files, and no two workers can load different checkpoints.
    chosen = workers.broadcast(_newest(folder, on_corrupt) if workers.is_first else "")
    if not chosen:
        return 0, {}
    directory = Path(chosen)
    state = json.loads((directory / STATE).read_text())
    reader = HuggingFaceStorageReader(str(directory))
    stored = set(reader.read_metadata().state_dict_metadata)
    # `load` fills tensors in place. These share memory with the model and the optimizer, so no second copy is held; of
    # a sharded tensor each worker reads its part only.
    tensors: dict[str, Tensor] = _weights(model) | {RANDOM: torch.get_rng_state()}
    if tensors.keys() - stored:
        raise ValueError(f"{directory}: {', '.join(sorted(tensors.keys() - stored)[:5])} missing; "
                         "the checkpoint is of another model or release")
    for name, weight in _trained(model, optimizer).items():
        if name not in state["optimiser"]:  # it never had a gradient
            continue
        # A new optimizer makes its state in its first step, so tensors of the right shape and sharding are made here.
        optimizer.state[weight] = empty_state(optimizer, weight) | state["optimiser"][name]
        tensors |= {_key(name, part): value for part, value in optimizer.state[weight].items()
                    if isinstance(value, Tensor)}
    load(tensors, storage_reader=reader, no_dist=workers.mesh is None)
    torch.set_rng_state(tensors[RANDOM])
    return int(state["step"]), state["extra"]


def _newest(folder: Path, on_corrupt: Callable[[str], None]) -> str:
    # Newest first, by the step in the name. Temporary directories begin with a dot and are never seen here.
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
    """Return the weights by name; a tied table is stored once, under its first name."""
    again = aliases(model)
    return {f"model.{name}": tensor.detach() for name, tensor in model.state_dict().items() if name not in again}


def _trained(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """Return the weights that the optimizer moves, by name."""
    # By identity: weights of equal value are still different weights, and comparing tensors would compare elements.
    moved = {id(weight) for group in optimizer.param_groups for weight in group["params"]}
    return {name: weight for name, weight in model.named_parameters() if id(weight) in moved}


def _key(name: str, part: str) -> str:
    return f"optimiser.{name}.{part}"
